//! Option catalogs as bytes: JSON in a zstd frame, and before it the same options in a form for quick readers (`lean`). Such
//! bytes also come from overlays, so they are not trusted.

use std::io::Read as _;

use ffu_model::Series;

use super::lean;
use super::types::{Opt, ServiceOptions};

/// Largest packed file that is read, in bytes.
pub const LARGEST_PACKED: usize = 8 << 20;
/// Largest JSON text that is read, packed or plain, in bytes. All series of the largest service have about 4 MB.
pub const LARGEST_UNPACKED: usize = 64 << 20;
/// The only format there is.
pub(crate) const FORMAT: u32 = 1;
/// Level 22 costs a second a service and is paid once; windows of 2^27 bytes let all series share one history.
const LEVEL: i32 = 22;
const WINDOW_LOG: u32 = 27;

/// What is wrong with an option catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// It is no zstd frame, or a damaged one.
    #[error("it cannot be decompressed as zstd: {message}; make it again with `make catalogs`")]
    Zstd {
        /// What the decompressor says.
        message: String,
    },
    /// It is larger than any option catalog.
    #[error("it is larger than {limit} bytes when unpacked; an option catalog is not")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It is not the JSON of an option catalog.
    #[error(
        "it is not the JSON of an option catalog: {message}; `ffu_catalog::options::ServiceOptions` says what is in one"
    )]
    Json {
        /// What the parser says, with line and column.
        message: String,
    },
    /// It is of a later `ffu`.
    #[error(
        "it has format {found}, this ffu reads format {FORMAT}: take a newer ffu, or make it again with `make catalogs`"
    )]
    Format {
        /// Its format.
        found: u32,
    },
    /// It contradicts itself or the rest of the catalog.
    #[error("{what}: {reason}")]
    Invalid {
        /// The thing, cut to a printable length.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It could not be packed.
    #[error("it could not be packed: {message}")]
    Pack {
        /// What the compressor says.
        message: String,
    },
}

/// The JSON text of an option catalog; the same catalog gives the same bytes.
///
/// # Errors
/// [`OptionsError::Pack`]; there is no catalog known that cannot be written.
pub fn to_json(options: &ServiceOptions) -> Result<Vec<u8>, OptionsError> {
    serde_json::to_vec(options).map_err(|error| OptionsError::Pack {
        message: error.to_string(),
    })
}

/// Packs an option catalog; the same catalog gives the same bytes (with the same version of zstd).
///
/// # Errors
/// [`OptionsError`] where it contradicts itself: nothing is written that could not be read.
pub fn pack(options: &ServiceOptions) -> Result<Vec<u8>, OptionsError> {
    options.check()?;
    let json = to_json(options)?;
    let failed = |error: std::io::Error| OptionsError::Pack {
        message: error.to_string(),
    };
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(failed)?;
    compressor.window_log(WINDOW_LOG).map_err(failed)?;
    compressor.long_distance_matching(true).map_err(failed)?;
    compressor.include_checksum(true).map_err(failed)?;
    let mut packed = Vec::new();
    if let Some(lean) = lean::write(options) {
        packed = lean::frame(&lean).unwrap_or_default();
    }
    packed.extend(compressor.compress(&json).map_err(failed)?);
    Ok(packed)
}

/// Unpacks and checks an option catalog.
///
/// # Errors
/// [`OptionsError`]: not zstd, larger than [`LARGEST_UNPACKED`], not its JSON, another format, or contradictory.
pub fn unpack(packed: &[u8]) -> Result<ServiceOptions, OptionsError> {
    parse(&decompress(lean::split(packed).1)?)
}

/// The options of one series of a catalog, without its policy: all that a check of files needs, read many times faster.
/// Of a series that was not dumped there are no options in it. Somebody has vouched for the bytes: it does not check what
/// they say.
///
/// # Errors
/// [`OptionsError`], as [`unpack`].
pub(super) fn unpack_at(packed: &[u8], series: &Series) -> Result<ServiceOptions, OptionsError> {
    if let (Some(frame), _) = lean::split(packed)
        && let Some(part) = lean::read(frame, series)
    {
        return Ok(part);
    }
    let mut whole = unpack(packed)?;
    let at = whole.position(series);
    let held = |option: &Opt| at.is_some_and(|at| option.series.holds(at));
    whole.options.retain(held);
    for plugin in &mut whole.auth_plugins {
        plugin.options.retain(held);
    }
    whole.policy_files.clear();
    whole.policy.clear();
    Ok(whole)
}

/// Whether what quick readers see is what the JSON says; also if there is nothing for them.
pub(super) fn agrees(packed: &[u8], options: &ServiceOptions) -> bool {
    match lean::split(packed) {
        (None, _) => true,
        (Some(frame), _) => lean::write(options).is_some_and(|bytes| bytes == frame),
    }
}

fn decompress(packed: &[u8]) -> Result<Vec<u8>, OptionsError> {
    if packed.len() > LARGEST_PACKED {
        return Err(OptionsError::TooLarge { limit: LARGEST_PACKED });
    }
    let failed = |error: std::io::Error| OptionsError::Zstd {
        message: error.to_string(),
    };
    if let Ok(Some(size)) = zstd::zstd_safe::get_frame_content_size(packed)
        && size <= LARGEST_UNPACKED as u64
        && zstd::zstd_safe::find_frame_compressed_size(packed) == Ok(packed.len())
    {
        // Straight into its place: no window of its own, no growing.
        let size = usize::try_from(size).unwrap_or(LARGEST_UNPACKED);
        return zstd::bulk::Decompressor::new()
            .and_then(|mut decompressor| decompressor.decompress(packed, size))
            .map_err(failed);
    }
    let mut json = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(failed)?;
    decoder.window_log_max(WINDOW_LOG).map_err(failed)?;
    decoder
        .take(LARGEST_UNPACKED as u64 + 1)
        .read_to_end(&mut json)
        .map_err(failed)?;
    Ok(json)
}

/// Reads and checks the plain JSON of an option catalog.
///
/// # Errors
/// [`OptionsError`], as [`unpack`].
pub fn parse(json: &[u8]) -> Result<ServiceOptions, OptionsError> {
    if json.len() > LARGEST_UNPACKED {
        return Err(OptionsError::TooLarge {
            limit: LARGEST_UNPACKED,
        });
    }
    let failed = |error: serde_json::Error| OptionsError::Json {
        message: error.to_string(),
    };
    let options: ServiceOptions = match serde_json::from_slice(json) {
        Ok(options) => options,
        Err(error) => {
            // A later format has fields that are unknown here; its number is the more useful message.
            #[derive(serde::Deserialize)]
            struct Head {
                format: u32,
            }
            return Err(match serde_json::from_slice::<Head>(json) {
                Ok(Head { format }) if format != FORMAT => OptionsError::Format { found: format },
                _ => failed(error),
            });
        }
    };
    options.check()?;
    Ok(options)
}
