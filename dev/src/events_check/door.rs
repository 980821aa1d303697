//! A door before a server: a port of 127.0.0.1 that leads there while it is open, and refuses connections while it is shut.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::chaos::testbed::non_ephemeral_port;

/// The door. Dropping it shuts it.
pub struct Door {
    port: u16,
    target: String,
    open: Option<JoinHandle<()>>,
}

impl Door {
    /// An open one that leads to this address.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(target: &str) -> Result<Door> {
        // Nobody who connects to somebody else is given this one while it is shut.
        let mut door = Door { port: non_ephemeral_port()?, target: target.to_owned(), open: None };
        door.open().await?;
        Ok(door)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens it.
    ///
    /// # Errors
    /// When the port was taken by somebody else.
    pub async fn open(&mut self) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.context("opening the door")?;
        self.open = Some(tokio::spawn(lead(listener, self.target.clone())));
        Ok(())
    }

    /// Shuts it: connections end, and new ones are refused.
    pub async fn shut(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            let _ = open.await;
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.abort();
        }
    }
}

async fn lead(listener: TcpListener, target: String) {
    // Aborted together with this.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(connections.spawn(copy(client, target.clone()))),
                // Out of file descriptors: some are closed in a moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn copy(mut client: TcpStream, target: String) {
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_door_leads_on_while_it_is_open_and_refuses_while_it_is_shut() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut door = Door::to(&server.local_addr().unwrap().to_string()).await.unwrap();
        for _ in 0..2 {
            let mut client = TcpStream::connect(("127.0.0.1", door.port())).await.unwrap();
            let (mut served, _) = server.accept().await.unwrap();
            served.write_all(b"x").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'x');
            door.shut().await;
            assert!(client.read_u8().await.is_err(), "it is closed");
            let refused = TcpStream::connect(("127.0.0.1", door.port())).await.unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
            door.open().await.unwrap();
        }
    }
}
