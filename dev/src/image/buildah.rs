//! `buildah`, with a storage of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::component;

/// A storage of images and containers in a folder.
pub(super) struct Buildah {
    program: PathBuf,
    folder: PathBuf,
    driver: &'static str,
}

/// What `build` takes.
pub(super) struct Build<'a> {
    pub dockerfile: &'a Path,
    pub context: &'a Path,
    pub target: Option<&'a str>,
    pub tag: &'a str,
    pub arguments: Vec<(&'static str, String)>,
    /// Folders of this machine, with their place and `ro` or `rw`.
    pub volumes: Vec<(PathBuf, &'static str, &'static str)>,
}

impl Buildah {
    pub fn new(folder: &Path) -> Result<Buildah> {
        let program = crate::process::find("buildah").context("buildah is not there")?;
        let driver = if takes_overlays(folder) { "overlay" } else { "vfs" };
        Ok(Buildah { program, folder: folder.to_path_buf(), driver })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.folder.join("storage")).arg("--runroot").arg(self.folder.join("run"));
        command.args(["--storage-driver", self.driver, name]).kill_on_drop(true);
        // Else it is in the user's folder.
        command.env("TMPDIR", &self.folder);
        command
    }

    async fn output(&self, name: &str, arguments: &[&str]) -> Result<String> {
        Ok(component::output(self.command(name).args(arguments)).await?.trim().to_owned())
    }

    /// Builds a target. What it says is appended to `build.log`, whose end is told when it fails.
    pub async fn build(&self, build: Build<'_>) -> Result<()> {
        let log = self.folder.join("build.log");
        let out = std::fs::File::options().create(true).append(true).open(&log)?;
        let mut command = self.command("build");
        command.args(["--isolation", "chroot", "--format", "docker", "--layers", "--tag", build.tag]);
        command.arg("--file").arg(build.dockerfile);
        if let Some(target) = build.target {
            command.args(["--target", target]);
        }
        for (name, value) in &build.arguments {
            command.arg("--build-arg").arg(format!("{name}={value}"));
        }
        for (from, to, mode) in &build.volumes {
            command.arg("--volume").arg(format!("{}:{to}:{mode}", from.display()));
        }
        command.arg(build.context).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        if !command.status().await.context("starting buildah")?.success() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let end = lines[lines.len().saturating_sub(30)..].join("\n");
            bail!("{} cannot be built; the end of {}:\n{end}", build.tag, log.display());
        }
        Ok(())
    }

    /// Whether there is an image of this name.
    pub async fn has(&self, image: &str) -> bool {
        self.output("inspect", &["--type", "image", image]).await.is_ok()
    }

    /// The image's configuration, as Docker has it (`Env`, `User`, `Entrypoint`, …).
    pub async fn config(&self, image: &str) -> Result<Value> {
        let text = self.output("inspect", &["--type", "image", image]).await?;
        Ok(serde_json::from_str::<Value>(&text)?["Docker"]["config"].take())
    }

    /// The size of an image in the units that buildah prints.
    pub async fn size(&self, image: &str) -> Result<String> {
        // One line for each of its names.
        let sizes = self.output("images", &["--format", "{{.Size}}", image]).await?;
        Ok(sizes.lines().next().unwrap_or_default().to_owned())
    }

    /// A new container of an image; its name.
    pub async fn container(&self, image: &str) -> Result<String> {
        self.output("from", &["--pull-never", image]).await
    }

    /// Where a container's files are. They stay there until it is removed.
    pub async fn mount(&self, container: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(self.output("mount", &[container]).await?))
    }

    /// Makes an image of a container whose files have been put into it.
    pub async fn commit(&self, container: &str, tag: &str) -> Result<()> {
        self.output("commit", &["--format", "docker", container, tag]).await?;
        Ok(())
    }

    /// Removes all containers, also those of an earlier run, and the images that nothing is built on any more.
    pub async fn remove_containers(&self) -> Result<()> {
        self.output("rm", &["--all"]).await?;
        self.output("rmi", &["--prune"]).await?;
        Ok(())
    }
}

/// An overlay over another one cannot be mounted: where this machine is itself a container, its files are copied.
fn takes_overlays(folder: &Path) -> bool {
    let place = folder.join("overlay-probe");
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| place.join(name));
    let made = [&lower, &upper, &work, &merged].iter().all(|folder| std::fs::create_dir_all(folder).is_ok());
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let mut command = std::process::Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let arguments = ["-t", "overlay", "overlay", "-o", &options].map(std::ffi::OsStr::new);
    let mounted = made && run("mount", &[&arguments[..], &[merged.as_os_str()]].concat());
    if mounted {
        run("umount", &[merged.as_os_str()]);
    }
    let _ = std::fs::remove_dir_all(&place);
    mounted
}
