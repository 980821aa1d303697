//! The operator: switches the sink of events on again when it has said that it wants no more, and redrives dead letters.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::injection::Injection;
use super::testbed::{PRESENT, TOKEN, Testbed};

/// How often the operator looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Looks after the sinks until this future is dropped.
pub async fn look_after_sinks(testbed: Arc<Testbed>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        // A copy that was killed does not answer; it is asked again.
        let _ = redrive_if_needed(&testbed).await;
    }
}

/// Redrives all when a sink is switched off, or an event is a dead letter.
///
/// # Errors
/// When the copy does not answer, or not as it should.
pub async fn redrive_if_needed(testbed: &Testbed) -> Result<()> {
    let url = &testbed.urls[PRESENT];
    let shown =
        testbed.client.get(format!("{url}/internal/deliveries?state=dead&limit=1")).bearer_auth(TOKEN);
    let shown: Value = serde_json::from_str(&shown.send().await?.error_for_status()?.text().await?)?;
    let is_off =
        shown["sinks"].as_array().is_some_and(|sinks| sinks.iter().any(|sink| sink["state"] == "off"));
    let has_dead = shown["deliveries"].as_array().is_some_and(|dead| !dead.is_empty());
    if is_off || has_dead {
        let answer = testbed.client.post(format!("{url}/internal/redrive")).bearer_auth(TOKEN).send().await?;
        ensure!(answer.status().is_success(), "a redrive was answered with {}", answer.status());
    }
    if is_off {
        testbed.injections.add(Injection::EventsSwitchedOn);
    }
    Ok(())
}
