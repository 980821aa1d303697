//! `cargo dev image-test`: builds the images of the Dockerfile, and runs them as a container engine would.
//!
//! There need be no such engine: `buildah` builds without a daemon, and `container` runs what it has built in namespaces of its
//! own: process 1 is the entry point, the root file system is read-only, the user is the image's, and the network is that
//! of `network`, in which every container has 127.0.0.1 in common. What an engine adds to that (control groups, seccomp, its
//! own networks) is not tried here.
//!
//! Where no RUST_IMAGE, SPIN_IMAGE or DEBIAN_IMAGE is given, `stand_ins` makes them of Debian's packages, this machine's tool
//! chain and the dev host.

mod build;
mod buildah;
mod checks;
mod container;
mod fixture;
mod network;
mod scenarios;
mod stand_ins;
mod tools;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::component;
use crate::postgres;
use buildah::Buildah;
use checks::Checks;
use fixture::Fixture;

/// Builds and tries the images, and prints each check as a line.
///
/// # Errors
/// When something that it needs is missing, an image cannot be built, or a check fails.
pub async fn run() -> Result<()> {
    tools::require()?;
    let started = Instant::now();
    let folder = component::target_dir().await?.join("image-test");
    std::fs::create_dir_all(&folder)?;
    let _lock = tools::lock(&folder)?;
    let buildah = Buildah::new(&folder)?;
    buildah.remove_containers().await?;
    let images = build::build(&buildah, &folder).await?;
    println!("The images are built after {} s.", started.elapsed().as_secs());
    let mut checks = Checks::default();
    let server = postgres::Server::start(postgres::Options::for_tests()?).await?;
    let fixture = Fixture::start(&buildah, &images, &server, &folder).await;
    let result = match fixture {
        Ok(mut fixture) => {
            let result = scenarios::run(&mut fixture, &mut checks).await;
            fixture.stop().await;
            result
        }
        Err(error) => Err(error),
    };
    buildah.remove_containers().await?;
    server.stop().await;
    result?;
    let seconds = started.elapsed().as_secs();
    match checks.failed() {
        0 => println!("All {} checks of the images hold ({seconds} s).", checks.count()),
        failed => bail!("{failed} of {} checks of the images failed ({seconds} s)", checks.count()),
    }
    Ok(())
}
