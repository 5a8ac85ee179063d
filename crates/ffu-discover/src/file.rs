//! `cloud.toml`: written deterministically, read strictly. Whoever edits it, or hands over a hostile one, gets a line.

use std::collections::BTreeSet;

use camino::{Utf8Component, Utf8Path};
use ffu_model::cloud::{CLOUD_FORMAT, ServiceManagerKind, is_name};
use ffu_model::{Cloud, ConnectionRef};

use crate::error::CloudFileError;

/// A cloud with hundreds of cells has a few hundred kilobytes.
const LIMIT: usize = 8 << 20;

/// The text of a cloud file: the same cloud always gives the same bytes.
///
/// # Errors
/// [`CloudFileError::NotWritable`] for numbers beyond what TOML has.
pub fn to_toml(cloud: &Cloud) -> Result<String, CloudFileError> {
    let body = toml::to_string(cloud).map_err(|error| CloudFileError::NotWritable(error.to_string()))?;
    Ok(format!(
        "# Made by `ffu discover`. It holds no secret: connections are read from the files it names.\n\n{body}"
    ))
}

/// Reads a cloud file; `file` is its name for messages.
///
/// # Errors
/// [`CloudFileError`] with the line.
pub fn from_toml(file: &str, text: &str) -> Result<Cloud, CloudFileError> {
    if text.len() > LIMIT {
        return Err(CloudFileError::TooLarge {
            file: file.to_owned(),
            bytes: text.len(),
            limit: LIMIT,
        });
    }
    let cloud: Cloud = toml::from_str(text).map_err(|error| CloudFileError::Syntax {
        file: file.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        message: error.message().to_owned(),
    })?;
    check(&cloud).map_err(|bad| CloudFileError::BadValue {
        file: file.to_owned(),
        line: find_line(text, &bad.value),
        what: bad.what,
        value: bad.value.chars().take(80).collect(),
        reason: bad.reason,
    })?;
    Ok(cloud)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The first line that holds a value, as it would be written.
fn find_line(text: &str, value: &str) -> usize {
    let written = toml::Value::String(value.to_owned()).to_string();
    let found = text
        .find(&written)
        .or_else(|| text.find(value).filter(|_| !value.is_empty()));
    found.map_or(0, |offset| line_of(text, offset))
}

struct Bad {
    what: &'static str,
    value: String,
    reason: String,
}

fn bad(what: &'static str, value: &str, reason: &str) -> Bad {
    Bad {
        what,
        value: value.to_owned(),
        reason: reason.to_owned(),
    }
}

fn check(cloud: &Cloud) -> Result<(), Bad> {
    if cloud.format != CLOUD_FORMAT {
        let reason = format!("is not a format this program reads; it reads {CLOUD_FORMAT}");
        return Err(bad("format", &cloud.format.to_string(), &reason));
    }
    if cloud.deployment != "plain" {
        return Err(bad("deployment", &cloud.deployment, "is unknown; there is plain"));
    }
    text("name", &cloud.name)?;
    path("root", &cloud.root)?;
    if let ServiceManagerKind::Process { directory } = &cloud.service_manager {
        path("directory of services", directory)?;
    }
    let mut ids = BTreeSet::new();
    for server in &cloud.servers {
        name("server id", &server.id)?;
        text("address", &server.address)?;
        unique("server id", &mut ids, &server.id)?;
        if let Some(file) = &server.admin_option_file {
            path("admin_option_file", file)?;
        }
    }
    let mut projects = BTreeSet::new();
    for project in &cloud.projects {
        name("project", &project.project)?;
        unique("project", &mut projects, &project.project)?;
        for file in &project.config_files {
            path("config file", &file.path)?;
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad("sha256", &file.sha256, "is not 64 hexadecimal digits"));
            }
        }
        let mut roles = BTreeSet::new();
        for database in &project.databases {
            role(&database.role)?;
            unique("role", &mut roles, &database.role)?;
            if !ids.contains(&database.server) {
                return Err(bad("server", &database.server, "is the id of no server of this file"));
            }
            schema(&database.schema)?;
            for (what, value) in [("charset", &database.charset), ("collation", &database.collation)] {
                if !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    return Err(bad(what, value, "has other characters than letters, digits and _"));
                }
            }
            connection(&database.connection)?;
        }
    }
    let mut units = BTreeSet::new();
    for service in &cloud.services {
        unit(&service.unit)?;
        unique("unit", &mut units, &service.unit)?;
        name("service", &service.service)?;
        name("project", &service.project)?;
    }
    Ok(())
}

fn unique(what: &'static str, seen: &mut BTreeSet<String>, value: &str) -> Result<(), Bad> {
    if seen.insert(value.to_owned()) {
        Ok(())
    } else {
        Err(bad(what, value, "is there twice"))
    }
}

fn name(what: &'static str, value: &str) -> Result<(), Bad> {
    if is_name(value) {
        return Ok(());
    }
    Err(bad(
        what,
        value,
        "is not a name: lower-case letters, digits, - and _, at most 64, a letter or digit first",
    ))
}

fn text(what: &'static str, value: &str) -> Result<(), Bad> {
    if value.chars().any(char::is_control) || value.len() > 1024 {
        return Err(bad(what, value, "has control characters or is longer than 1024 bytes"));
    }
    if ffu_model::secret::mask(value, &[]) != value {
        return Err(bad(what, "***", "holds a password: a cloud file never does"));
    }
    Ok(())
}

/// A role is `main`, `api`, `cell`, `cell0` or `cell:NAME`, where the name is an operator's.
fn role(value: &str) -> Result<(), Bad> {
    if let Some(cell) = value.strip_prefix("cell:") {
        if !cell.is_empty() && value.len() <= 255 {
            return text("role", value);
        }
    } else if is_name(value) {
        return Ok(());
    }
    Err(bad("role", value, "is neither a name nor cell:NAME"))
}

fn schema(value: &str) -> Result<(), Bad> {
    let length = value.chars().count();
    if (1..=64).contains(&length) && !value.chars().any(char::is_control) && !value.ends_with(' ') {
        return Ok(());
    }
    Err(bad("schema", value, "is not 1 to 64 printable characters"))
}

fn unit(value: &str) -> Result<(), Bad> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.@\\-".contains(c);
    let inside = !value.starts_with(['-', '.']) && !value.contains("..");
    if (1..=255).contains(&value.len()) && value.chars().all(plain) && inside {
        return Ok(());
    }
    Err(bad(
        "unit",
        value,
        "is not the name of a unit: letters, digits and :_.@\\-, not beginning with - or .",
    ))
}

fn path(what: &'static str, value: &Utf8Path) -> Result<(), Bad> {
    if !value.is_absolute() {
        return Err(bad(what, value.as_str(), "is not an absolute path"));
    }
    if value.as_str().chars().any(char::is_control) || value.as_str().len() > 4096 {
        return Err(bad(
            what,
            value.as_str(),
            "has control characters or is longer than 4096 bytes",
        ));
    }
    if value.components().any(|part| matches!(part, Utf8Component::ParentDir)) {
        return Err(bad(what, value.as_str(), "has `..` in it"));
    }
    Ok(())
}

fn connection(connection: &ConnectionRef) -> Result<(), Bad> {
    match connection {
        ConnectionRef::Config { file, section, option } => {
            path("config file", file)?;
            text("section", section)?;
            text("option", option)
        }
        ConnectionRef::CellMapping { file, uuid } => {
            path("config file", file)?;
            text("uuid", uuid)
        }
        ConnectionRef::SameServer {
            file,
            section,
            option,
            schema: name,
        } => {
            path("config file", file)?;
            text("section", section)?;
            text("option", option)?;
            schema(name)
        }
    }
}
