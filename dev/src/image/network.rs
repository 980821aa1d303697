//! A network that the containers have to themselves.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

/// A network namespace with nothing but its loopback interface: ports of this machine that are in use do not matter, and nothing
/// from outside gets in but by [`Network::publish`].
pub(super) struct Network {
    thread: libc::pid_t,
    orders: mpsc::Sender<Order>,
    forwarders: JoinSet<()>,
}

/// What the thread does that lives in the namespace.
enum Order {
    Listen(SocketAddrV4, mpsc::Sender<std::io::Result<TcpListener>>),
    Connect(SocketAddrV4, tokio::sync::oneshot::Sender<std::io::Result<TcpStream>>),
}

impl Network {
    pub fn new() -> Result<Network> {
        let (answer, result) = mpsc::channel();
        let (orders, inbox) = mpsc::channel();
        std::thread::Builder::new().name("container network".into()).spawn(move || {
            let made = make();
            let works = made.is_ok();
            let _ = answer.send(made);
            if works {
                obey(inbox);
            }
        })?;
        let thread =
            result.recv().context("the network's thread is gone")?.context("making a network namespace")?;
        Ok(Network { thread, orders, forwarders: JoinSet::new() })
    }

    /// The namespace, for `nsenter --net`.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/task/{}/ns/net", std::process::id(), self.thread))
    }

    /// Leads a port of the network to one of this machine's 127.0.0.1.
    pub fn lead_out(&mut self, inside: SocketAddrV4, port: u16) -> Result<()> {
        let (answer, result) = mpsc::channel();
        self.orders.send(Order::Listen(inside, answer)).context("the network's thread is gone")?;
        let listener = result.recv()?.with_context(|| format!("listening on {inside}"))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        self.forwarders.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(server) = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                        copy(client, server).await;
                    }
                });
            }
        });
        Ok(())
    }

    /// Makes a port of the network reachable from this machine: `http://127.0.0.1:<port>`.
    pub async fn publish(&mut self, port: u16) -> Result<String> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let orders = self.orders.clone();
        self.forwarders.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let orders = orders.clone();
                tokio::spawn(async move {
                    if let Some(server) = connect(&orders, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).await
                    {
                        copy(client, server).await;
                    }
                });
            }
        });
        Ok(format!("http://{address}"))
    }
}

async fn connect(orders: &mpsc::Sender<Order>, to: SocketAddrV4) -> Option<tokio::net::TcpStream> {
    let (answer, result) = tokio::sync::oneshot::channel();
    orders.send(Order::Connect(to, answer)).ok()?;
    let stream = result.await.ok()?.ok()?;
    stream.set_nonblocking(true).ok()?;
    tokio::net::TcpStream::from_std(stream).ok()
}

async fn copy(mut client: tokio::net::TcpStream, mut server: tokio::net::TcpStream) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

/// A socket belongs to the namespace of the thread that makes it, wherever it is used then.
fn obey(inbox: mpsc::Receiver<Order>) {
    for order in inbox {
        match order {
            Order::Listen(address, answer) => drop(answer.send(TcpListener::bind(address))),
            Order::Connect(address, answer) => {
                let connected = TcpStream::connect_timeout(&SocketAddr::V4(address), Duration::from_secs(5));
                drop(answer.send(connected));
            }
        }
    }
}

/// Puts this thread into a new network namespace, and brings its loopback interface up. The thread's id.
fn make() -> std::io::Result<libc::pid_t> {
    // SAFETY: plain system calls. `request` is an `ifreq` with a name that ends with a zero and the flags that SIOCSIFFLAGS reads.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNET) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if socket < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let result = libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &request);
        let error = std::io::Error::last_os_error();
        libc::close(socket);
        if result == 0 { Ok(libc::gettid()) } else { Err(error) }
    }
}
