//! Builds what runs: the component, and the host that runs it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::{repo_root, spin};

const TARGET: &str = "wasm32-wasip2";

/// The profile of Cargo.toml that this program was built with, and its folder in the target directory. The dev host is
/// built with the same: `dev` is quick to build, `measure` is quick.
const PROFILE: (&str, &str) = if cfg!(debug_assertions) { ("dev", "debug") } else { MEASURE };
const MEASURE: (&str, &str) = ("measure", "measure");

/// Builds the components and puts them where `spin.toml` expects them, such as `target/wasm32-wasip2/release/order_service.wasm`,
/// also when cargo builds elsewhere. Cargo's progress goes to our standard error.
pub async fn build() -> Result<()> {
    // One after the other: built together, each would get the features of the other's dependencies.
    build_package("order-service").await?;
    build_package("mqtt-publisher").await
}

/// Builds the floor of the benchmark and puts it where `dev/floor/spin.toml` expects it, beside the component.
pub async fn build_floor() -> Result<()> {
    build_package("order-dev-floor").await
}

async fn build_package(package: &str) -> Result<()> {
    ensure_target().await?;
    run(cargo().args(["build", "--target", TARGET, "--release", "--package", package])).await?;
    let file = Path::new(TARGET).join("release").join(package.replace('-', "_")).with_extension("wasm");
    let built = target_dir().await?.join(&file);
    let expected = repo_root().join("target").join(&file);
    if built != expected {
        copy_in_one_step(&built, &expected)
            .with_context(|| format!("copying {} to {}", built.display(), expected.display()))?;
    }
    Ok(())
}

/// The program that runs the component in tests and measurements: `$SPIN` when it is set, else the dev host, so that
/// only who asks for it measures or tests on Spin. `cargo dev up` takes one from the PATH, too ([`crate::spin::find`]).
pub async fn host_program() -> Result<PathBuf> {
    match spin::named()? {
        Some(program) => Ok(program),
        None => dev_host().await,
    }
}

/// The same for `cargo test`, to be called before anything else asks for the program. Beside the dev host it names tests, which are
/// there: their dependencies choose features of what wasmtime depends on, and without them it would be built a second time.
pub async fn host_program_for_tests() -> Result<PathBuf> {
    match spin::named()? {
        Some(program) => Ok(program),
        None => built_dev_host(&["--test", "tidy", "--test", "world"]).await,
    }
}

/// The dev host, built when it has to be; at most once in the life of this process.
pub async fn dev_host() -> Result<PathBuf> {
    built_dev_host(&[]).await
}

async fn built_dev_host(beside: &[&str]) -> Result<PathBuf> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let program = PROGRAM.get_or_try_init(async || {
        // The whole workspace's features, as for `cargo test`: with `--package` wasmtime would be built a second time.
        let (profile, folder) = PROFILE;
        run(cargo().args(["build", "--profile", profile, "--workspace", "--bin", "dev-host"]).args(beside))
            .await?;
        anyhow::Ok(target_dir().await?.join(folder).join("dev-host"))
    });
    program.await.cloned()
}

/// Goes on as this program in the profile that measures, with the same arguments, unless it is that already. Where it does
/// go on, it does not return.
///
/// # Errors
/// When cargo cannot be started.
pub fn go_on_optimised() -> Result<()> {
    if PROFILE == MEASURE {
        return Ok(());
    }
    let mut cargo = cargo();
    cargo.args(["run", "--profile", MEASURE.0, "--bin", "dev", "--"]).args(std::env::args_os().skip(1));
    Err(cargo.as_std_mut().exec()).context("starting cargo")
}

/// The cargo that runs us, so that both use the same tool chain.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repo_root()).kill_on_drop(true);
    command
}

/// Runs the command to its end, which must be a good one.
pub(crate) async fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    let status = command.stdin(Stdio::null()).status().await.with_context(|| format!("starting `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// What the command prints on standard output.
pub(crate) async fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.stdin(Stdio::null()).output().await.with_context(|| format!("starting `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn shown(command: &Command) -> String {
    let command = command.as_std();
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Where cargo builds.
pub async fn target_dir() -> Result<PathBuf> {
    let text = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"])).await?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let folder =
        metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(PathBuf::from(folder))
}

/// `rust-toolchain.toml` asks for the target, but not every rustup installs it on its own.
pub(crate) async fn ensure_target() -> Result<()> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(repo_root()).args(["--print", "target-libdir", "--target", TARGET]);
    let libraries = output(&mut rustc).await?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    match run(rustup.current_dir(repo_root()).args(["target", "add", TARGET])).await {
        Ok(()) => Ok(()),
        Err(error) => {
            Err(error.context(format!("this Rust has no target {TARGET}, and rustup could not add it")))
        }
    }
}

/// A host that reads the file meanwhile sees the old one or the new one, never a half.
pub(crate) fn copy_in_one_step(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("no folder")?;
    std::fs::create_dir_all(folder)?;
    let name = from.file_name().context("no file")?.to_string_lossy();
    let temporary = folder.join(format!(".{}.{name}", std::process::id()));
    std::fs::copy(from, &temporary)?;
    std::fs::rename(&temporary, to)?;
    Ok(())
}
