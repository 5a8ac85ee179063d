//! Why an agent over ssh ended, in words that say what to type next.

use ffu_model::watch::Vantage;

use super::process::Ended;
use crate::ssh;

/// Why the agent of a vantage point ended by itself. `heard` says whether it ever said anything.
pub(super) fn ended(name: &str, vantage: &Vantage, ended: &Ended, heard: bool) -> String {
    let Vantage::Ssh { host, config, program } = vantage else {
        return ended.to_string();
    };
    let by_hand = |what: &str| ssh::by_hand(host, config.as_deref(), what);
    let install =
        format!("install the same version of ffu at {host}, or set `program` of [vantages.{name}] to its path there");
    let (what, next) = match ended.status.and_then(|status| status.code()) {
        // ssh's own: everything above it is of the command over there.
        Some(255) if heard && ended.words.is_empty() => (
            format!("the agent at {host} was killed"),
            format!(
                "nothing: it is started again; `{}` shows who kills there",
                by_hand("dmesg")
            ),
        ),
        Some(255) if heard => (
            format!("the connection to {host} ended"),
            "nothing: it is made again".to_owned(),
        ),
        Some(255) => (
            format!("ssh does not get to {host}"),
            format!("`{}` must work without a question", by_hand("true")),
        ),
        Some(127) => (format!("there is no {program} at {host}"), install),
        Some(126) => (format!("{program} at {host} cannot be run"), install),
        Some(2) if ended.words.contains("unrecognized subcommand") => {
            (format!("{program} at {host} is too old to be a vantage point"), install)
        }
        _ => return ended.to_string(),
    };
    format!("{what} ({ended}); next: {next}")
}

/// Why it had to be ended, from what is known of the reason.
pub(super) fn must_end(vantage: &Vantage, why: &str, ended: &Ended, heard: bool) -> String {
    let why = format!("{why}, so it was ended ({ended})");
    match vantage {
        Vantage::Ssh { host, config, .. } if !heard => {
            let by_hand = ssh::by_hand(host, config.as_deref(), "true");
            format!("{why}; next: `{by_hand}` must work without a question, soon, and print nothing")
        }
        _ => why,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn far() -> Vantage {
        Vantage::Ssh {
            host: "rack2".into(),
            config: Some("/etc/ffu/ssh".into()),
            program: "/opt/ffu".into(),
        }
    }

    fn with(code: i32, words: &str) -> Ended {
        Ended {
            status: Some(ExitStatus::from_raw(code << 8)),
            words: words.into(),
        }
    }

    #[test]
    fn every_end_over_ssh_says_what_to_type() {
        let install = "install the same version of ffu at rack2, or set `program` of [vantages.far]";
        let by_hand = "`ssh -F /etc/ffu/ssh -o BatchMode=yes rack2 true` must work without a question";
        for (code, words, heard, what, next) in [
            (
                255,
                "Host key verification failed.",
                false,
                "ssh does not get to rack2",
                by_hand,
            ),
            (
                255,
                "Connection to rack2 closed",
                true,
                "the connection to rack2 ended",
                "it is made again",
            ),
            (255, "", true, "the agent at rack2 was killed", "it is started again"),
            (
                127,
                "sh: ffu: not found",
                false,
                "there is no /opt/ffu at rack2",
                install,
            ),
            (
                126,
                "Permission denied",
                false,
                "/opt/ffu at rack2 cannot be run",
                install,
            ),
            (
                2,
                "error: unrecognized subcommand 'watch-agent'",
                false,
                "/opt/ffu at rack2 is too old",
                install,
            ),
        ] {
            let why = ended("far", &far(), &with(code, words), heard);
            assert!(why.starts_with(what) && why.contains(next), "{why}");
            assert!(why.contains(words) && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn what_an_agent_says_itself_is_left_as_it_is() {
        let own = with(1, "cannot be probed; next: correct it");
        for vantage in [far(), Vantage::Here] {
            assert_eq!(ended("far", &vantage, &own, false), own.to_string());
        }
        assert_eq!(ended("here", &Vantage::Here, &with(127, ""), false), "exit status: 127");
    }

    #[test]
    fn one_that_was_never_heard_is_to_be_tried_by_hand() {
        let silent = with(0, "");
        let why = must_end(&far(), "nothing was heard of it for 20 s", &silent, false);
        assert!(
            why.contains("20 s, so it was ended") && why.contains("`ssh -F /etc/ffu/ssh -o BatchMode=yes rack2 true`"),
            "{why}"
        );
        assert!(!must_end(&far(), "it hangs", &silent, true).contains("next:"));
        assert!(!must_end(&Vantage::Here, "it hangs", &silent, false).contains("next:"));
    }
}
