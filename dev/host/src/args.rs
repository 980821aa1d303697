//! The command line: Spin's names and defaults, for the options that this project uses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};

/// A stand-in for Spin, for development and tests.
#[derive(Debug, Parser)]
#[command(name = "dev-host", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands. There is one, named as Spin's, so that either program can stand on the same command line.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the application until the process is killed.
    Up(Box<UpArgs>),
}

/// The options of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The manifest, or the folder that holds `spin.toml`.
    #[arg(short = 'f', long = "from", alias = "file", default_value = "spin.toml")]
    pub from: PathBuf,

    /// Where to listen; port 0 picks a free one.
    #[arg(long, env = "SPIN_HTTP_LISTEN_ADDR", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// An application variable: `key=value`, `key=@file`, or `@file.toml` / `@file.json` for many.
    #[arg(long = "variable", value_name = "KEY=VALUE")]
    pub variables: Vec<String>,

    /// An environment variable for the guest.
    #[arg(short = 'e', long = "env", value_name = "KEY=VALUE", value_parser = key_value)]
    pub env: Vec<(String, String)>,

    /// Runtime configuration.
    #[arg(long, env = "RUNTIME_CONFIG_FILE")]
    pub runtime_config_file: Option<PathBuf>,

    /// Where guest output is appended to; empty for nowhere. [default: logs in the state folder]
    #[arg(short = 'L', long, env = "SPIN_LOG_DIR", value_parser = possibly_empty_path)]
    pub log_dir: Option<PathBuf>,

    /// Where the state is kept, which here is the logs alone; empty for nowhere. [default: .spin beside the manifest]
    #[arg(long, value_parser = possibly_empty_path)]
    pub state_dir: Option<PathBuf>,

    /// Keep guest output off this process's stderr. As in Spin, without effect when there is no log folder.
    #[arg(short = 'q', long)]
    pub quiet: bool,

    /// How many requests an instance serves before it is replaced.
    #[arg(long, default_value_t = 128)]
    pub max_instance_reuse_count: usize,

    /// How many requests an instance serves at the same time.
    #[arg(long, default_value_t = 16)]
    pub max_instance_concurrent_reuse_count: usize,

    /// How long an instance may have nothing to do before it is dropped: a number and ms, s, m or h.
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub idle_instance_timeout: Duration,

    /// How long a request may take to be answered. No limit by default.
    #[arg(long, value_parser = duration)]
    pub request_timeout: Option<Duration>,
}

impl UpArgs {
    /// Where guest output is appended to, when the manifest is in `app_dir`; `None`: nowhere.
    pub fn log_folder(&self, app_dir: &Path) -> Option<PathBuf> {
        let in_state_folder = || match &self.state_dir {
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::new(),
            Some(folder) => folder.join("logs"),
            None => app_dir.join(".spin/logs"),
        };
        let folder = self.log_dir.clone().unwrap_or_else(in_state_folder);
        Some(folder).filter(|folder| !folder.as_os_str().is_empty())
    }
}

// clap's own parser of paths refuses the empty one.
fn possibly_empty_path(text: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(text))
}

fn key_value(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').context("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 =
        digits.parse().with_context(|| format!("{text:?} does not start with a whole number"))?;
    Ok(match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        unit => bail!("unknown unit {unit:?}; use ms, s, m or h"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> UpArgs {
        let arguments = ["dev-host", "up"].iter().chain(arguments);
        let Command::Up(up) = Cli::try_parse_from(arguments).expect("valid arguments").command;
        *up
    }

    #[test]
    fn defaults_are_those_of_spin() {
        let args = parse(&[]);
        assert_eq!(args.from, PathBuf::from("spin.toml"));
        assert_eq!((args.max_instance_reuse_count, args.max_instance_concurrent_reuse_count), (128, 16));
        assert_eq!(args.idle_instance_timeout, Duration::from_secs(1));
        assert_eq!(args.request_timeout, None);
        assert!(!args.quiet && args.log_dir.is_none());
    }

    #[test]
    fn an_empty_log_folder_differs_from_none() {
        assert_eq!(parse(&["--log-dir", ""]).log_dir, Some(PathBuf::new()));
    }

    #[test]
    fn logs_are_in_the_state_folder_unless_they_have_one_of_their_own() {
        let folder = |arguments: &[&str]| parse(arguments).log_folder(Path::new("/app"));
        assert_eq!(folder(&[]), Some("/app/.spin/logs".into()));
        assert_eq!(folder(&["--state-dir", "/tmp/state"]), Some("/tmp/state/logs".into()));
        assert_eq!(folder(&["--state-dir", "/tmp/state", "--log-dir", "/logs"]), Some("/logs".into()));
        assert_eq!(folder(&["--state-dir", ""]), None);
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("250ms").expect("valid"), Duration::from_millis(250));
        assert_eq!(duration("2h").expect("valid"), Duration::from_secs(7200));
        for bad in ["", "5", "s", "1.5s", "-1s", "1 s", "3d"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_may_contain_an_equals_sign() {
        assert_eq!(key_value("a=b=c").expect("valid"), ("a".to_owned(), "b=c".to_owned()));
        assert!(key_value("a").is_err());
    }
}
