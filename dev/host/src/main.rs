//! A stand-in for Spin, for machines that have only a Rust tool chain: `dev-host up` takes the arguments of `spin up`
//! that this project uses and behaves, as far as the service can tell, as Spin does, down to its limits and its slow
//! paths. For development and tests, never for deployment.
//!
//! Deliberately absent: TLS, several components, triggers other than HTTP, files, stores, telemetry, providers of
//! variables. What Spin would honour and this host does not is refused, never ignored.

mod allowed_hosts;
mod app;
mod args;
mod bindings;
mod connector;
mod engine;
mod logs;
mod manifest;
mod outbound_http;
mod postgres;
mod routes;
mod runtime_config;
mod server;
mod state;
mod template;
mod variables;
mod variables_host;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::args::{Cli, Command, UpArgs};
use crate::server::Server;
use crate::worker::{Factory, Workers};

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Up(args) = Cli::parse().command;
    let result = match end_at_signals() {
        Ok(()) => up(&args).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// SIGINT and SIGTERM end the process at once, requests and all, as they end Spin. Their default action would not do where this
/// is process 1 of a container.
fn end_at_signals() -> Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signal = signal(kind).context("cannot handle signals")?;
        tokio::spawn(async move {
            signal.recv().await;
            std::process::exit(0);
        });
    }
    Ok(())
}

async fn up(args: &UpArgs) -> Result<()> {
    let (app, wasm) = App::load(args)?;
    let app = Arc::new(app);
    // Early, so that an address in use shows before the component is compiled.
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let engine = engine::engine()?;
    let component = engine::prepare(&engine, &wasm)?;
    let workers = Workers::new(Factory { engine, component, app: Arc::clone(&app) });
    announce(&app, &listener)?;
    Server { app, workers }.run(listener).await
}

fn announce(app: &App, listener: &TcpListener) -> Result<()> {
    let url = format!("http://{}", listener.local_addr()?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "Serving {url}\nAvailable Routes:")?;
    for route in &app.routes {
        let wildcard = if route.is_wildcard() { " (wildcard)" } else { "" };
        writeln!(out, "  {}: {url}{}{wildcard}", app.component_id, route.prefix())?;
    }
    out.flush()?;
    Ok(())
}
