//! The terminal is given back however the view ends. util-linux' `script` gives this test's own program a terminal.
#![allow(clippy::print_stderr)] // On that terminal.

#[path = "../examples/made/mod.rs"]
mod made;

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ffu_live::terminal::{ViewState, show};

const TAKE: &str = "\x1b[?1049h";
const GIVE_BACK: &str = "\x1b[?1049l";
const WAY: &str = "FFUT_VIEW";

/// Not a test: what the others run on a terminal of its own.
#[test]
#[ignore = "the other tests run it"]
fn view() {
    let Ok(way) = std::env::var(WAY) else { return };
    let (feed, receiver) = tokio::sync::watch::channel(Arc::new(made::snapshot(450, 40)));
    match way.as_str() {
        "feed" => {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(500));
                drop(feed);
            });
        }
        "panic" => {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(500));
                std::mem::forget(feed);
                panic!("another thread");
            });
        }
        _ => {
            std::mem::forget(feed);
        }
    }
    eprintln!("pid={}", std::process::id());
    let left = show(receiver, ViewState::new(true));
    eprintln!("left={left:?}");
}

struct Screen {
    child: Child,
    output: Receiver<String>,
    text: String,
}

impl Screen {
    fn open(way: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let command = format!(
            "stty rows 24 cols 80; exec '{}' --ignored --exact view --nocapture",
            program.display()
        );
        let mut child = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env(WAY, way)
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("no `script`\n  next: apt-get install bsdutils");
        let mut out = child.stdout.take().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut buffer) {
                if sender.send(String::from_utf8_lossy(&buffer[..n]).into_owned()).is_err() {
                    return;
                }
            }
        });
        let mut screen = Screen {
            child,
            output,
            text: String::new(),
        };
        screen.until("acknowledge");
        assert!(screen.text.contains(TAKE));
        screen
    }

    fn until(&mut self, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.text.contains(wanted) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(text) => self.text.push_str(&text),
                Err(error) => panic!("{wanted:?} never came ({error}):\n{:?}", self.text),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    fn pid(&self) -> String {
        let digits = self
            .text
            .split("pid=")
            .nth(1)
            .unwrap()
            .chars()
            .take_while(char::is_ascii_digit);
        digits.collect()
    }

    /// The view has ended so, and the first screen and the cursor are back before anything else is written.
    fn ended(mut self, how: &str) {
        self.until(how);
        let back = self.text.find(GIVE_BACK).expect("the terminal was not given back");
        assert!(back < self.text.find(how).unwrap(), "{how} was written onto the view");
        assert!(self.text[back..].contains("\x1b[?25h"), "the cursor is hidden");
        assert_eq!(self.text.matches(GIVE_BACK).count(), 1);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Without a way in `script` ends with its program, which ends when its terminal does.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn q_leaves() {
    let mut screen = Screen::open("keys");
    screen.press("?");
    screen.until("Help");
    screen.press("q");
    screen.ended("left=Ok(Quit)");
}

#[test]
fn control_c_is_the_callers() {
    let mut screen = Screen::open("keys");
    screen.press("\x03");
    screen.ended("left=Ok(Interrupted)");
}

#[test]
fn the_end_of_the_feed_ends_it() {
    Screen::open("feed").ended("left=Ok(Ended)");
}

#[test]
fn a_signal_ends_it() {
    let screen = Screen::open("keys");
    assert!(
        Command::new("kill")
            .args(["-TERM", &screen.pid()])
            .status()
            .unwrap()
            .success()
    );
    screen.ended("left=Ok(Signal(15))");
}

#[test]
fn a_panic_elsewhere_is_readable_and_ends_it() {
    let mut screen = Screen::open("panic");
    screen.until("left=Ok(Panicked)");
    screen.ended("another thread");
}
