//! A consumer as docs/events tells them to be: it takes events from a broker and from the feed, drops what it has seen, and handles those of
//! an order in its order. What the broker lost is a gap, which the feed fills.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::arrivals::{Event, Expected, shown};

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The MQTT broker.
    Broker,
    /// `GET /v1/events`.
    Feed,
}

/// What the consumer has seen, and what it has handled.
#[derive(Default)]
pub struct Consumer {
    seen: HashSet<String>,
    /// The number of the first event that was not handled, by order.
    next: HashMap<String, u32>,
    /// Those that came before an earlier one.
    waiting: HashMap<String, BTreeMap<u32, Event>>,
    handled: Vec<Event>,
}

impl Consumer {
    /// Takes an event, from wherever it comes.
    pub fn take(&mut self, event: &Event) {
        if !self.seen.insert(event.id.clone()) {
            return;
        }
        let (order, sequence) = event.place.clone();
        let waiting = self.waiting.entry(order.clone()).or_default();
        waiting.insert(sequence, event.clone());
        let next = self.next.entry(order).or_insert(1);
        while let Some(event) = waiting.remove(next) {
            *next += 1;
            self.handled.push(event);
        }
    }

    /// What it handled, in this order.
    pub fn handled(&self) -> &[Event] {
        &self.handled
    }

    /// The gaps: events that wait for an earlier one.
    pub fn gaps(&self) -> Vec<String> {
        let first_of_each = self.waiting.values().filter_map(|waiting| waiting.first_key_value());
        first_of_each.map(|(_, event)| format!("{} waits for an earlier one", shown(&event.place))).collect()
    }
}

/// Whether what a consumer handled is all that there is, each once, and in the order of each order.
pub fn unhandled(expected: &Expected, handled: &[Event]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut last: HashMap<&str, u32> = HashMap::new();
    for event in handled {
        let (order, sequence) = &event.place;
        let before = last.insert(order, *sequence).unwrap_or(0);
        if *sequence != before + 1 {
            problems.push(format!("{} was handled after number {before}", shown(&event.place)));
        }
    }
    let left =
        expected.keys().filter(|(order, sequence)| last.get(order.as_str()).is_none_or(|to| to < sequence));
    problems.extend(left.map(|place| format!("{} was not handled", shown(place))));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(order: &str, sequence: u32) -> Event {
        Event {
            place: (order.to_owned(), sequence),
            id: format!("{order}.{sequence}"),
            kind: "t".to_owned(),
            content: 0,
        }
    }

    fn after(events: &[(&str, u32)]) -> Consumer {
        let mut consumer = Consumer::default();
        for (order, sequence) in events {
            consumer.take(&event(order, *sequence));
        }
        consumer
    }

    fn handled(consumer: &Consumer) -> Vec<&str> {
        consumer.handled().iter().map(|event| event.id.as_str()).collect()
    }

    fn expected(places: &[(&str, u32)]) -> Expected {
        places.iter().map(|(order, sequence)| (((*order).to_owned(), *sequence), "t".to_owned())).collect()
    }

    #[test]
    fn events_are_handled_once_and_in_the_order_of_their_order() {
        let consumer =
            after(&[("a", 1), ("b", 2), ("a", 1), ("a", 3), ("a", 2), ("b", 1), ("a", 2), ("a", 3)]);
        assert_eq!(handled(&consumer), ["a.1", "a.2", "a.3", "b.1", "b.2"]);
        assert!(consumer.gaps().is_empty());
    }

    #[test]
    fn an_event_that_was_lost_is_a_gap_until_the_feed_has_filled_it() {
        let mut consumer = after(&[("a", 1), ("a", 3), ("a", 4)]);
        assert_eq!(handled(&consumer), ["a.1"]);
        assert_eq!(consumer.gaps(), ["event 3 of a waits for an earlier one"]);
        consumer.take(&event("a", 2));
        assert_eq!(handled(&consumer), ["a.1", "a.2", "a.3", "a.4"]);
        assert!(consumer.gaps().is_empty());
    }

    #[test]
    fn what_was_not_handled_or_handled_twice_or_too_early_is_found() {
        let there_are = expected(&[("a", 1), ("a", 2), ("b", 1)]);
        let problems = |events: &[(&str, u32)]| {
            let events: Vec<Event> = events.iter().map(|(order, sequence)| event(order, *sequence)).collect();
            unhandled(&there_are, &events).len()
        };
        assert_eq!(problems(&[("a", 1), ("b", 1), ("a", 2)]), 0);
        assert_eq!(problems(&[("a", 1), ("b", 1)]), 1, "the last one of an order");
        assert_eq!(problems(&[("a", 1), ("a", 2)]), 1, "an order");
        assert_eq!(problems(&[("a", 1), ("a", 1), ("a", 2), ("b", 1)]), 1, "twice");
        assert_eq!(problems(&[("a", 2), ("a", 1), ("a", 2), ("b", 1)]), 2, "too early, and then the others");
        assert_eq!(problems(&[]), 3);
    }
}
