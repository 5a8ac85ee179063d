//! The `[client]` section of a MySQL option file: how an administrator's account is named without its password being
//! written anywhere else.

use camino::Utf8Path;
use ffu_model::secret::Secret;

use crate::error::DbError;
use crate::url::ConnectionUrl;

/// Reads user, password, host, port and socket. Later lines win; `!include` is not followed.
///
/// # Errors
/// [`DbError::OptionFile`] if the file cannot be read or used.
pub fn read(file: &Utf8Path) -> Result<ConnectionUrl, DbError> {
    let wrong = |reason: String| DbError::OptionFile {
        file: file.to_owned(),
        reason,
    };
    let text = crate::oslo::read(file).map_err(|error| wrong(error.to_string()))?;
    let (mut user, mut password, mut host, mut port, mut socket) = (None, None, None, None, None);
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';', '!']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_owned();
            continue;
        }
        if !matches!(section.as_str(), "client" | "client-mariadb" | "client-server") {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let value = unescaped(value.trim());
        match key.trim().replace('_', "-").as_str() {
            "user" => user = Some(value),
            "password" => password = Some(Secret::new(value)),
            "host" => host = Some(value),
            "port" => {
                port = Some(
                    value
                        .parse::<u16>()
                        .map_err(|_| wrong("port is not a number".to_owned()))?,
                )
            }
            "socket" => socket = Some(value),
            _ => {}
        }
    }
    let user = user
        .filter(|name| !name.is_empty())
        .ok_or_else(|| wrong("it names no user".to_owned()))?;
    if host.is_none() && socket.is_none() {
        return Err(wrong("it names neither host nor socket".to_owned()));
    }
    // A host other than the local one means TCP, whatever socket is the default.
    let socket = socket.filter(|_| matches!(host.as_deref(), None | Some("localhost")));
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    Ok(ConnectionUrl::from_parts(
        &user,
        password,
        &host,
        port,
        socket.as_deref().map(Utf8Path::new),
    ))
}

/// Option files quote with `'` or `"` and know a few escapes.
fn unescaped(value: &str) -> String {
    let inner = ['"', '\'']
        .iter()
        .find_map(|q| value.strip_prefix(*q).and_then(|rest| rest.strip_suffix(*q)))
        .unwrap_or(value);
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('s') => out.push(' '),
                Some('\\') => out.push('\\'),
                Some(other @ ('"' | '\'')) => out.push(other),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            (plain, false) => out.push(plain),
        }
    }
    out
}

/// The text of an option file for client programs.
pub(crate) fn client_section(url: &ConnectionUrl) -> String {
    let quoted = |text: &str| {
        let text = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace('\t', "\\t");
        format!("\"{text}\"")
    };
    let mut text = format!("[client]\nuser={}\n", quoted(url.user()));
    if let Some(password) = url.password() {
        text.push_str(&format!("password={}\n", quoted(password.expose())));
    }
    match url.socket() {
        Some(socket) => text.push_str(&format!("protocol=socket\nsocket={}\n", quoted(socket.as_str()))),
        None => text.push_str(&format!(
            "protocol=tcp\nhost={}\nport={}\n",
            quoted(url.host()),
            url.port()
        )),
    }
    text
}
