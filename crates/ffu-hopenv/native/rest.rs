//! A library of one function for processes of hop environments, which lets memory of its own process rest in a file.
//!
//! Saving a piece of memory and mapping the saved file in its place must be one thing: whatever Python did between the two would be
//! lost, and Python cannot call twice without doing something. Compiled by build.rs, without any library but the one that has
//! the two calls, which every process has.
#![no_std]

use core::ffi::{c_int, c_void};

unsafe extern "C" {
    fn pwrite(file: c_int, data: *const c_void, size: usize, at: i64) -> isize;
    fn mmap(at: *mut c_void, size: usize, protection: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
}

const PROT_READ_WRITE: c_int = 1 | 2;
const MAP_PRIVATE_FIXED: c_int = 2 | 0x10;

#[panic_handler]
fn never(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Writes each of `count` runs of whole pages (begin, end) to the end of the file so far, and maps it privately from there: nothing
/// else is to be seen of it in the process, but the kernel may drop its pages and read them again. Returns the bytes of all
/// runs that rest now; where that is less than all, the others are as they were.
///
/// # Safety
/// The process has no other thread. The runs are private, readable and writable memory, and none is the stack. The file is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffu_rest(file: c_int, runs: *const [usize; 2], count: usize) -> i64 {
    let mut saved: i64 = 0;
    for at in 0..count {
        // SAFETY: the caller's promise.
        let [begin, end] = unsafe { *runs.add(at) };
        let (place, size) = (begin as *mut c_void, end.saturating_sub(begin));
        let mut done = 0;
        while done < size {
            // SAFETY: it is only read, and the kernel says so where it cannot be.
            let some = unsafe { pwrite(file, place.wrapping_byte_add(done), size - done, saved + done as i64) };
            if some <= 0 {
                return saved;
            }
            done += some as usize;
        }
        // SAFETY: what is there now is what was there before, for this thread, the only one, was here all the time.
        let mapped = unsafe { mmap(place, size, PROT_READ_WRITE, MAP_PRIVATE_FIXED, file, saved) };
        if mapped != place {
            return saved;
        }
        saved += size as i64;
    }
    saved
}
