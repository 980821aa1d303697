//! What a consumer has got, in the order in which it came.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::arrivals::{Event, Expected, Place, missing};
use super::consumer::{Consumer, Source};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// An event, as it came.
struct Received {
    from: Source,
    event: Event,
    /// The broker said that it had sent it before (MQTT's DUP).
    is_sent_again: bool,
}

/// Shared by whoever receives.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<Vec<Received>>>);

impl Inbox {
    /// Adds an event; `is_sent_again`: the broker said that it had sent it before.
    pub fn add(&self, from: Source, event: Event, is_sent_again: bool) {
        self.all().push(Received { from, event, is_sent_again });
    }

    /// How many came from there.
    pub fn count(&self, from: Source) -> usize {
        self.all().iter().filter(|one| one.from == from).count()
    }

    /// What came from there.
    pub fn of(&self, from: Source) -> Vec<Event> {
        self.all().iter().filter(|one| one.from == from).map(|one| one.event.clone()).collect()
    }

    /// What the broker says that it had sent before, and that came for the first time all the same: it was lost on the way, when a
    /// connection ended.
    pub fn sent_again(&self) -> BTreeSet<Place> {
        let (mut seen, mut sent_again) = (BTreeSet::new(), BTreeSet::new());
        for one in self.all().iter().filter(|one| one.from == Source::Broker) {
            if seen.insert(one.event.place.clone()) && one.is_sent_again {
                sent_again.insert(one.event.place.clone());
            }
        }
        sent_again
    }

    /// A consumer that has taken all of it.
    pub fn consumed(&self) -> Consumer {
        let mut consumer = Consumer::default();
        self.all().iter().for_each(|one| consumer.take(&one.event));
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

    fn all(&self) -> MutexGuard<'_, Vec<Received>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_again_is_what_came_for_the_first_time_as_such() {
        let inbox = Inbox::default();
        let event = |sequence: u32| Event {
            place: ("a".to_owned(), sequence),
            id: format!("a.{sequence}"),
            kind: "t".to_owned(),
            content: 0,
        };
        inbox.add(Source::Broker, event(1), false);
        inbox.add(Source::Broker, event(1), true);
        inbox.add(Source::Feed, event(2), false);
        inbox.add(Source::Broker, event(2), true);
        assert_eq!(inbox.sent_again(), BTreeSet::from([("a".to_owned(), 2)]));
        assert_eq!((inbox.count(Source::Broker), inbox.of(Source::Feed)), (3, vec![event(2)]));
        assert_eq!(inbox.consumed().handled(), [event(1), event(2)]);
    }
}
