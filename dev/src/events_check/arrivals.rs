//! What is known of events that arrived: which are missing, which overtook others, which came in two versions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result};
use serde_json::Value;

/// An order and the number of an event in it.
pub type Place = (String, u32);

/// An event that somebody got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its order, and its number there.
    pub place: Place,
    /// The attribute `id`.
    pub id: String,
    /// The attribute `type`.
    pub kind: String,
    /// A hash of all of it.
    pub content: u64,
}

impl Event {
    /// Reads an event: its attributes, and the data under `data`.
    ///
    /// # Errors
    /// When an attribute is missing.
    pub fn read(event: &Value) -> Result<Event> {
        let text = |name: &str| event[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        let mut hasher = DefaultHasher::new();
        // Members are in order here, whatever their order was.
        event.to_string().hash(&mut hasher);
        Ok(Event {
            place: (text("subject")?, text("sequence")?.parse().context("the sequence")?),
            id: text("id")?,
            kind: text("type")?,
            content: hasher.finish(),
        })
    }

    /// What came and is no event; it stands for one that there is not.
    pub fn unreadable(error: &anyhow::Error) -> Event {
        let what = format!("no event: {error:#}");
        Event { place: (what.clone(), 0), id: what.clone(), kind: what, content: 0 }
    }
}

/// The events that there are, as the journal has them: their types.
pub type Expected = BTreeMap<Place, String>;

/// Which of the events that there are did not arrive.
pub fn missing(expected: &Expected, arrivals: &[Event]) -> BTreeSet<Place> {
    let arrived: BTreeSet<&Place> = arrivals.iter().map(|event| &event.place).collect();
    expected.keys().filter(|place| !arrived.contains(place)).cloned().collect()
}

/// Events that arrived and that there are not, or that are of another type.
pub fn invented(expected: &Expected, arrivals: &[Event]) -> Vec<String> {
    let strange = arrivals.iter().filter(|event| expected.get(&event.place) != Some(&event.kind));
    strange.map(|event| format!("{} ({}) is not in the journal", shown(&event.place), event.kind)).collect()
}

/// Events that arrived for the first time before an earlier one of their order had. Those in `lost` are not waited for.
pub fn overtaking(arrivals: &[Event], lost: &BTreeSet<Place>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut next: HashMap<&str, u32> = HashMap::new();
    let mut ahead: BTreeSet<&Place> = BTreeSet::new();
    for event in arrivals {
        let (order, sequence) = &event.place;
        let next = next.entry(order).or_insert(1);
        while lost.contains(&(order.clone(), *next)) || ahead.contains(&(order.clone(), *next)) {
            *next += 1;
        }
        if *sequence > *next && ahead.insert(&event.place) {
            problems.push(format!("{} arrived before number {next}", shown(&event.place)));
        }
        if sequence == next {
            *next += 1;
        }
    }
    problems
}

/// Events of one id that are not the same, and ids of one event that differ.
pub fn differing<'a>(arrivals: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let mut by_id: HashMap<&str, &Event> = HashMap::new();
    let mut by_place: HashMap<&Place, &Event> = HashMap::new();
    let mut problems = Vec::new();
    for event in arrivals {
        let same_id = *by_id.entry(&event.id).or_insert(event);
        let same_place = *by_place.entry(&event.place).or_insert(event);
        if same_id != event || same_place != event {
            problems.push(format!("{} came in two versions", shown(&event.place)));
        }
    }
    problems
}

/// How many of the arrivals were not the first of their event.
pub fn repeats(arrivals: &[Event]) -> usize {
    let distinct: BTreeSet<&str> = arrivals.iter().map(|event| event.id.as_str()).collect();
    arrivals.len() - distinct.len()
}

/// The orders of events.
pub fn orders(places: &BTreeSet<Place>) -> Vec<String> {
    let orders: BTreeSet<&String> = places.iter().map(|(order, _)| order).collect();
    orders.into_iter().cloned().collect()
}

/// An event, for a message.
pub fn shown((order, sequence): &Place) -> String {
    format!("event {sequence} of {order}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(order: &str, sequence: u32) -> Event {
        Event {
            place: (order.to_owned(), sequence),
            id: format!("{order}.{sequence}"),
            kind: "order.placed.v1".to_owned(),
            content: 0,
        }
    }

    fn events(places: &[(&str, u32)]) -> Vec<Event> {
        places.iter().map(|(order, sequence)| event(order, *sequence)).collect()
    }

    fn expected(places: &[(&str, u32)]) -> Expected {
        events(places).into_iter().map(|event| (event.place, event.kind)).collect()
    }

    fn places(places: &[(&str, u32)]) -> BTreeSet<Place> {
        places.iter().map(|(order, sequence)| ((*order).to_owned(), *sequence)).collect()
    }

    #[test]
    fn what_did_not_arrive_is_missing_and_what_there_is_not_is_invented() {
        let there_are = expected(&[("a", 1), ("a", 2), ("b", 1)]);
        assert_eq!(missing(&there_are, &events(&[("b", 1), ("a", 1), ("a", 2), ("a", 1)])), places(&[]));
        assert_eq!(missing(&there_are, &events(&[("a", 1), ("a", 1)])), places(&[("a", 2), ("b", 1)]));
        assert_eq!(missing(&there_are, &[]).len(), 3);
        assert!(invented(&there_are, &events(&[("a", 1), ("b", 1)])).is_empty());
        assert_eq!(invented(&there_are, &events(&[("b", 2)])).len(), 1);
        let other_type = Event { kind: "order.failed.v1".to_owned(), ..event("a", 1) };
        assert_eq!(invented(&there_are, &[other_type]).len(), 1);
    }

    #[test]
    fn an_event_that_comes_before_an_earlier_one_of_its_order_is_found() {
        let overtakes =
            |order: &[(&str, u32)], lost: &[(&str, u32)]| overtaking(&events(order), &places(lost)).len();
        assert_eq!(overtakes(&[("a", 1), ("b", 1), ("a", 2), ("b", 2)], &[]), 0);
        assert_eq!(overtakes(&[("a", 1), ("a", 2), ("a", 1), ("a", 2), ("a", 3)], &[]), 0, "repeats");
        assert_eq!(overtakes(&[("a", 2), ("a", 1)], &[]), 1);
        assert_eq!(overtakes(&[("a", 2), ("a", 2), ("a", 1), ("a", 3)], &[]), 1, "it is told once");
        assert_eq!(overtakes(&[("a", 1), ("a", 3), ("a", 4), ("a", 2), ("a", 5)], &[]), 2);
        assert_eq!(overtakes(&[("a", 1), ("a", 3)], &[]), 1, "the one before never came");
        assert_eq!(overtakes(&[("a", 1), ("a", 3), ("b", 2)], &[("a", 2), ("b", 1)]), 0, "it was lost");
        assert_eq!(overtakes(&[("a", 4), ("a", 3)], &[("a", 1), ("a", 2)]), 1);
        assert_eq!(overtakes(&[("a", 1), ("a", 2)], &[("b", 2)]), 0);
    }

    #[test]
    fn a_repeat_is_the_same_event() {
        assert_eq!(repeats(&events(&[("a", 1), ("a", 1), ("b", 1), ("a", 1)])), 2);
        assert!(differing(&events(&[("a", 1), ("a", 1), ("a", 2)])).is_empty());
        let other_content = Event { content: 1, ..event("a", 1) };
        assert_eq!(differing(&[event("a", 1), other_content]).len(), 1);
        let other_id = Event { id: "x".to_owned(), ..event("a", 1) };
        assert_eq!(differing(&[event("a", 1), other_id]).len(), 1);
        let other_place = Event { id: "a.1".to_owned(), ..event("a", 2) };
        assert_eq!(differing(&[event("a", 1), other_place]).len(), 1);
    }

    #[test]
    fn an_event_is_read_whatever_the_order_of_its_members() {
        let read = |text: &str| Event::read(&serde_json::from_str(text).unwrap());
        let event =
            read(r#"{"id":"o.1","subject":"o","sequence":"0000000001","type":"t","data":{"a":1,"b":2}}"#)
                .unwrap();
        assert_eq!((&event.place, &*event.id, &*event.kind), (&("o".to_owned(), 1), "o.1", "t"));
        let same =
            read(r#"{"data":{"b":2,"a":1},"subject":"o","sequence":"0000000001","type":"t","id":"o.1"}"#)
                .unwrap();
        assert_eq!(event, same);
        let other = read(r#"{"data":{"b":3},"subject":"o","sequence":"0000000001","type":"t","id":"o.1"}"#);
        assert_ne!(event, other.unwrap());
        assert!(read(r#"{"id":"o.1","subject":"o","type":"t"}"#).is_err());
    }
}
