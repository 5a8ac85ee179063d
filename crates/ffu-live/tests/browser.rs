//! The live page in a real browser: headless Chromium, on loopback.

#[path = "../examples/browser/mod.rs"]
mod browser;
#[path = "../examples/made/mod.rs"]
mod made;

use std::net::TcpListener;
use std::sync::Arc;

use browser::{Browser, Result};
use ffu_live::server::{Access, ServerHandle, serve};
use ffu_model::watch::Snapshot;
use serde_json::json;
use tokio::sync::watch;

type Feed = watch::Sender<Arc<Snapshot>>;

/// Presses a key where the focus is.
fn press(browser: &mut Browser, key: &str, code: u32) -> Result<()> {
    let text = if key == "Enter" { "\r" } else { "" };
    for kind in ["keyDown", "keyUp"] {
        let press = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
        browser.call("Input.dispatchKeyEvent", press)?;
    }
    Ok(())
}

/// A page of this width, its server and its feed. Without a browser nothing can be tested: `scripts/setup` installs one.
fn page(snapshot: Snapshot, width: u32) -> Result<(Browser, ServerHandle, Feed)> {
    let program = Browser::program().expect("no Chromium\n  next: apt-get install chromium");
    let (feed, receiver) = watch::channel(Arc::new(snapshot));
    let server = serve(TcpListener::bind("127.0.0.1:0")?, Access::Loopback, receiver)?;
    let mut browser = Browser::start(program, width, 844)?;
    browser.open(&server.url())?;
    browser.wait("document.readyState === 'complete' && document.querySelectorAll('#rows tr').length > 0")?;
    Ok((browser, server, feed))
}

#[test]
fn it_shows_targets_and_the_breach_and_follows_what_happens() -> Result<()> {
    let (mut browser, _server, feed) = page(made::snapshot(440, 300), 1200)?;
    browser.wait("document.getElementById('verdict').textContent === 'hold'")?;
    browser.wait("document.querySelector('#breaches .breach code').textContent === 'ffu watch acknowledge'")?;
    browser.wait("document.querySelectorAll('#rows tr').length === 200")?;
    browser.wait("document.querySelectorAll('#plot rect.step').length > 10")?;
    browser.wait("document.querySelector('#rows button').textContent === 'vm-c-0020'")?;
    feed.send_replace(Arc::new(made::snapshot(450, 300)));
    browser.wait("document.querySelector('#rows button').textContent === 'vm-a-0005'")?;
    browser.wait("document.querySelector('#breaches > .breach b').textContent === 'Breach 2 of zero-loss: '")?;
    browser.wait("document.querySelector('#breaches summary').textContent.startsWith('1 acknowledged: Breach 1')")?;
    drop(feed);
    browser.wait("document.getElementById('live').textContent.includes('the watch has ended')")?;
    assert_eq!(browser.complaints, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_target_is_looked_at_with_the_keyboard() -> Result<()> {
    let (mut browser, _server, feed) = page(made::snapshot(450, 300), 1200)?;
    browser.eval("document.querySelector('#rows button').focus()")?;
    // The order rests while the focus is in the list: what is under it stays what it is.
    feed.send_replace(Arc::new(made::snapshot(520, 300)));
    browser.wait("document.getElementById('shown').textContent.includes('order rests')")?;
    press(&mut browser, "Enter", 13)?;
    browser.wait("document.getElementById('closer').open")?;
    browser.wait("document.getElementById('c-name').textContent === 'vm-a-0005'")?;
    browser.wait("document.getElementById('c-body').textContent.includes('release.compute-03.openvswitch-agent')")?;
    press(&mut browser, "Escape", 27)?;
    browser.wait("!document.getElementById('closer').open")?;
    browser.wait("document.activeElement.textContent === 'vm-a-0005'")?;
    Ok(())
}

#[test]
fn the_server_is_searched_for_targets_that_are_not_on_the_page() -> Result<()> {
    let (mut browser, _server, _feed) = page(made::snapshot(450, 10_000), 1200)?;
    browser.wait("document.getElementById('shown').textContent === '200 of 10,000 shown'")?;
    let search = "const box = document.getElementById('search'); box.value = 'net-a 9000'; box.dispatchEvent(new Event('input'))";
    browser.eval(search)?;
    browser.wait("document.querySelectorAll('#rows tr').length === 0 || document.getElementById('shown').textContent.includes('found')")?;
    browser.eval("box.value = 'vm-dmz-9979'; box.dispatchEvent(new Event('input'))")?;
    browser.wait("document.getElementById('shown').textContent === '1 found'")?;
    browser.wait("document.querySelector('#rows button').textContent === 'vm-dmz-9979'")?;
    Ok(())
}

#[test]
fn names_are_text_wherever_they_come() -> Result<()> {
    let mut snapshot = made::snapshot(450, 40);
    let evil = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'&";
    snapshot.run = Some(evil.to_owned());
    snapshot.remarks.push(evil.to_owned());
    for target in &mut snapshot.targets {
        (target.name, target.probed) = (evil.to_owned(), evil.to_owned());
        target.groups.insert(evil.to_owned(), evil.to_owned());
    }
    for cost in &mut snapshot.steps {
        (cost.mark.step, cost.mark.phase) = (evil.to_owned(), evil.to_owned());
    }
    for breach in &mut snapshot.breaches {
        (breach.budget, breach.says, breach.steps) = (evil.to_owned(), evil.to_owned(), vec![evil.to_owned()]);
    }
    for group in &mut snapshot.groups {
        (group.key, group.value) = (evil.to_owned(), evil.to_owned());
    }
    let (mut browser, server, _feed) = page(snapshot, 1200)?;
    browser.wait("document.querySelector('#rows button').textContent.startsWith('<script>window')")?;
    browser.eval("document.querySelector('#rows button').click()")?;
    browser.wait("document.getElementById('c-name').textContent.startsWith('<script>window')")?;
    assert_eq!(
        browser.eval("document.querySelectorAll('img, script:not([src])').length + (window.pwned ?? 0)")?,
        0
    );
    browser.open(&format!("{}report.html", server.url()))?;
    browser.wait("document.readyState === 'complete' && document.body.textContent.includes('<script>window')")?;
    assert_eq!(
        browser.eval("document.querySelectorAll('img, script').length + (window.pwned ?? 0)")?,
        0
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
    Ok(())
}

#[test]
fn it_fits_a_phone_and_does_not_jump() -> Result<()> {
    let (mut browser, _server, feed) = page(made::snapshot(447, 10_000), 390)?;
    assert_eq!(browser.eval("document.documentElement.scrollWidth")?, 390);
    let watched = "window.jumps = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => { jumps += entry.value; }))\
                   .observe({ type: 'layout-shift', buffered: false })";
    browser.eval(watched)?;
    for second in [448, 449, 480, 499, 510] {
        feed.send_replace(Arc::new(made::snapshot(second, 10_000)));
        let time = format!(
            "document.getElementById('elapsed').textContent === '00:0{}:{:02}'",
            second / 60,
            second % 60
        );
        browser.wait(&time)?;
    }
    browser.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")?;
    let jumps = browser.eval("jumps")?.as_f64().unwrap_or(1.0);
    // 0.1 is what browsers' makers call good; figures that change are to move nothing at all.
    assert!(jumps < 0.01, "things moved by {jumps}");
    assert_eq!(browser.eval("document.documentElement.scrollWidth")?, 390);
    Ok(())
}
