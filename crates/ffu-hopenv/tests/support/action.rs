//! The one place where this crate's tests make a command: each sets only what it is about.

use ffu_model::Series;
use ffu_model::step::{CommandAction, ConfigStyle, Purpose};

/// A schema command of which nothing is known but what is run.
pub fn action(series: &Series, project: &str, program: &str, arguments: &[&str]) -> CommandAction {
    CommandAction {
        series: series.clone(),
        project: project.to_owned(),
        command: "test".to_owned(),
        purpose: Purpose::Schema,
        program: program.to_owned(),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        config_files: Vec::new(),
        config_style: ConfigStyle::Arguments,
        config_variable: None,
        overlay: None,
        exit_codes: Vec::new(),
        failure_texts: Vec::new(),
        known_exceptions: Vec::new(),
        leftovers: Vec::new(),
        expect_heads: Vec::new(),
        no_op: None,
        excused_checks: Vec::new(),
        repeatable: true,
        needs_services: Vec::new(),
    }
}
