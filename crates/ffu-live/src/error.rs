//! What can go wrong with showing a watch.

use std::io;
use std::net::SocketAddr;

/// An error of a view: what happened, to what, and what to type next. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The address can be reached from other hosts, and nothing keeps strangers out.
    #[error(
        "the live page at {address} could be read by anyone who reaches it\n  next: listen on 127.0.0.1 and reach it with `ssh -L {port}:127.0.0.1:{port} HOST`, or give a token",
        port = address.port()
    )]
    NeedsToken {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// The token could be guessed.
    #[error("the live page's token has {length} characters, {least} at least are needed\n  next: openssl rand -hex 24")]
    WeakToken {
        /// Its characters.
        length: usize,
        /// What is needed.
        least: usize,
    },
    /// The server could not start.
    #[error("the live page cannot be served at {address}: {source}\n  next: ffu watch --listen with another port")]
    Serve {
        /// Where it would listen, or what is known of it.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The terminal cannot be drawn on.
    #[error("cannot {action} the terminal: {source}\n  next: ffu watch --plain, which needs no terminal")]
    Terminal {
        /// `set up`, `read`, `draw on`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// No random bytes.
    #[error("cannot read random bytes for a token: {source}\n  next: give a token yourself: openssl rand -hex 24")]
    NoRandom {
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_type_next() {
        let broken = || io::Error::other("it is broken");
        let errors = [
            LiveError::NeedsToken {
                address: "0.0.0.0:8080".parse().unwrap(),
            },
            LiveError::WeakToken { length: 3, least: 16 },
            LiveError::Serve {
                address: "127.0.0.1:80".to_owned(),
                source: broken(),
            },
            LiveError::Terminal {
                action: "set up",
                source: broken(),
            },
            LiveError::NoRandom { source: broken() },
        ];
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(text.join("\n"));
    }
}
