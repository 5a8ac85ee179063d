//! The hook that stops the world: builds with debug assertions kill their own process where the variable `FFU_FAULT` says
//! so, as a power cut would, so that tests can look at what a run leaves behind anywhere. A release build has none of it.
//!
//! `FFU_FAULT=POINT@PLACE[:N]`, e.g. `after-intent@checkpoint` or `after-say@go:2`: at the N-th time (the first without it)
//! that this process comes to POINT of PLACE it sends itself `SIGKILL`. No destructor runs, nothing is flushed.
//!
//! | point | place | when |
//! | --- | --- | --- |
//! | `before-intent`, `after-intent` | id of a step or of a rollback action | the journal's line is about to be written; is synced |
//! | `after-effect` | the same | the side effect is done, and nothing has heard of it yet |
//! | `before-outcome`, `after-outcome` | the same | its outcome is about to be written; is synced |
//! | `before-settled`, `after-settled` | the same | likewise the outcome that a later process found for a step left open |
//! | `torn-intent`, `torn-outcome` | the same | half of the line is written and synced, as by a device that lost power |
//! | `before-KIND`, `after-KIND` | for `created` the run's id, `attached` what for, `resolved` and `taken` the step, `ended` the word `run` | the journal's other lines |
//! | `before-say`, `after-say` | kind of a message to a warm environment | it is about to be sent; is sent |
//! | `heard` | kind of a message from one | it was received, and nothing was made of it yet |

/// Kills this process if the variable says so. In release builds it does nothing.
#[inline]
pub fn point(point: &str, place: &str) {
    #[cfg(debug_assertions)]
    if armed::is_due(point, place) {
        armed::die();
    }
    #[cfg(not(debug_assertions))]
    let _ = (point, place);
}

/// As [`point`], but hands the dying to the caller, who does a last thing before and then calls [`die`].
#[cfg(debug_assertions)]
pub fn is_due(point: &str, place: &str) -> bool {
    armed::is_due(point, place)
}

/// Kills this process.
#[cfg(debug_assertions)]
pub fn die() -> ! {
    armed::die()
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();

    /// One place, and how often this process came by.
    pub(super) struct Wanted {
        pub(super) point: String,
        pub(super) place: String,
        left: AtomicU32,
    }

    impl Wanted {
        /// A variable that says nothing sensible arms nothing.
        pub(super) fn read(text: &str) -> Option<Wanted> {
            let (point, rest) = text.split_once('@')?;
            let (place, nth) = match rest.split_once(':') {
                Some((place, nth)) => (place, nth.parse().ok()?),
                None => (rest, 1),
            };
            (nth > 0).then(|| Wanted {
                point: point.to_owned(),
                place: place.to_owned(),
                left: AtomicU32::new(nth),
            })
        }

        pub(super) fn comes_by(&self, point: &str, place: &str) -> bool {
            self.point == point && self.place == place && self.left.fetch_sub(1, Ordering::SeqCst) == 1
        }
    }

    pub(super) fn is_due(point: &str, place: &str) -> bool {
        let wanted = WANTED.get_or_init(|| Wanted::read(&std::env::var("FFU_FAULT").ok()?));
        wanted.as_ref().is_some_and(|wanted| wanted.comes_by(point, place))
    }

    pub(super) fn die() -> ! {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
        // Until the kernel has done it.
        loop {
            std::thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    #[cfg(debug_assertions)]
    #[test]
    fn the_place_and_how_often_are_read_and_nonsense_arms_nothing() {
        use super::armed::Wanted;

        let third = Wanted::read("after-say@go:3").unwrap();
        assert_eq!((third.point.as_str(), third.place.as_str()), ("after-say", "go"));
        let seen: Vec<bool> = (0..5).map(|_| third.comes_by("after-say", "go")).collect();
        assert_eq!(seen, [false, false, true, false, false]);
        let other = Wanted::read("after-intent@checkpoint").unwrap();
        assert!(!other.comes_by("after-intent", "checkpoint.prepare"));
        assert!(!other.comes_by("before-intent", "checkpoint"));
        assert!(other.comes_by("after-intent", "checkpoint"));
        for nonsense in ["", "checkpoint", "a@b:", "a@b:0", "a@b:-1", "a@b:x"] {
            assert!(Wanted::read(nonsense).is_none(), "{nonsense:?}");
        }
    }

    #[test]
    fn a_process_dies_there_in_debug_builds_and_in_no_other() {
        const MARK: &str = "FFU_FAULT_TEST_CHILD";
        if std::env::var_os(MARK).is_some() {
            super::point("after-intent", "elsewhere");
            super::point("after-intent", "here");
            std::process::exit(42);
        }
        let name = "fault::tests::a_process_dies_there_in_debug_builds_and_in_no_other";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(MARK, "1")
            .env("FFU_FAULT", "after-intent@here")
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        if cfg!(debug_assertions) {
            assert_eq!(status.signal(), Some(9), "{status}");
        } else {
            assert_eq!(status.code(), Some(42), "{status}");
        }
    }
}
