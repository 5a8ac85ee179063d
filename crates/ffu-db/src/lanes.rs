//! The same work for several things at once, for work that mostly waits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

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
}
