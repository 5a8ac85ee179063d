//! `ffu` kills itself at a point of a run, of a rollback, of an acceptance, or of the talk with a warm environment.

use std::time::Instant;

use crate::cloud::{Cloud, KILLED};
use crate::common::Ran;
use crate::table::Table;

const RESUME: &str = "`ffu resume`";
const ROLLBACK: &str = "`ffu rollback`";

/// The end of what a call said.
pub fn said(ran: &Ran) -> String {
    let text = format!("exit {}: {}{}", ran.code, ran.out, ran.err);
    let from = text.char_indices().rev().nth(600).map_or(0, |(at, _)| at);
    text.get(from..).unwrap_or_default().to_owned()
}

/// The one of each kind of action that is stopped at: its id, in the order of the plan.
fn kinds(cloud: &Cloud) -> Vec<String> {
    let mut seen: Vec<(String, String)> = Vec::new();
    for step in cloud.plan["steps"].as_array().unwrap() {
        let (id, phase) = (step["id"].as_str().unwrap(), step["phase"].as_str().unwrap());
        if matches!(phase, "release" | "finish") {
            continue;
        }
        let action = &step["action"];
        let mut kind = action["kind"].as_str().unwrap().to_owned();
        if kind == "command" {
            // A schema change that does something and one that is proven to do nothing are two kinds.
            kind = format!("{kind} {}", action["purpose"].as_str().unwrap());
            if action["purpose"] == "schema" && action["project"] == "neutron" {
                kind.push_str(" with changes");
            }
        }
        if seen.iter().all(|(known, _)| *known != kind) {
            seen.push((kind, id.to_owned()));
        }
    }
    seen.into_iter().map(|(_, id)| id).collect()
}

/// The steps in the order in which one lane takes them.
fn in_order(cloud: &Cloud) -> Vec<String> {
    let steps = cloud.plan["steps"].as_array().unwrap();
    let wanted = kinds(cloud);
    let mut done: Vec<&str> = Vec::new();
    while let Some(step) = steps.iter().find(|step| {
        let needs = step["needs"].as_array().unwrap();
        !done.contains(&step["id"].as_str().unwrap()) && needs.iter().all(|need| done.contains(&need.as_str().unwrap()))
    }) {
        done.push(step["id"].as_str().unwrap());
    }
    let wanted = |id: &&str| wanted.iter().any(|kind| kind == id);
    done.into_iter().filter(wanted).map(str::to_owned).collect()
}

/// A run that is killed at each of these points in turn, resumed each time, and has to end in the target.
pub fn resumed(cloud: &Cloud, table: &mut Table, points: Vec<String>) {
    resumed_as(cloud, table, ("Killed in a run, then resumed", &["--cold"]), points);
}

fn resumed_as(cloud: &Cloud, table: &mut Table, (part, more): (&str, &[&str]), points: Vec<String>) {
    let plan = cloud.path("one.json");
    let way = Way {
        part,
        first: &[&["run", plan.as_str(), "--yes"], more].concat(),
        again: &[&["resume"], more].concat(),
        named: RESUME,
        ends: Cloud::is_at_target,
    };
    way.killed_at(cloud, table, points);
}

/// The rollback of a run that is done, killed at each of these points in turn.
pub fn taken_back(cloud: &Cloud, table: &mut Table, points: Vec<String>) {
    let way = Way {
        part: "Killed in a rollback, then rolled back",
        first: &["rollback", "--yes"],
        again: &["rollback", "--yes"],
        named: ROLLBACK,
        ends: Cloud::is_at_source,
    };
    way.killed_at(cloud, table, points);
}

/// A call that is killed over and over, and where it has to end.
struct Way<'a> {
    part: &'a str,
    first: &'a [&'a str],
    /// What goes on after a kill.
    again: &'a [&'a str],
    named: &'a str,
    ends: fn(&Cloud) -> Result<String, String>,
}

impl Way<'_> {
    fn killed_at(&self, cloud: &Cloud, table: &mut Table, points: Vec<String>) {
        let mut killed: Vec<(String, Instant)> = Vec::new();
        let mut broken = None;
        for point in points {
            let call = if killed.is_empty() { self.first } else { self.again };
            let ran = cloud.ffu(call, Some(&point));
            if ran.code != KILLED {
                broken = Some(format!("it did not come to {point}: {}", said(&ran)));
                break;
            }
            killed.push((point, Instant::now()));
        }
        let ran = cloud.ffu(self.again, None);
        let result = match (broken, ran.code) {
            (Some(broken), _) => Err(broken),
            (None, 0) => (self.ends)(cloud),
            _ => Err(said(&ran)),
        };
        let named = self.named;
        for (nth, (point, begun)) in killed.iter().enumerate() {
            let then = match killed.get(nth + 1) {
                Some((next, _)) => format!("{named}, killed again at {next}, … to the end"),
                None => named.to_owned(),
            };
            table.add(self.part, point, &then, *begun, result.clone());
        }
    }
}

/// Runs killed at every point of one step of every kind, each then taken back by a rollback killed at every point. A step that
/// was found complete after its kill has no later points, so there is more than one run.
pub fn every_point_resumed(cloud: &Cloud, table: &mut Table) {
    let at = |points: &[&str], steps: &[String]| -> Vec<String> {
        let each = |step: &String| points.iter().map(|point| format!("{point}@{step}")).collect::<Vec<_>>();
        steps.iter().flat_map(each).collect()
    };
    let steps = in_order(cloud);
    let actions = ["quiesce", "databases", "files", "services"].map(|name| format!("rollback.{name}"));
    let runs: [(&[&str], &[&str]); 4] = [
        (
            &["torn-intent", "before-intent", "after-intent"],
            &["torn-intent", "before-intent", "after-intent"],
        ),
        (&["after-effect"], &["after-effect"]),
        (&["torn-outcome"], &["torn-outcome", "after-outcome"]),
        (&["after-outcome"], &["after-effect", "after-outcome"]),
    ];
    for (nth, (forward, backward)) in runs.into_iter().enumerate() {
        let (mut forward, mut backward) = (at(forward, &steps), at(backward, &actions));
        if nth == 0 {
            forward.insert(0, "after-attached@run".to_owned());
            forward.push("before-ended@run".to_owned());
            backward.insert(0, "after-attached@rollback".to_owned());
            backward.push("before-ended@run".to_owned());
        }
        resumed(cloud, table, forward);
        taken_back(cloud, table, backward);
    }
}

/// Placement's database made and filled from nova's, killed at every point of both: first in a run that goes to the target, then
/// in runs that are taken back.
pub fn extraction(cloud: &Cloud, table: &mut Table) {
    let steps = cloud.plan["steps"].as_array().unwrap().iter();
    let makes =
        |step: &&serde_json::Value| matches!(step["action"]["kind"].as_str(), Some("create-database" | "copy-tables"));
    let ids: Vec<&str> = steps.filter(makes).map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    let points = [
        "torn-intent",
        "before-intent",
        "after-intent",
        "after-effect",
        "torn-outcome",
        "after-outcome",
    ];
    let at = |id: &&str| points.map(|point| format!("{point}@{id}"));
    let part = "Rocky → Train: placement's tables leave nova, killed and resumed";
    resumed_as(cloud, table, (part, &["--cold"]), ids.iter().flat_map(at).collect());
    taken_back(cloud, table, vec!["after-effect@rollback.databases".to_owned()]);
    for (point, id) in ["after-effect", "after-intent"].iter().zip(&ids) {
        let part = "Rocky → Train: placement's tables leave nova, killed and rolled back";
        rolled_back(cloud, table, (part, &["--cold"]), &format!("{point}@{id}"));
    }
}

/// For every kind of action and every point a run of its own, killed there and taken back. One point of each kind first.
pub fn every_point_rolled_back(cloud: &Cloud, table: &mut Table) {
    let points = ["before-intent", "after-intent", "after-effect", "after-outcome"];
    let steps = kinds(cloud);
    for round in 0..points.len() {
        for (nth, step) in steps.iter().enumerate() {
            let Some(point) = points.get((round + nth) % points.len()) else {
                continue;
            };
            let how = ("Killed in a run, then rolled back", &["--cold"][..]);
            rolled_back(cloud, table, how, &format!("{point}@{step}"));
        }
    }
}

fn rolled_back(cloud: &Cloud, table: &mut Table, (part, more): (&str, &[&str]), point: &str) {
    if table.is_late() || table.has(point, ROLLBACK) {
        return;
    }
    let plan = cloud.path("two.json");
    let ran = cloud.ffu(&[&["run", plan.as_str(), "--yes"], more].concat(), Some(point));
    let begun = Instant::now();
    let back = cloud.ffu(&["rollback", "--yes"], None);
    let result = match (ran.code, back.code) {
        (KILLED, 0) => cloud.is_at_source(),
        (KILLED, _) => Err(said(&back)),
        _ => Err(format!("it did not come to the point: {}", said(&ran))),
    };
    table.add(part, point, ROLLBACK, begun, result);
}

/// Every kind of message between `ffu` and a warm environment, in the order in which they come.
pub fn every_message(cloud: &Cloud, table: &mut Table) {
    let part = "Killed at a message to or from a warm environment";
    let messages = [
        "heard@hello",
        "before-say@node",
        "after-say@node",
        "heard@forked",
        "before-say@command",
        "after-say@command",
        "before-say@take-over",
        "after-say@take-over",
        "heard@ready",
        "before-say@go",
        "after-say@go",
        "before-say@reap",
        "after-say@reap",
        "heard@status",
    ];
    resumed_as(cloud, table, (part, &[]), messages.map(str::to_owned).to_vec());
    cloud.ffu(&["rollback", "--yes"], None);
    let command = messages.iter().skip_while(|message| **message != "after-say@command");
    for point in command.step_by(2) {
        rolled_back(cloud, table, (part, &[]), point);
    }
}

/// The acceptance, killed at every point; before its first intent a rollback still works, afterwards it is refused.
pub fn accepted(cloud: &Cloud, table: &mut Table) {
    let part = "Killed in an acceptance";
    let plan = cloud.path("one.json");
    let accept: &[&str] = &["accept", "--yes"];
    let begin = || cloud.ffu(&["run", &plan, "--yes", "--cold"], None).exits(0);
    begin();
    let ran = cloud.ffu(accept, Some("before-intent@release.agents"));
    let begun = Instant::now();
    let back = cloud.ffu(&["rollback", "--yes"], None);
    let result = match (ran.code, back.code) {
        (KILLED, 0) => cloud.is_at_source(),
        _ => Err(format!("{}; {}", said(&ran), said(&back))),
    };
    table.add(part, "before-intent@release.agents", ROLLBACK, begun, result);
    begin();
    let steps = cloud.plan["steps"].as_array().unwrap().iter();
    let after = steps.filter(|step| matches!(step["phase"].as_str(), Some("release" | "finish")));
    for step in after {
        let id = step["id"].as_str().unwrap();
        for point in ["before-intent", "after-intent", "after-effect"] {
            let point = format!("{point}@{id}");
            let ran = cloud.ffu(accept, Some(&point));
            let begun = Instant::now();
            if point == "before-intent@release.agents" {
                continue;
            }
            let back = cloud.ffu(&["rollback", "--yes"], None);
            let refused = back.code != 0 && format!("{}{}", back.out, back.err).contains("point of no return");
            let result = match (ran.code, refused) {
                (KILLED, true) => Ok("refused: it is past the point of no return".to_owned()),
                _ => Err(format!("{}; {}", said(&ran), said(&back))),
            };
            table.add(part, &point, ROLLBACK, begun, result);
        }
    }
    let begun = Instant::now();
    let end = cloud.ffu(accept, None);
    let result = match end.code {
        0 => cloud
            .is_at_target()
            .and_then(|said| cloud.left_nothing().map(|()| said)),
        _ => Err(said(&end)),
    };
    table.add(part, "each of them in turn", "`ffu accept`", begun, result);
}
