//! Headless Chromium over its debugging pipe: for tests of the page in a real browser, and for pictures.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One page in a browser of its own, which ends with it.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    number: u64,
    /// Errors of scripts and violations of the page's policy.
    pub complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Whether there is a Chromium.
    pub fn program() -> Option<&'static str> {
        let runs = |program: &&str| {
            let mut command = Command::new(program);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)
    }

    /// Starts one with an empty page of this size.
    pub fn start(program: &str, width: u32, height: u32) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        // The pipe is on the descriptors 3 and 4; the shell makes them of what std can hand over. As root there is no sandbox;
        // the pages are our own.
        let script = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#;
        let mut child = Command::new("sh")
            .args([
                "-c",
                script,
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .args(["--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let to = child.stdin.take().ok_or("no pipe")?;
        let out = child.stdout.take().ok_or("no pipe")?;
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(out).split(0) {
                let message = message.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                if message.is_none_or(|message: Value| sender.send(message).is_err()) {
                    return;
                }
            }
        });
        let complaints = Vec::new();
        let mut browser = Browser {
            child,
            to,
            from,
            session: None,
            number: 0,
            complaints,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        browser.resize(width, height)?;
        Ok(browser)
    }

    /// Calls a method of the debugging protocol and waits for its answer.
    pub fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self
                .from
                .recv_timeout(left)
                .map_err(|error| format!("{method}: {error}"))?;
            match message["method"].as_str() {
                Some("Runtime.exceptionThrown" | "Log.entryAdded") => {
                    self.complaints.push(message["params"].to_string())
                }
                _ if message["id"] == self.number => {
                    let failed = message.get("error").map(|error| format!("{method}: {error}"));
                    return failed.map_or_else(|| Ok(message["result"].clone()), |error| Err(error.into()));
                }
                _ => {}
            }
        }
    }

    /// Gives the page a size, as a phone or a screen would.
    pub fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", size).map(|_| ())
    }

    /// Opens an address.
    pub fn open(&mut self, url: &str) -> Result<()> {
        self.call("Page.navigate", json!({ "url": url })).map(|_| ())
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Result<Value> {
        let ask = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", ask)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("{expression}: {details}").into()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, expression: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.eval(expression)? != Value::Bool(true) {
            if Instant::now() > deadline {
                let dom = self.eval("document.body.innerText")?;
                return Err(format!("{expression} never came true:\n{}", dom.as_str().unwrap_or("")).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        // Asked first, so that its own children go as well.
        let _ = self.call("Browser.close", json!({}));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
