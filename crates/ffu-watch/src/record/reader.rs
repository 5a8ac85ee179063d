//! Reads a record, also one that is being written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::watch::Targets;

use super::{FRAMES, TARGETS};
use crate::Entry;
use crate::error::WatchError;
use crate::frame::{self, Content, Decoded, Frame};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// More bytes than this hold a whole frame, if they begin with one.
const LIMIT: usize = frame::HEADER + frame::MAX_BODY;

/// Reads batch after batch. At the end it gives what comes later, if it is asked again.
pub struct Reader {
    path: Utf8PathBuf,
    file: File,
    targets: Targets,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    offset: u64,
    skipped: u64,
}

impl Reader {
    /// Opens a record at its beginning.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(directory: &Utf8Path) -> Result<Reader, WatchError> {
        Reader::open_at(directory, 0)
    }

    /// Opens a record at an offset that [`Reader::offset`] gave.
    ///
    /// # Errors
    /// If there is none.
    pub fn open_at(directory: &Utf8Path, offset: u64) -> Result<Reader, WatchError> {
        let (path, whole) = (directory.join(FRAMES), directory.join(TARGETS));
        let fail = |action, path: &Utf8Path| {
            let (path, next) = (
                path.to_owned(),
                "name the directory of a record: one with targets.json and record.bin",
            );
            move |source| WatchError::Record {
                action,
                path,
                source,
                next,
            }
        };
        let json = std::fs::read(&whole).map_err(fail("read", &whole))?;
        let targets = serde_json::from_slice(&json)
            .map_err(io::Error::from)
            .map_err(fail("understand", &whole))?;
        let mut file = File::open(&path).map_err(fail("open", &path))?;
        file.seek(SeekFrom::Start(offset)).map_err(fail("read", &path))?;
        Ok(Reader {
            path,
            file,
            targets,
            buffer: Vec::new(),
            offset,
            skipped: 0,
        })
    }

    /// The targets that were watched.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Up to where whole frames were read: a reader can go on there.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes between whole frames that were none (a disk's fault), so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The next batch, with the writer's clocks; `None` if there is no whole one yet. It can be asked again later.
    ///
    /// # Errors
    /// If the file cannot be read, or a whole frame is of another version.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WatchError> {
        loop {
            match frame::decode(&self.buffer) {
                Decoded::Frame(frame, length) => {
                    self.advance(length);
                    return Ok(Some(frame));
                }
                Decoded::Broken(why) if frame::is_whole(&self.buffer) => {
                    let next = "read it with the version of ffu that wrote it";
                    return Err(WatchError::Frame {
                        offset: self.offset,
                        why,
                        next,
                    });
                }
                Decoded::Partial | Decoded::Broken(_) => {
                    let more = self.buffer.len() <= LIMIT && self.fill()?;
                    if !more && !self.resync() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The entries of the next batch; `None` if there is none yet.
    ///
    /// # Errors
    /// As [`Reader::next_frame`].
    pub fn next_batch(&mut self) -> Result<Option<Vec<Entry>>, WatchError> {
        loop {
            match self.next_frame()? {
                Some(Frame {
                    content: Content::Entries(entries),
                    ..
                }) => return Ok(Some(entries)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    fn advance(&mut self, length: usize) {
        self.buffer.drain(..length);
        self.offset += length as u64;
    }

    /// Reads more; whether there was more.
    fn fill(&mut self) -> Result<bool, WatchError> {
        let before = self.buffer.len();
        let read = (&mut self.file).take(CHUNK as u64).read_to_end(&mut self.buffer);
        let fail = |source| WatchError::Record {
            action: "read",
            path: self.path.clone(),
            source,
            next: "look at the disk: `dmesg`",
        };
        read.map_err(fail)?;
        Ok(self.buffer.len() > before)
    }

    /// Looks for a whole frame behind what is broken or torn, and goes there; whether it went anywhere. The torn end of a record that
    /// is being written stays where it is: it may become whole.
    fn resync(&mut self) -> bool {
        let (mut at, mut partial) = (0, None);
        let found = loop {
            at += frame::next_candidate(&self.buffer[at..]);
            match self.buffer.get(at..).filter(|rest| !rest.is_empty()).map(frame::decode) {
                Some(Decoded::Frame(..)) => break Some(at),
                Some(Decoded::Partial) => partial = partial.or(Some(at)),
                Some(Decoded::Broken(_)) => {}
                // A buffer that is full of what is no frame is let go of.
                None => break (self.buffer.len() > LIMIT).then_some(partial.unwrap_or(self.buffer.len())),
            }
        };
        if let Some(at) = found {
            self.advance(at);
            self.skipped += at as u64;
        }
        found.is_some()
    }
}
