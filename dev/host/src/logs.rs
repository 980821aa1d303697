//! The guest's stdout and stderr: forwarded to this process's stderr and to a log file each.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// The destinations of all instances of a component.
#[derive(Clone)]
pub struct GuestOutput {
    /// What the guest writes to stdout.
    pub stdout: GuestStream,
    /// What the guest writes to stderr.
    pub stderr: GuestStream,
}

impl GuestOutput {
    /// Opens the log files of a component in `folder`, if there is one. `quiet` keeps the output off stderr.
    pub fn open(folder: Option<&Path>, component: &str, quiet: bool) -> Result<Self> {
        let open = |name: &str| -> Result<GuestStream> {
            let Some(folder) = folder else {
                // As in Spin: output that goes nowhere else goes to stderr, `--quiet` or not.
                return Ok(GuestStream { file: None, stderr: true });
            };
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
            let path = folder.join(format!("{component}_{name}.txt"));
            let file = OpenOptions::new().create(true).append(true).open(&path);
            let file = file.with_context(|| format!("cannot open {}", path.display()))?;
            Ok(GuestStream { file: Some(Arc::new(Mutex::new(file))), stderr: !quiet })
        };
        Ok(Self { stdout: open("stdout")?, stderr: open("stderr")? })
    }
}

/// One of the guest's two output streams.
///
/// Writes are synchronous, as Spin's are: a line that a guest wrote is in the file, whatever happens to the instance or
/// to this process afterwards.
#[derive(Clone)]
pub struct GuestStream {
    file: Option<Arc<Mutex<File>>>,
    stderr: bool,
}

impl GuestStream {
    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &self.file {
            // The lock keeps the lines of concurrent instances whole.
            file.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)?;
        }
        if self.stderr {
            io::stderr().lock().write_all(bytes)?;
        }
        Ok(())
    }
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_all(&bytes).map_err(|error| StreamError::LastOperationFailed(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        const AT_A_TIME: usize = 64 * 1024;
        Ok(AT_A_TIME)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_all(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_appended_to_a_file_for_each_stream() {
        let folder = std::env::temp_dir().join(format!("dev-host-logs-{}", std::process::id()));
        for text in ["one\n", "two\n"] {
            let output = GuestOutput::open(Some(&folder), "shop", true).expect("opened");
            output.stdout.write_all(text.as_bytes()).expect("written");
        }
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("there");
        assert_eq!(read("shop_stdout.txt"), "one\ntwo\n");
        assert_eq!(read("shop_stderr.txt"), "");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn without_a_folder_quiet_has_no_effect() {
        assert!(GuestOutput::open(None, "shop", true).expect("opened").stdout.stderr);
    }
}
