//! The alerts: each is tested both ways, and the tests would find what is wrong with it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::prometheus::{Programs, Prometheus};
use crate::manifests::report::Report;
use crate::manifests::tools::Tools;

const RULES: &str = "alerts.yml";
const TESTS: &str = "alerts_test.yml";

/// Those that mean a fault of the service, whatever happens around it.
const FAULTS: [&str; 4] = [
    "OrderServicePaidWithoutTicket",
    "OrderServiceTicketWithoutPayment",
    "OrderServiceClaimOfDeadOrder",
    "OrderServicePendingAtRest",
];

/// Has `promtool` check and test the rules, and shows that the tests are about every alert: whichever is broken, they fail.
///
/// # Errors
/// When a tool cannot be run.
pub fn check(programs: &Programs, tools: &Tools, folder: &Path, report: &mut Report) -> Result<()> {
    programs.check(&["check", "rules", RULES], folder, None, report)?;
    programs.check(&["test", "rules", TESTS], folder, None, report)?;
    let read = |name: &str| -> Result<Value> {
        let text = std::fs::read_to_string(folder.join(name))?;
        tools.yaml(&text)?.pop().with_context(|| format!("{name} is empty"))
    };
    let (rules, tests) = (read(RULES)?, read(TESTS)?);
    let alerts = alerts(&rules);
    report.check(&format!("{} alerts are tested both ways", alerts.len()), untested(&alerts, &tests));

    // A copy of one alert, broken, beside copies of its tests.
    let copies = tools.folder("alerts")?;
    let mut missed = Vec::new();
    let all = mistakes(&rules);
    for Mistake { alert, what, rule } in &all {
        let mut mine = tests.clone();
        if let Some(tests) = mine["tests"].as_array_mut() {
            tests.retain(|test| test["alert_rule_test"][0]["alertname"] == **alert);
        }
        std::fs::write(copies.join(TESTS), mine.to_string())?;
        let rules = json!({ "groups": [{ "name": "copy", "rules": [rule] }] });
        std::fs::write(copies.join(RULES), rules.to_string())?;
        if programs.tests_pass(&copies, TESTS)? {
            missed.push(format!("no test finds that {alert} {what}"));
        }
    }
    report.check(&format!("{} broken alerts are found by the tests", all.len()), missed);
    Ok(())
}

/// Which of the alerts that mean a fault of the service are firing or pending.
///
/// # Errors
/// When the server does not answer.
pub async fn of_faults(server: &Prometheus) -> Result<Vec<String>> {
    let expression = format!("ALERTS{{alertname=~\"{}\"}}", FAULTS.join("|"));
    let found = server.now(&expression).await?;
    Ok(found.iter().map(|series| format!("{:?}", series.labels)).collect())
}

fn alerts(rules: &Value) -> BTreeSet<&str> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    rules.filter_map(|rule| rule["alert"].as_str()).collect()
}

/// Alerts without a test in which they fire, or without one in which they never do; and tests of alerts that there are not.
fn untested(alerts: &BTreeSet<&str>, tests: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut firing, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for test in tests["tests"].as_array().into_iter().flatten() {
        let cases = test["alert_rule_test"].as_array().map_or(&[][..], Vec::as_slice);
        let fires = |case: &Value| case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
        for name in cases.iter().filter_map(|case| case["alertname"].as_str()).collect::<BTreeSet<_>>() {
            let mut mine = cases.iter().filter(|case| case["alertname"] == name);
            let set = if mine.any(fires) { &mut firing } else { &mut quiet };
            set.insert(name);
            if !alerts.contains(name) {
                problems.push(format!("there is no alert {name}"));
            }
        }
    }
    for alert in alerts {
        if !firing.contains(alert) {
            problems.push(format!("{alert}: no test in which it fires"));
        }
        if !quiet.contains(alert) {
            problems.push(format!("{alert}: no test in which it does not"));
        }
    }
    problems
}

/// A broken copy of an alert.
struct Mistake<'a> {
    alert: &'a str,
    what: &'static str,
    rule: Value,
}

/// Copies with one mistake each: an alert that never fires, one that always does, and one that does at once.
fn mistakes(rules: &Value) -> Vec<Mistake<'_>> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    let alerts = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let of_alert = |rule: &'_ Value| {
        let expression = rule["expr"].as_str().unwrap_or_default();
        // With the labels that it has, so that only the test in which it does not fire finds it.
        let always = format!("({expression}) or ({})", without_comparisons(expression));
        [
            ("never fires", "expr", json!("vector(0) > 1")),
            ("always fires", "expr", json!(always)),
            ("fires at once", "for", json!("0s")),
        ]
        .map(|(what, member, value)| {
            let mut copy = rule.clone();
            copy[member] = value;
            (what, copy)
        })
    };
    let mut all = Vec::new();
    for rule in alerts {
        let alert = rule["alert"].as_str().unwrap_or_default();
        all.extend(of_alert(rule).map(|(what, rule)| Mistake { alert, what, rule }));
    }
    all
}

/// An expression whose comparisons with numbers are left out, so that it has a value whenever its series are there.
fn without_comparisons(expression: &str) -> String {
    let words: Vec<&str> = expression.split(' ').collect();
    let mut kept = Vec::new();
    let mut index = 0;
    while index < words.len() {
        let is_comparison = matches!(words[index], "<" | ">") && index + 1 < words.len();
        if is_comparison {
            index += 2;
        } else {
            kept.push(words[index]);
            index += 1;
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_that_is_tested_one_way_only_is_found() {
        let case = |alert: &str, fires: bool| {
            let expected = if fires { json!([{ "exp_labels": {} }]) } else { json!([]) };
            json!({ "alert_rule_test": [{ "alertname": alert, "exp_alerts": expected }] })
        };
        let alerts = BTreeSet::from(["Both", "Fires", "Quiet"]);
        let tests = json!({ "tests": [
            case("Both", true), case("Both", false), case("Fires", true), case("Quiet", false), case("Gone", true)
        ] });
        assert_eq!(
            untested(&alerts, &tests),
            [
                "there is no alert Gone",
                "Fires: no test in which it does not",
                "Quiet: no test in which it fires"
            ]
        );
    }

    #[test]
    fn comparisons_are_left_out() {
        assert_eq!(without_comparisons("max(a{b=\"c\"}) > 100 and max(d) > 0"), "max(a{b=\"c\"}) and max(d)");
    }
}
