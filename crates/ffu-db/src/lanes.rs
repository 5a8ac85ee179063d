//! The same work for several things at once, for work that mostly waits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::DbError;

/// Works on items in their order, `lanes` at a time and one at least; results in the order of the items. After one that fails no
/// further is begun.
///
/// # Errors
/// Of several that fail, that of the first in their order.
pub fn side_by_side<T: Sync, R: Send, E: Send>(
    lanes: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Mutex<Vec<(usize, Result<R, E>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..lanes.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while !failed.load(Ordering::SeqCst) {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    if result.is_err() {
                        failed.store(true, Ordering::SeqCst);
                    }
                    results
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Places that what works side by side shares, so that lanes inside lanes are not lanes times lanes of the costly part; and what
/// waits for one is not begun any more after a failure.
pub(crate) struct Slots {
    count: usize,
    state: Mutex<State>,
    given_back: Condvar,
}

struct State {
    free: usize,
    /// The first failure, until it is taken; and whether there was one.
    failure: Option<DbError>,
    failed: bool,
}

impl Slots {
    /// So many, and one at least.
    pub(crate) fn new(count: usize) -> Self {
        let count = count.max(1);
        Slots {
            count,
            state: Mutex::new(State {
                free: count,
                failure: None,
                failed: false,
            }),
            given_back: Condvar::new(),
        }
    }

    /// Waits for one and works, unless something has failed by then.
    pub(crate) fn work<R>(&self, work: impl FnOnce() -> Result<R, DbError>) -> Result<R, DbError> {
        let mut state = self.state();
        while state.free == 0 && !state.failed {
            state = self.given_back.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failed {
            return Err(beside());
        }
        state.free -= 1;
        drop(state);
        let _slot = Slot(self);
        self.noted(work())
    }

    /// [`side_by_side`], in as many lanes as there are slots, for work that takes slots; the error is that of what failed first, in a slot or out of one.
    pub(crate) fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, DbError> + Sync,
    ) -> Result<Vec<R>, DbError> {
        let done = side_by_side(self.count, items, |item| self.noted(work(item)));
        done.map_err(|error| self.state().failure.take().unwrap_or(error))
    }

    /// Keeps the first error, so that no later one is told instead, and has nothing begin after it.
    fn noted<R>(&self, result: Result<R, DbError>) -> Result<R, DbError> {
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let mut state = self.state();
        if state.failed {
            return Err(error);
        }
        state.failed = true;
        state.failure = Some(error);
        drop(state);
        self.given_back.notify_all();
        Err(beside())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Given back also when the work panics.
struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.state().free += 1;
        self.0.given_back.notify_one();
    }
}

/// What is ended by another's failure is told nowhere: [`Slots::each`] has that failure.
fn beside() -> DbError {
    DbError::Stopped {
        during: "working beside what failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;

    #[test]
    fn as_many_as_there_are_lanes() {
        for (lanes, wanted) in [(0, 1), (1, 1), (3, 3), (9, 6)] {
            let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let all = Barrier::new(wanted);
            let done = side_by_side(lanes, &[(); 6], |()| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                all.wait();
                std::thread::sleep(Duration::from_millis(2));
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<(), String>(())
            });
            assert_eq!((done, most.into_inner()), (Ok(vec![(); 6]), wanted), "{lanes} lanes");
        }
        let none: Result<Vec<()>, &str> = side_by_side(2, &[] as &[u8], |_| Err("never"));
        assert_eq!(none, Ok(Vec::new()));
    }

    #[test]
    fn the_first_that_fails_is_named_and_nothing_begun_after_it() {
        let begun = AtomicUsize::new(0);
        let both = Barrier::new(2);
        let done = side_by_side(2, &[1, 2, 3, 4], |item| {
            begun.fetch_add(1, Ordering::SeqCst);
            both.wait();
            // The second fails earlier.
            std::thread::sleep(Duration::from_millis(if *item == 1 { 50 } else { 0 }));
            Err::<(), _>(format!("{item} failed"))
        });
        assert_eq!((done, begun.into_inner()), (Err("1 failed".to_owned()), 2));
    }

    #[test]
    fn lanes_inside_lanes_share_their_slots() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let slots = Slots::new(3);
        let done = slots.each(&[(); 4], |()| {
            side_by_side(4, &[(); 4], |()| {
                slots.work(|| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                })
            })
        });
        assert!(done.is_ok());
        let most = most.into_inner();
        assert!((2..=3).contains(&most), "{most}");
    }

    fn failure(number: usize) -> DbError {
        DbError::Stopped {
            during: format!("work {number}"),
        }
    }

    #[test]
    fn what_waits_for_a_slot_is_not_begun_after_a_failure() {
        let begun = AtomicUsize::new(0);
        let slots = Slots::new(1);
        let done = slots.each(&[()], |()| {
            side_by_side(4, &[(); 4], |()| {
                slots.work(|| {
                    let number = begun.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    Err::<(), _>(failure(number))
                })
            })
        });
        let error = done.unwrap_err().to_string();
        assert!(error.contains("work 0"), "{error}");
        assert_eq!(begun.into_inner(), 1);
    }

    #[test]
    fn a_failure_outside_of_a_slot_is_told_and_ends_the_others_too() {
        let slots = Slots::new(2);
        let working = Barrier::new(2);
        let done = slots.each(&[0, 1], |item| {
            if *item == 1 {
                working.wait();
                return Err(failure(1));
            }
            // In a slot while the other fails, and failing after it.
            slots.work(|| {
                working.wait();
                while !slots.state().failed {
                    std::thread::yield_now();
                }
                Err::<(), _>(failure(0))
            })?;
            Ok(())
        });
        assert!(done.unwrap_err().to_string().contains("work 1"));
        assert!(slots.work(|| Ok(())).is_err());
    }
}
