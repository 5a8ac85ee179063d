//! `ffu watch`: the data plane, measured here, beside a run, or read again from a record.

mod targets;
mod teller;

use std::io::IsTerminal as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_engine::{RunDirectory, StateDirectory, StopFlag};
use ffu_live::server::{Access, ServerHandle};
use ffu_live::terminal::{Left, ViewState};
use ffu_model::watch::{Snapshot, Targets};
use ffu_watch::record::{FRAMES, Reader};
use ffu_watch::session::{self, Run, Session};
use ffu_watch::vantage::Launch;
use serde_json::json;
use tokio::sync::watch::{Receiver, Sender, channel};

use crate::cli::watch::{WatchArguments, WatchCommand, WatchHere, Which};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::places::{Places, absolute, write_file, write_secret};
use crate::watching::{JournalTail, directory, instances, living};
use teller::Teller;

/// Views are fed this often.
const EVERY: Duration = Duration::from_millis(500);

pub fn run(places: &Places, output: Output, arguments: WatchArguments) -> Result<Exit, Failure> {
    match arguments.command {
        None => here(places, output, arguments.here),
        Some(WatchCommand::Show { which, plain }) => show(places, output, &which, plain),
        Some(WatchCommand::Acknowledge { which }) => acknowledge(places, output, &which),
        Some(WatchCommand::Stop { which }) => stop(places, output, &which),
        Some(WatchCommand::Replay { record, html }) => replay(output, &record, html.as_deref()),
        Some(WatchCommand::Targets(arguments)) => targets::run(places, output, arguments),
    }
}

/// The agent of a vantage point: started by a watch, tells it what it sees, ends with it.
pub fn agent() -> Result<Exit, Failure> {
    ffu_watch::agent::run(std::io::stdin(), std::io::stdout())?;
    Ok(Exit::Success)
}

fn here(places: &Places, output: Output, arguments: WatchHere) -> Result<Exit, Failure> {
    let run = arguments.run.as_deref().map(|run| find(places, run)).transpose()?;
    let record = match (&run, arguments.record) {
        (Some(run), _) => directory(run.path()),
        (None, Some(record)) => absolute(record)?,
        (None, None) => {
            let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S");
            places
                .state
                .join("watches")
                .join(format!("{now}-{}", std::process::id()))
        }
    };
    let goes_on = record.join(FRAMES).exists();
    let targets = match &arguments.targets {
        _ if goes_on => Targets::default(),
        Some(file) => ffu_watch::targets::read(file)?,
        None => {
            return Err(Failure::new(
                Exit::BadInput,
                format!("{record} has no record to go on with\n  next: give --targets FILE"),
            ));
        }
    };
    let plan = run.as_ref().map(RunDirectory::checked_plan).transpose()?;
    let instances = match (&plan, &arguments.cloud) {
        (Some(plan), _) => instances::reading(&plan.cloud),
        (None, Some(file)) => instances::reading(&targets::cloud(file)?),
        (None, None) => None,
    };
    let mut tail = run
        .as_ref()
        .zip(plan.as_ref())
        .map(|(run, plan)| JournalTail::new(run.journal(), plan));
    let stop = super::runs::stop_on_signals(output)?;
    let (sender, feed) = channel(Arc::new(Snapshot::default()));
    let server = serve(arguments.listen, &feed, &record, output)?;
    output.line(format!("recorded in {record}"));
    let live = output.format == Format::Text && !arguments.plain && std::io::stdout().is_terminal();
    let mut teller = Teller::new(output, live);
    let name = run.as_ref().map(|run| run.id.clone());
    let view = live.then(|| view(feed, stop.clone()));
    let session = Session {
        targets,
        directory: &record,
        name,
        run: tail.as_mut().map(|tail| tail as &mut dyn Run),
        launch: launch()?,
        instances,
        time: arguments.time,
        every: EVERY,
        stop,
        show: &mut |snapshot: &Arc<Snapshot>| {
            teller.tell(snapshot);
            sender.send_replace(Arc::clone(snapshot));
        },
    };
    let watched = session.watch();
    drop(sender);
    if let Some(view) = view {
        let _ = view.join();
    }
    drop(server);
    let last = watched?;
    if let Some(run) = &run {
        write_html(&directory(run.path()).join("report.html"), &last)?;
    }
    if let Some(file) = arguments.html {
        write_html(&file, &last)?;
    }
    Ok(told(output, &last))
}

fn launch() -> Result<Launch, Failure> {
    let program = std::env::current_exe()
        .ok()
        .and_then(|program| Utf8PathBuf::from_path_buf(program).ok())
        .ok_or_else(|| Failure::new(Exit::Failure, "this program's own path is not known"))?;
    Ok(Launch::new(program))
}

fn serve(
    listen: Option<SocketAddr>,
    feed: &Receiver<Arc<Snapshot>>,
    record: &Utf8Path,
    output: Output,
) -> Result<Option<ServerHandle>, Failure> {
    let Some(address) = listen else { return Ok(None) };
    let listener = TcpListener::bind(address).map_err(|error| {
        let next = "give another address with --listen, or port 0 for any that is free";
        Failure::new(
            Exit::Failure,
            format!("nothing can listen at {address}: {error}\n  next: {next}"),
        )
    })?;
    // The token goes into a file of its owner's: what is printed may be a log.
    let (access, told) = if address.ip().is_loopback() {
        (Access::Loopback, String::new())
    } else {
        let (token, file) = (Access::new_token()?, record.join("token"));
        std::fs::create_dir_all(record).map_err(|error| Failure::new(Exit::Failure, format!("{record}: {error}")))?;
        write_secret(&file, token.expose().as_bytes())?;
        (Access::Token(token), format!("?token=…, the token is in {file}"))
    };
    let server = ffu_live::server::serve(listener, access, feed.clone())?;
    output.line(format!("live page: {}{told}", server.url()));
    Ok(Some(server))
}

/// The terminal view, in a thread of its own. Leaving it ends a watch of this terminal.
fn view(feed: Receiver<Arc<Snapshot>>, stop: StopFlag) -> std::thread::JoinHandle<()> {
    let no_colour = std::env::var_os("NO_COLOR");
    let colour = ffu_live::words::colour_wanted(no_colour.as_deref(), std::io::stdout().is_terminal());
    std::thread::spawn(move || {
        let left = ffu_live::terminal::show(feed, ViewState::new(colour));
        if !matches!(left, Ok(Left::Ended)) {
            stop.raise();
        }
    })
}

/// The last line and the budgets; and the exit code: whether a budget was exceeded.
fn told(output: Output, last: &Snapshot) -> Exit {
    let exceeded = last.breaches.iter().any(|breach| !breach.acknowledged);
    let mut lines = vec![ffu_live::plain::line(last)];
    lines.extend(ffu_live::plain::budgets(last));
    output.result(
        lines.join("\n"),
        &json!({"event": "end", "figures": ffu_live::report::figures(last)}),
    );
    if exceeded { Exit::Refused } else { Exit::Success }
}

fn write_html(path: &Utf8Path, snapshot: &Snapshot) -> Result<(), Failure> {
    write_file(path, ffu_live::report::html(snapshot).as_bytes())
}

fn find(places: &Places, run: &str) -> Result<RunDirectory, Failure> {
    Ok(StateDirectory::open(&places.state)?.find(Some(run))?)
}

/// The directory of a watch, and how to name it in a command.
fn place(places: &Places, which: &Which) -> Result<Utf8PathBuf, Failure> {
    let place = match &which.record {
        Some(record) => absolute(record.clone())?,
        None => directory(StateDirectory::open(&places.state)?.find(which.run.as_deref())?.path()),
    };
    if !place.join(FRAMES).exists() {
        let next = "`ffu run --watch FILE` starts one with a run, `ffu watch --targets FILE` one by itself";
        return Err(Failure::new(
            Exit::BadInput,
            format!("{place} has no record of a watch\n  next: {next}"),
        ));
    }
    Ok(place)
}

fn show(places: &Places, output: Output, which: &Which, plain: bool) -> Result<Exit, Failure> {
    let place = place(places, which)?;
    let run = place.parent().and_then(Utf8Path::file_name).map(str::to_owned);
    let run = run.filter(|_| which.record.is_none());
    let mut reader = Reader::open(&place)?;
    let mut tally = session::Follower::new(run);
    tally.follow(&mut reader)?;
    if living(&place).is_some() {
        tally.advance();
    }
    let live = output.format == Format::Text && !plain && std::io::stdout().is_terminal();
    if !live {
        let last = tally.snapshot(&reader);
        return Ok(told(output, &last));
    }
    let (sender, feed) = channel(Arc::new(tally.snapshot(&reader)));
    let stop = StopFlag::new();
    let view = view(feed, stop.clone());
    let followed = follow(&place, &mut reader, &mut tally, &sender, &stop);
    drop(sender);
    let _ = view.join();
    followed?;
    Ok(told(output, &tally.snapshot(&reader)))
}

fn follow(
    place: &Utf8Path,
    reader: &mut Reader,
    tally: &mut session::Follower,
    sender: &Sender<Arc<Snapshot>>,
    stop: &StopFlag,
) -> Result<(), Failure> {
    while stop.level() == ffu_engine::StopLevel::Run && living(place).is_some() {
        tally.follow(reader)?;
        tally.advance();
        sender.send_replace(Arc::new(tally.snapshot(reader)));
        std::thread::sleep(EVERY);
    }
    Ok(())
}

fn acknowledge(places: &Places, output: Output, which: &Which) -> Result<Exit, Failure> {
    let place = place(places, which)?;
    let Some(state) = living(&place) else {
        let next = "`ffu resume` starts the watch of its run again";
        return Err(Failure::new(
            Exit::Refused,
            format!("no watch runs in {place}\n  next: {next}"),
        ));
    };
    let Some(number) = state.breaches.iter().map(|breach| breach.number).max() else {
        output.result("there is nothing to acknowledge", &json!({"acknowledged": 0}));
        return Ok(Exit::Success);
    };
    session::acknowledge(&place, number)?;
    for _ in 0..50 {
        let heard = session::state(&place).is_some_and(|state| state.breaches.iter().all(|one| one.number > number));
        if heard {
            let text = format!("acknowledged: {} breaches; the run goes on", state.breaches.len());
            output.result(text, &json!({"acknowledged": number, "breaches": state.breaches}));
            return Ok(Exit::Success);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let next = "look at the watch.log beside its record";
    Err(Failure::new(
        Exit::Failure,
        format!("the watch in {place} does not answer\n  next: {next}"),
    ))
}

fn stop(places: &Places, output: Output, which: &Which) -> Result<Exit, Failure> {
    let place = place(places, which)?;
    if living(&place).is_none() {
        output.result("no watch runs there", &json!({"stopped": false}));
        return Ok(Exit::Success);
    }
    session::stop(&place)?;
    for _ in 0..150 {
        if living(&place).is_none() || !place.join(session::STOP).exists() {
            output.result("the watch has ended", &json!({"stopped": true}));
            return Ok(Exit::Success);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let next = "look at the watch.log beside its record";
    Err(Failure::new(
        Exit::Failure,
        format!("the watch in {place} does not end\n  next: {next}"),
    ))
}

fn replay(output: Output, record: &Utf8Path, html: Option<&Utf8Path>) -> Result<Exit, Failure> {
    let mut reader = Reader::open(record)?;
    let mut tally = session::Follower::new(None);
    tally.follow(&mut reader)?;
    let last = tally.snapshot(&reader);
    if let Some(file) = html {
        write_html(file, &last)?;
    }
    if reader.skipped() > 0 {
        output.progress(format!(
            "{} bytes that are no whole frame were passed over",
            reader.skipped()
        ));
    }
    Ok(told(output, &last))
}

/// Said at the end of a run that was watched: what the watch has seen until now.
pub fn summary(run: &RunDirectory) -> Option<String> {
    let (place, now) = (directory(run.path()), ffu_watch::clock::now());
    let mut last = session::last(&place)?;
    // Its files are replaced every two seconds.
    for _ in 0..30 {
        if last.now >= now || living(&place).is_none() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        last = session::last(&place)?;
    }
    Some(ffu_live::plain::line(&last))
}
