//! The same work for several things at once, for work that mostly waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Works on items in their order, `lanes` at a time and one at least. After one that fails no further is begun.
///
/// # Errors
/// Of several that fail, that of the first in their order.
pub(super) fn side_by_side<T: Sync, E: Send>(
    lanes: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let failures_now = || failures.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..lanes.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while failures_now().is_empty() {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(item) = items.get(at) else { break };
                    if let Err(error) = work(item) {
                        failures_now().insert(at, error);
                    }
                }
            });
        }
    });
    let first = failures_now().pop_first();
    first.map_or(Ok(()), |(_, error)| Err(error))
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
            assert_eq!((done, most.into_inner()), (Ok(()), wanted), "{lanes} lanes");
        }
        assert_eq!(side_by_side(2, &[] as &[u8], |_| Err("never")), Ok(()));
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
            Err(format!("{item} failed"))
        });
        assert_eq!((done, begun.into_inner()), (Err("1 failed".to_owned()), 2));
    }
}
