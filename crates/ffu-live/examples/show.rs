//! Shows a made watch whose figures change, for pictures and for looking: `show page [PORT]`, `show terminal`, `show plain`,
//! `show report`.
#![allow(clippy::print_stdout)]

mod made;

use std::error::Error;
use std::io::IsTerminal;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ffu_live::server::{Access, serve};
use ffu_live::{plain, report, terminal, words};
use tokio::sync::watch;

const TARGETS: u32 = 512;
/// The seconds of the made run that are shown: from before its first real outage, over and over.
const FROM: u64 = 320;
const TO: u64 = 560;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let start: u64 = arguments.get(2).map_or(Ok(FROM), |start| start.parse())?;
    let (sender, feed) = watch::channel(Arc::new(made::snapshot(start, TARGETS)));
    let feeder = std::thread::spawn(move || {
        for second in (start..TO).cycle() {
            if sender.send(Arc::new(made::snapshot(second, TARGETS))).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    match arguments.first().map(String::as_str) {
        Some("page") => {
            let port = arguments.get(1).map_or(Ok(0), |port| port.parse::<u16>())?;
            let server = serve(TcpListener::bind(("127.0.0.1", port))?, Access::Loopback, feed)?;
            println!("{}", server.url());
            feeder.join().map_err(|_| "the feeder panicked")?;
        }
        Some("terminal") => {
            let no_colour = std::env::var_os("NO_COLOR");
            let colour = words::colour_wanted(no_colour.as_deref(), std::io::stdout().is_terminal());
            println!("{:?}", terminal::show(feed, terminal::ViewState::new(colour))?);
        }
        Some("plain") => {
            for second in (start..TO).step_by(2) {
                let now = made::snapshot(second, TARGETS);
                println!("{}", plain::line(&now));
                for change in plain::changes(Some(&made::snapshot(second - 2, TARGETS)), &now) {
                    println!("{change}");
                }
            }
        }
        Some("report") => println!("{}", report::html(&made::snapshot(TO, TARGETS))),
        _ => return Err("say page, terminal, plain or report".into()),
    }
    Ok(())
}
