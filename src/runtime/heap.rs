//! The global allocator of the guest, with a count of the bytes in use, which the allocator itself does not keep.

#[cfg(not(target_arch = "wasm32"))]
use std::alloc::System as ALLOCATOR;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

/// talc: faster than the standard library's allocator for WebAssembly (dlmalloc), which is made for small modules.
#[cfg(target_arch = "wasm32")]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// The global allocator; counts the bytes in use.
pub struct CountingAllocator;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded to the allocator unchanged; the count is separate.
unsafe impl GlobalAlloc for CountingAllocator {
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

/// Size of this instance's linear memory in bytes; 0 outside of WebAssembly.
pub fn memory_bytes() -> usize {
    #[cfg(target_arch = "wasm32")]
    return core::arch::wasm32::memory_size(0) * 65_536;
    #[cfg(not(target_arch = "wasm32"))]
    return 0;
}
