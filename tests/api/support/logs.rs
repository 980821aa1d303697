//! The component's log lines.

use serde_json::Value;

/// Each is an object that says when, how bad, what, and about which request and order.
#[track_caller]
pub fn check_lines(lines: &[Value]) {
    for line in lines {
        let object = line.as_object().unwrap_or_else(|| panic!("a line is a JSON object: {line}"));
        for name in ["time", "level", "message", "request_id", "order_id"] {
            assert!(object.contains_key(name), "{name} in {line}");
        }
        let level = line["level"].as_str().unwrap_or_default();
        assert!(["debug", "info", "warn", "error"].contains(&level), "{line}");
        assert!(line["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
        let time = line["time"].as_str().unwrap_or_default();
        assert!(time.ends_with('Z') && time.get(10..11) == Some("T"), "{line}");
    }
}

/// The lines at level error.
pub fn errors(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["level"] == "error").collect()
}
