//! The operator: switches the sink of events on again when it has said that it wants no more, and redrives dead letters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use super::injection::Injection;
use super::testbed::{PRESENT, TOKEN, Testbed};

/// How often the operator looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a redrive may be without an answer.
const LIMIT: Duration = Duration::from_secs(30);

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
        redrive(testbed).await?;
        if is_off {
            testbed.injections.add(Injection::EventsSwitchedOn);
        }
    }
    Ok(())
}

/// Asks until there is an answer: one may be lost after the redrive.
async fn redrive(testbed: &Testbed) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let url = format!("{}/internal/redrive", testbed.urls[PRESENT]);
        match testbed.client.post(url).bearer_auth(TOKEN).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            other if Instant::now() > deadline => bail!("a redrive was answered with {other:?}"),
            _ => tokio::time::sleep(INTERVAL / 5).await,
        }
    }
}
