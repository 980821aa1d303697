//! Settings with which the entry point does not start: one line that names them, and status 2.

use anyhow::Result;

use super::{ends_with, require};
use crate::image::checks::Checks;
use crate::image::container::Run;
use crate::image::fixture::Fixture;

pub(super) async fn run(fixture: &mut Fixture<'_>, checks: &mut Checks) -> Result<()> {
    let good = Run::with([
        ("CATALOG_URL", "http://c"),
        ("SEATING_URL", "http://s"),
        ("PAYMENT_URL", "http://p"),
        ("NOTIFICATION_URL", "http://n"),
    ]);
    let cases = [
        ("a missing variable", good.clone().without("SEATING_URL"), "not set: SEATING_URL"),
        ("an empty one that is required", good.clone().and("PAYMENT_URL", ""), "not set: PAYMENT_URL"),
        (
            "several missing ones",
            Run::default(),
            "not set: CATALOG_URL SEATING_URL PAYMENT_URL NOTIFICATION_URL",
        ),
        (
            "a _FILE that cannot be read",
            good.clone().and("INTERNAL_TOKEN_FILE", "/run/none"),
            "INTERNAL_TOKEN_FILE cannot be read: /run/none",
        ),
        (
            "a variable and its _FILE",
            good.clone().and("TAX_PERCENT", "5").and("TAX_PERCENT_FILE", "/etc/hostname"),
            "TAX_PERCENT and TAX_PERCENT_FILE are both set",
        ),
        ("a PORT that is none", good.clone().and("PORT", "http"), "PORT is no port: http"),
        ("a PORT that is too large", good.clone().and("PORT", "65536"), "PORT is no port: 65536"),
        (
            "another word for MIGRATE",
            good.clone().and("MIGRATE", "yes"),
            "MIGRATE is neither on, off nor only: yes",
        ),
        (
            "a MIGRATE_WAIT that is no number",
            good.clone().and("MIGRATE_WAIT", "1m"),
            "MIGRATE_WAIT is no number of seconds: 1m",
        ),
        (
            "a RUNTIME_CONFIG that is not there",
            good.clone().and("RUNTIME_CONFIG", "fast"),
            "RUNTIME_CONFIG names no file",
        ),
        (
            "a TMPDIR that cannot be written to",
            good.clone().and("TMPDIR", "/app"),
            "/app (TMPDIR) is not writable",
        ),
    ];
    for (what, run, line) in cases {
        let result = async { ends_with(&mut fixture.start_service("refused", &run)?, 2, &[line]).await };
        checks.note(&format!("{what} ends the start with one line and status 2"), result.await);
    }
    checks.note(
        "every variable of spin.toml is one line, as the entry point reads them",
        one_line_each(fixture),
    );
    Ok(())
}

fn one_line_each(fixture: &Fixture<'_>) -> Result<()> {
    let text = std::fs::read_to_string(fixture.runtime.root().join("app/spin.toml"))?;
    let table: toml::Table = text.parse()?;
    let variables = table["variables"].as_table().into_iter().flatten();
    for (name, variable) in variables {
        let line = match variable.get("default").and_then(toml::Value::as_str) {
            Some(default) => format!("{name} = {{ default = \"{default}\""),
            None => format!("{name} = {{ required = true"),
        };
        require(text.lines().any(|other| other.starts_with(&line)), format!("no line begins with {line}"))?;
    }
    Ok(())
}
