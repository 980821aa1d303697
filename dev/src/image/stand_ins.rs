//! Images in the place of Docker Hub's and Spin's, for machines that have no registry to pull from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::buildah::{Build, Buildah};
use crate::component;
use crate::repo_root;

const DEBIAN: &str = "localhost/order-image-test-debian:bookworm";
const RUST: &str = "localhost/order-image-test-rust:latest";
const SPIN: &str = "localhost/order-image-test-spin:latest";
const MIRROR: &str = "http://deb.debian.org/debian";

/// Debian's own packages and nothing else, kept from run to run.
pub(super) async fn debian(buildah: &Buildah, folder: &Path) -> Result<&'static str> {
    if !buildah.has(DEBIAN).await {
        println!("Making an image of Debian's packages …");
        let container = buildah.container("scratch").await?;
        let root = buildah.mount(&container).await?;
        let log = folder.join("debootstrap.log");
        let mut command =
            Command::new(crate::process::find("debootstrap").context("debootstrap is not there")?);
        command.args(["--variant=minbase", "--include=ca-certificates", "bookworm"]).arg(&root).arg(MIRROR);
        let out = std::fs::File::create(&log)?;
        command.stdout(out.try_clone()?).stderr(out);
        component::run(&mut command).await.with_context(|| format!("see {}", log.display()))?;
        buildah.commit(&container, DEBIAN).await?;
    }
    Ok(DEBIAN)
}

/// As rust:bookworm, but with this machine's tool chain, which must be mounted at [`volumes`].
pub(super) async fn rust(buildah: &Buildah, folder: &Path) -> Result<&'static str> {
    let base = debian(buildah, folder).await?;
    let text = format!(
        "FROM {base}\n\
         RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*\n\
         ENV CARGO_HOME=/usr/local/cargo \
         PATH=/usr/local/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    );
    build(buildah, folder, "rust", &text, RUST).await?;
    Ok(RUST)
}

/// As Spin's image, with the dev host in the place of Spin.
pub(super) async fn spin(buildah: &Buildah, folder: &Path) -> Result<&'static str> {
    let base = debian(buildah, folder).await?;
    let context = folder.join("spin");
    std::fs::create_dir_all(&context)?;
    let host = component::host_program().await?;
    let mut strip = Command::new("strip");
    strip.arg("--strip-debug").arg("-o").arg(context.join("spin")).arg(&host);
    if component::run(&mut strip).await.is_err() {
        std::fs::copy(&host, context.join("spin"))?;
    }
    let text = format!("FROM {base}\nCOPY spin /usr/local/bin/spin\nENTRYPOINT [\"/usr/local/bin/spin\"]\n");
    build(buildah, folder, "spin", &text, SPIN).await?;
    Ok(SPIN)
}

async fn build(buildah: &Buildah, folder: &Path, name: &str, text: &str, tag: &'static str) -> Result<()> {
    let context = folder.join(name);
    std::fs::create_dir_all(&context)?;
    let dockerfile = context.join("Dockerfile");
    std::fs::write(&dockerfile, text)?;
    let build = Build {
        dockerfile: &dockerfile,
        context: &context,
        target: None,
        tag,
        arguments: Vec::new(),
        volumes: Vec::new(),
    };
    buildah.build(build).await
}

/// The tool chain, and what cargo has downloaded, at their places in [`rust`].
pub(super) async fn volumes() -> Result<Vec<(PathBuf, &'static str, &'static str)>> {
    component::ensure_target().await?;
    let mut rustc = Command::new("rustc");
    let toolchain = component::output(rustc.current_dir(repo_root()).args(["--print", "sysroot"])).await?;
    let cargo = match std::env::var_os("CARGO_HOME") {
        Some(path) => PathBuf::from(path),
        None => std::env::home_dir().context("there is no home folder")?.join(".cargo"),
    };
    let registry = cargo.join("registry");
    std::fs::create_dir_all(&registry)?;
    Ok(vec![
        (Path::new(toolchain.trim()).canonicalize()?, "/usr/local/toolchain", "ro"),
        (registry, "/usr/local/cargo/registry", "rw"),
    ])
}
