//! The table of what was counted.

use std::fmt::Write as _;
use std::time::Duration;

/// What a run has counted.
#[derive(Default)]
pub struct Figures {
    /// The sink.
    pub sink: String,
    /// Orders that were placed.
    pub orders: usize,
    /// Their events.
    pub events: usize,
    /// How often the sink failed: restarts of a broker, kinds of failures of an endpoint.
    pub failures: usize,
    /// What arrived at the sink's end, without what a replay sent again.
    pub arrived: usize,
    /// How many of these had arrived before.
    pub repeats: usize,
    /// How many arrived before an earlier one of their order, which the broker sent again later.
    pub overtaken: usize,
    /// Lost by the broker when it was restarted.
    pub lost_in_restarts: usize,
    /// Lost by the broker after it was told to forget the subscriber.
    pub lost_forgotten: usize,
    /// How many of the lost ones the feed had.
    pub healed_by_feed: usize,
    /// How many of them the replay brought to the broker's subscriber.
    pub healed_by_replay: usize,
    /// How long it took.
    pub time: Duration,
}

/// The figures as a table.
pub fn table(all: &[Figures]) -> String {
    let mut text = String::from(
        "                                                           too   lost by the broker    healed by\n\
         sink          orders   events  failures  arrived  repeats  early  restarted  forgotten     feed   replay  seconds",
    );
    for one in all {
        let _ = write!(
            text,
            "\n{:<12} {:>7} {:>8} {:>9} {:>8} {:>8} {:>6} {:>10} {:>10} {:>8} {:>8} {:>8.0}",
            one.sink,
            one.orders,
            one.events,
            one.failures,
            one.arrived,
            one.repeats,
            one.overtaken,
            one.lost_in_restarts,
            one.lost_forgotten,
            one.healed_by_feed,
            one.healed_by_replay,
            one.time.as_secs_f64(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_below_their_heads() {
        let figures =
            Figures { sink: "nats-debian".to_owned(), orders: 10_000, events: 34_567, ..Figures::default() };
        let text = table(&[figures]);
        let lines: Vec<&str> = text.lines().collect();
        let [_, head, row] = lines[..] else { panic!("{text}") };
        assert_eq!(head.len(), row.len(), "{text}");
        for (name, value) in [("orders", "10000"), ("events", "34567")] {
            let end = head.find(name).unwrap() + name.len();
            assert!(row[..end].ends_with(value), "{text}");
        }
    }
}
