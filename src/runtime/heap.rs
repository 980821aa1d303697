//! The guest's allocator, with a count of the bytes that are in use: the allocator itself does not tell.

#[cfg(not(target_arch = "wasm32"))]
use std::alloc::System as ALLOCATOR;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The guest's memory. The standard library's own allocator for WebAssembly is made for small modules, and slower.
#[cfg(target_arch = "wasm32")]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// The allocator, with a count of what is in use.
pub struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the allocator unchanged; the count is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { ALLOCATOR.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { ALLOCATOR.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        IN_USE.fetch_add(new_size, Ordering::Relaxed);
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { ALLOCATOR.realloc(pointer, layout, new_size) }
    }
}

/// Bytes in use on this instance's heap.
pub fn in_use_bytes() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// Bytes of this instance's linear memory; 0 outside of WebAssembly.
pub fn memory_bytes() -> usize {
    #[cfg(target_arch = "wasm32")]
    return core::arch::wasm32::memory_size(0) * 65_536;
    #[cfg(not(target_arch = "wasm32"))]
    return 0;
}
