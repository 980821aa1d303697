//! `Retry-After` (RFC 9110, section 10.2.3): in seconds, or as an HTTP date.

use std::time::{Duration, SystemTime};

/// The longest wait that a peer may ask for.
const LONGEST: Duration = Duration::from_secs(600);

/// How long to wait by a `Retry-After` header, at most ten minutes; `None` when it is unreadable. A date counts from the response's
/// own `Date`, if it has one, so that a difference between the clocks does not matter.
pub fn retry_after(header: &str, date: Option<&str>) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a long time.
        return Some(header.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let at = httpdate::parse_http_date(header).ok()?;
    let now =
        date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or_else(SystemTime::now);
    // A time that has passed: at once.
    Some(at.duration_since(now).unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded_to_ten_minutes() {
        let date = Some("Sun, 06 Nov 1994 08:49:00 GMT");
        for (header, expected) in [
            ("0", Some(0)),
            ("37", Some(37)),
            (" 37 ", Some(37)),
            ("600", Some(600)),
            ("86400", Some(600)),
            ("99999999999999999999999", Some(600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:00 GMT", Some(600)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(header, date), expected.map(Duration::from_secs), "{header}");
        }
    }

    #[test]
    fn without_a_usable_date_of_the_response_our_own_clock_counts() {
        let in_a_minute = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        for date in [None, Some("yesterday")] {
            let wait = retry_after(&in_a_minute, date).unwrap();
            assert!((58..=60).contains(&wait.as_secs()), "{wait:?}");
        }
    }
}
