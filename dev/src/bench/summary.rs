//! What the rounds say together: medians, and how the service stands to the floors.

use super::run::{CpuMs, Measured, Round};
use super::scenario::Scenario;
use super::target::Kind;

/// The medians of a load's rounds.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Medians {
    /// Requests a second.
    pub throughput: f64,
    /// Half of the answers came within so many milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 answers did.
    pub p99_ms: f64,
    /// CPU time for each request.
    pub cpu_ms: CpuMs,
    /// Bytes of PostgreSQL's log for each request.
    pub wal_bytes: f64,
}

impl Medians {
    /// Of these rounds.
    pub fn of(rounds: &[Round]) -> Medians {
        let of = |number: fn(&Round) -> f64| median(rounds.iter().map(number));
        Medians {
            throughput: of(|round| round.throughput),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            cpu_ms: CpuMs::of(|number| median(rounds.iter().map(|round| number(&round.cpu_ms)))),
            wal_bytes: of(|round| round.wal_bytes),
        }
    }

    /// The throughput as a part of that of the first one; of the first one itself when there is none yet.
    pub fn ratio(&self, first: Option<&Medians>) -> f64 {
        self.throughput / first.unwrap_or(self).throughput
    }
}

/// What the rounds of one target say.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// What clients asked for.
    pub scenario: Scenario,
    /// How many clients.
    pub clients: usize,
    /// The target.
    pub target: Kind,
    /// The medians of the rounds.
    #[serde(flatten)]
    pub medians: Medians,
    /// The most memory that the host had in use.
    pub peak_memory_bytes: u64,
    /// The rounds.
    pub rounds: Vec<Round>,
}

impl Row {
    /// Of what was measured.
    pub fn new(scenario: Scenario, clients: usize, measured: &Measured) -> Row {
        Row {
            scenario,
            clients,
            target: measured.target,
            medians: Medians::of(&measured.rounds),
            peak_memory_bytes: measured.peak_memory_bytes,
            rounds: measured.rounds.clone(),
        }
    }
}

/// The service's throughput as a part of a floor's.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Ratio {
    /// What clients asked for.
    pub scenario: Scenario,
    /// How many clients.
    pub clients: usize,
    /// Which floor.
    pub floor: Kind,
    /// The service's median throughput divided by the floor's.
    pub ratio: f64,
}

/// Of every row of a floor that has one of the service beside it.
pub fn ratios(rows: &[Row]) -> Vec<Ratio> {
    let floors = rows.iter().filter(|row| row.target != Kind::Service && row.medians.throughput > 0.0);
    let ratio = |floor: &Row| {
        let beside = |row: &&Row| {
            row.target == Kind::Service && row.scenario == floor.scenario && row.clients == floor.clients
        };
        let ours = rows.iter().find(beside)?;
        let (scenario, clients) = (floor.scenario, floor.clients);
        Some(Ratio {
            scenario,
            clients,
            floor: floor.target,
            ratio: ours.medians.throughput / floor.medians.throughput,
        })
    };
    floors.filter_map(ratio).collect()
}

/// The middle one, or the mean of the two in the middle; 0 of nothing.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => values[middle - 1].midpoint(values[middle]),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn row(scenario: Scenario, clients: usize, target: Kind, throughput: f64) -> Row {
        let measured = Measured {
            target,
            rounds: Vec::new(),
            latencies: crate::bench::load_generator::histogram(),
            peak_memory_bytes: 0,
        };
        let mut row = Row::new(scenario, clients, &measured);
        row.medians.throughput = throughput;
        row
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median([7.0].into_iter()), 7.0);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn the_service_is_compared_with_floors_under_the_same_load() {
        let rows = [
            row(Scenario::Place, 1, Kind::Service, 50.0),
            row(Scenario::Place, 1, Kind::A, 100.0),
            row(Scenario::Place, 16, Kind::A, 200.0),
            row(Scenario::Read, 16, Kind::Service, 300.0),
            row(Scenario::Read, 16, Kind::C, 400.0),
        ];
        let ratio = |scenario, clients, floor, ratio| Ratio { scenario, clients, floor, ratio };
        assert_eq!(
            ratios(&rows),
            [ratio(Scenario::Place, 1, Kind::A, 0.5), ratio(Scenario::Read, 16, Kind::C, 0.75)]
        );
    }
}
