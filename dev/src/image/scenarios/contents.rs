//! What is in the images, and how they say that they want to be run.

use anyhow::Result;

use super::require;
use crate::image::checks::Checks;
use crate::image::container::{Image, Run};
use crate::image::fixture::Fixture;

/// Programs that make programs.
const COMPILERS: &str = "cc gcc g++ clang c++ ld as make rustc cargo rustup";

pub(super) async fn run(fixture: &mut Fixture<'_>, checks: &mut Checks) -> Result<()> {
    for (name, tag) in [("runtime", &fixture.images.runtime), ("sandbox", &fixture.images.sandbox)] {
        println!("      {name}: {}", fixture.buildah.size(tag).await?);
    }
    checks.note(
        "the runtime image has its labels and exposes 4003",
        described(&fixture.runtime, "order-service", "4003/tcp"),
    );
    checks.note(
        "the sandbox image has its labels and exposes 4010",
        described(fixture.sandbox_image(), "order-sandbox", "4010/tcp"),
    );
    let script = format!("for program in {COMPILERS}; do command -v $program; done; true");
    checks.note("no compiler is in the runtime image", says(fixture, &script, "", false).await);
    let script = "for program in spin psql curl; do command -v $program; done | wc -l";
    checks.note("spin, psql and curl are", says(fixture, script, "3", false).await);
    checks.note(
        "its user is 10001, in no other group",
        says(fixture, "id -u; id -G", "10001 10001", false).await,
    );
    let script = "for place in /x /app/x /etc/x /var/tmp/x /run/x; do touch $place 2>/dev/null && echo $place; done; touch /tmp/x && cat /proc/1/comm";
    checks.note(
        "with --read-only --tmpfs /tmp only /tmp can be written to",
        says(fixture, script, "sh", false).await,
    );
    let script = "for place in /x /app/x /etc/x /usr/local/bin/x; do touch $place 2>/dev/null && echo $place; done; true";
    checks.note(
        "without them its user cannot change the application or the system",
        says(fixture, script, "", true).await,
    );
    Ok(())
}

fn described(image: &Image, title: &str, port: &str) -> Result<()> {
    let label = |name: &str| image.label(&format!("org.opencontainers.image.{name}")).to_owned();
    let labels = [label("title"), label("version"), label("licenses")];
    let wanted = [title, env!("CARGO_PKG_VERSION"), "Apache-2.0"];
    require(labels == wanted && !label("description").is_empty(), format!("its labels are {labels:?}"))?;
    require(image.ports() == [port], format!("it exposes {:?}", image.ports()))
}

/// Runs a script in a container of its own; its words are these.
async fn says(fixture: &Fixture<'_>, script: &str, wanted: &str, writable: bool) -> Result<()> {
    let words = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let run = Run { entrypoint: Some(words), writable, ..Run::default() };
    let mut container = fixture.start_service("contents", &run)?;
    container.ended().await?;
    let said = container.lines().join(" ");
    require(said == wanted, format!("it says {said:?}, and not {wanted:?}"))
}
