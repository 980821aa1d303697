//! What a consumer has got, in the order in which it came.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::arrivals::{Event, Expected, Place, missing};
use super::consumer::{Consumer, Source};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Shared by whoever receives.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<Vec<(Source, Event)>>>);

impl Inbox {
    /// Adds an event.
    pub fn add(&self, from: Source, event: Event) {
        self.all().push((from, event));
    }

    /// How many came from there.
    pub fn count(&self, from: Source) -> usize {
        self.all().iter().filter(|(source, _)| *source == from).count()
    }

    /// What came from there.
    pub fn of(&self, from: Source) -> Vec<Event> {
        self.all().iter().filter(|(source, _)| *source == from).map(|(_, event)| event.clone()).collect()
    }

    /// A consumer that has taken all of it.
    pub fn consumed(&self) -> Consumer {
        let mut consumer = Consumer::default();
        self.all().iter().for_each(|(_, event)| consumer.take(event));
        consumer
    }

    /// Waits until all that there is has come from there, or nothing more has come for so long. What has not is returned.
    pub async fn wait_for_all(&self, from: Source, expected: &Expected, quiet: Duration) -> BTreeSet<Place> {
        let (mut count, mut since) = (0, std::time::Instant::now());
        loop {
            let came = self.of(from);
            let left = missing(expected, &came);
            if came.len() > count {
                (count, since) = (came.len(), std::time::Instant::now());
            }
            if left.is_empty() || since.elapsed() > quiet {
                return left;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<(Source, Event)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
