//! Builds every target of the Dockerfile.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use super::buildah::{Build, Buildah};
use super::stand_ins;
use crate::repo_root;

/// The targets, as they stand in the Dockerfile.
const TARGETS: [&str; 5] = ["dependencies", "builder", "sandbox-builder", "sandbox", "runtime"];

/// The names of the images that are run.
pub(super) struct Images {
    pub runtime: String,
    pub sandbox: String,
}

/// Builds all targets, and the last one also without its name, as `docker build .` does.
pub(super) async fn build(buildah: &Buildah, folder: &Path) -> Result<Images> {
    let _ = std::fs::remove_file(folder.join("build.log"));
    let given = |name: &str| std::env::var(name).ok().filter(|image| !image.is_empty());
    let mut volumes = Vec::new();
    let rust = match given("RUST_IMAGE") {
        Some(image) => image,
        None => {
            volumes = stand_ins::volumes().await?;
            stand_ins::rust(buildah, folder).await?.to_owned()
        }
    };
    let spin = match given("SPIN_IMAGE") {
        Some(image) => image,
        None => stand_ins::spin(buildah, folder).await?.to_owned(),
    };
    let debian = match given("DEBIAN_IMAGE") {
        Some(image) => image,
        None => stand_ins::debian(buildah, folder).await?.to_owned(),
    };
    let root = repo_root();
    let dockerfile = root.join("Dockerfile");
    require_all_targets(&std::fs::read_to_string(&dockerfile)?)?;
    let arguments = vec![
        ("RUST_IMAGE", rust),
        ("SPIN_IMAGE", spin),
        ("DEBIAN_IMAGE", debian),
        ("VERSION", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let build = async |target: Option<&str>, tag: &str| {
        let started = Instant::now();
        let (arguments, volumes) = (arguments.clone(), volumes.clone());
        buildah
            .build(Build { dockerfile: &dockerfile, context: &root, target, tag, arguments, volumes })
            .await?;
        println!("Built {tag} ({} s).", started.elapsed().as_secs());
        anyhow::Ok(())
    };
    for target in TARGETS {
        build(Some(target), &tag(target)).await?;
    }
    build(None, "localhost/order-service:latest").await?;
    Ok(Images { runtime: "localhost/order-service:latest".to_owned(), sandbox: tag("sandbox") })
}

fn tag(target: &str) -> String {
    format!("localhost/order-image-test-target:{target}")
}

fn require_all_targets(dockerfile: &str) -> Result<()> {
    let there: Vec<&str> = dockerfile
        .lines()
        .filter(|line| line.starts_with("FROM "))
        .filter_map(|line| line.split(" AS ").nth(1))
        .collect();
    if there != TARGETS {
        bail!("the targets of the Dockerfile are {there:?}, and image-test knows {TARGETS:?}");
    }
    Ok(())
}
