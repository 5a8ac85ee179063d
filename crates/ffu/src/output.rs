//! Everything the program prints goes through here: text for people, or one JSON object a line with `--json`.

#![allow(clippy::print_stdout, clippy::print_stderr)] // the one place where the house prints

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The printer.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The format.
    pub format: Format,
}

impl Output {
    /// A result: `text` for people, `value` for programs.
    pub fn result(&self, text: impl AsRef<str>, value: &impl Serialize) {
        match self.format {
            Format::Text => self.line(text),
            Format::Json => self.json(value),
        }
    }

    /// A line for people; nothing with `--json`. A closed pipe is not an error: the reader has seen enough.
    pub fn line(&self, text: impl AsRef<str>) {
        if self.format == Format::Text {
            let _ = writeln!(std::io::stdout().lock(), "{}", text.as_ref().trim_end_matches('\n'));
        }
    }

    /// Progress for people, on standard error.
    pub fn progress(&self, text: impl AsRef<str>) {
        if self.format == Format::Text {
            let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
        }
    }

    /// A JSON line; nothing without `--json`.
    pub fn json(&self, value: &impl Serialize) {
        if self.format == Format::Json
            && let Ok(line) = serde_json::to_string(value)
        {
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    /// An error: `error: …` on standard error, or `{"event":"error",…}` with `--json`.
    pub fn error(&self, exit: u8, message: &str) {
        match self.format {
            Format::Text => {
                let _ = writeln!(std::io::stderr().lock(), "error: {message}");
            }
            Format::Json => {
                self.json(&serde_json::json!({"event": "error", "exit": exit, "message": message}));
            }
        }
    }

    /// Asks for a typed `yes`; only where somebody can answer.
    pub fn confirm(&self, question: &str) -> bool {
        if self.format == Format::Json || !std::io::stdin().is_terminal() {
            return false;
        }
        let _ = write!(std::io::stderr().lock(), "{question} Type yes to go on: ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
    }
}
