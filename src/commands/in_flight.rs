//! The requests of an instance: how many it has had, and how many it is serving.

use std::cell::Cell;

/// Spin's default for the requests that it gives to one instance. After the last one the instance's connection would be held idle,
/// so the last request is guessed; a wrong guess costs one statement in so many requests.
const REQUESTS_PER_INSTANCE: u32 = 128;

thread_local! {
    static REQUESTS_BEGUN: Cell<u32> = const { Cell::new(0) };
    static REQUESTS_IN_FLIGHT: Cell<u32> = const { Cell::new(0) };
}

/// Guard: a request is being served until this is dropped.
pub struct InFlightRequest(());

impl InFlightRequest {
    /// Counts a request in.
    pub fn begin() -> Self {
        REQUESTS_BEGUN.set(REQUESTS_BEGUN.get().wrapping_add(1));
        REQUESTS_IN_FLIGHT.set(REQUESTS_IN_FLIGHT.get() + 1);
        Self(())
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        REQUESTS_IN_FLIGHT.set(REQUESTS_IN_FLIGHT.get() - 1);
    }
}

/// Whether the instance has probably served its last request.
pub(super) fn is_used_up() -> bool {
    REQUESTS_IN_FLIGHT.get() == 0 && REQUESTS_BEGUN.get().is_multiple_of(REQUESTS_PER_INSTANCE)
}
