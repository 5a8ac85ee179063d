//! Makes the pictures of the live page and the report in `docs/images`: `pictures DIRECTORY`. It needs Chromium.
#![allow(clippy::print_stdout)]

mod browser;
mod made;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use browser::{Browser, Result};
use ffu_live::server::{Access, serve};
use serde_json::json;

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).ok_or("say where the pictures go")?;
    let program = Browser::program().ok_or("there is no Chromium\n  next: apt-get install chromium")?;
    fs::create_dir_all(&directory)?;
    // Second 450 of the made run: one breach acknowledged, one open, one target out.
    let (_feed, receiver) = tokio::sync::watch::channel(Arc::new(made::snapshot(450, 512)));
    let server = serve(TcpListener::bind("127.0.0.1:0")?, Access::Loopback, receiver)?;
    let drawn = "document.querySelectorAll('#rows tr').length > 0 && document.getElementById('live').textContent.startsWith('live')";
    let shots = [
        ("watch-page", 1120, 1040, "", drawn),
        ("watch-page-phone", 390, 844, "", drawn),
        (
            "watch-report",
            1040,
            1100,
            "report.html",
            "document.readyState === 'complete'",
        ),
    ];
    for (name, width, height, path, ready) in shots {
        let mut browser = Browser::start(program, width, height)?;
        scheme(&mut browser, std::env::var("SCHEME").as_deref().unwrap_or("light"))?;
        browser.open(&format!("{}{path}", server.url()))?;
        browser.wait("location.protocol === 'http:'")?;
        browser.wait(ready)?;
        let file = Path::new(&directory).join(format!("{name}.png"));
        fs::write(&file, decoded(&picture(&mut browser)?)?)?;
        println!("{}: {} bytes", file.display(), fs::metadata(&file)?.len());
    }
    Ok(())
}

/// Base64 is what coreutils are for.
fn decoded(text: &str) -> Result<Vec<u8>> {
    let mut child = Command::new("base64")
        .arg("-d")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut to = child.stdin.take().ok_or("no pipe")?;
    let text = text.to_owned();
    let writer = std::thread::spawn(move || to.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(output.stdout)
}

/// Light or dark.
fn scheme(browser: &mut Browser, scheme: &str) -> Result<()> {
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.call("Emulation.setEmulatedMedia", features).map(|_| ())
}

/// What is seen, as a PNG in base64.
fn picture(browser: &mut Browser) -> Result<String> {
    let format = json!({ "format": "png", "optimizeForSpeed": false });
    let answer = browser.call("Page.captureScreenshot", format)?;
    Ok(answer["data"].as_str().ok_or("no picture")?.to_owned())
}
