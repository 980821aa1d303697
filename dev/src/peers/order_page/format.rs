//! Times as people read them.

use chrono::{DateTime, SecondsFormat, Utc};

/// `2026-11-28T01:36:05.123456Z`
pub(super) fn timestamp(at_us: i64) -> String {
    let at: Option<DateTime<Utc>> = DateTime::from_timestamp_micros(at_us);
    at.map_or_else(|| at_us.to_string(), |at| at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// `01:36:05.123` in UTC.
pub(super) fn clock(at_us: i64) -> String {
    let at: Option<DateTime<Utc>> = DateTime::from_timestamp_micros(at_us);
    at.map_or_else(|| at_us.to_string(), |at| at.format("%H:%M:%S%.3f").to_string())
}

/// `1.2 ms`, `3.456 s`, `2 min 3 s`, `1 h 4 min`
pub(super) fn duration(us: i64) -> String {
    let (ms, seconds) = (us as f64 / 1e3, us / 1_000_000);
    match us {
        ..1_000_000 => format!("{ms:.1} ms"),
        1_000_000..60_000_000 => format!("{:.3} s", ms / 1e3),
        60_000_000..3_600_000_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        for (us, text) in [
            (0, "0.0 ms"),
            (1_234, "1.2 ms"),
            (999_000, "999.0 ms"),
            (3_456_000, "3.456 s"),
            (123_000_000, "2 min 3 s"),
            (3_840_000_000, "1 h 4 min"),
        ] {
            assert_eq!(duration(us), text);
        }
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(timestamp(1_000_001), "1970-01-01T00:00:01.000001Z");
        assert_eq!(clock(3_600_123_456), "01:00:00.123");
        assert_eq!((timestamp(i64::MAX), clock(i64::MIN)), (i64::MAX.to_string(), i64::MIN.to_string()));
    }
}
