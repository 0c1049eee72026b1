//! Memory that start-up needed and the rest of a long life does not.
//!
//! Owns no state. Only a program enters that has started all it starts; a library leaves its user's process alone.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

/// Give back the pages of code and constants that were touched so far, and free heap. What is needed again is mapped
/// again from the file, a minor fault for each 64 KiB: most of what parses, checks and compiles at the start never is.
///
/// Returns the bytes of mappings that were let go, which is more than was resident.
pub fn release_startup_pages() -> u64 {
    let mut released: u64 = 0;
    // SAFETY: `release_object` keeps to what dl_iterate_phdr(3) hands it, and gets a pointer to a number that outlives
    // the call.
    unsafe { libc::dl_iterate_phdr(Some(release_object), (&raw mut released).cast::<c_void>()) };
    #[cfg(target_env = "gnu")]
    // SAFETY: returns free memory at the end of the heaps; it touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
    released
}

/// Let go of the segments of one loaded object that nobody can have written to: their pages are those of the file,
/// relocations lie in writable segments.
unsafe extern "C" fn release_object(object: *mut libc::dl_phdr_info, _size: usize, released: *mut c_void) -> c_int {
    // SAFETY: the caller passes a valid object and the number of `release_startup_pages`; the headers are an array of
    // the stated length.
    let (object, headers, released) = unsafe {
        let object = &*object;
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        (object, headers, &mut *released.cast::<u64>())
    };
    const PAGE: u64 = 4096;
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0) {
        let begin = (object.dlpi_addr + header.p_vaddr) & !(PAGE - 1);
        let end = (object.dlpi_addr + header.p_vaddr + header.p_memsz) & !(PAGE - 1);
        if end <= begin {
            continue;
        }
        // SAFETY: the range is a private, read-only mapping of a file for as long as the object is loaded. Its pages
        // have no content but the file's, so they come back as they were. A range that is not aligned to the machine's
        // (larger) pages is refused by the kernel, and then nothing has happened.
        if unsafe { libc::madvise(begin as *mut c_void, (end - begin) as usize, libc::MADV_DONTNEED) } == 0 {
            *released += end - begin;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_goes_on_after_its_pages_were_let_go() {
        assert!(release_startup_pages() > 0);
        assert_eq!("still here".to_uppercase(), "STILL HERE");
    }
}
