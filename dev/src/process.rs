//! Child processes that do not outlive this one.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Starts `command` in a process group of its own (so that Ctrl-C in the terminal reaches only us, and we decide the
/// order in which things stop). On Linux the child gets `signal_at_our_death` when this process ends, however it ends.
pub fn spawn_bound(command: Command, signal_at_our_death: i32) -> io::Result<Child> {
    let (answer, result) = mpsc::channel();
    spawner()
        .send(Order { command, signal_at_our_death, answer })
        .map_err(|_| io::Error::other("the thread that starts processes is gone"))?;
    result.recv().map_err(|_| io::Error::other("the thread that starts processes is gone"))?
}

/// Sends `signal` to the process alone. A process that has ended already is no error.
pub fn signal(child: &Child, signal: i32) {
    // SAFETY: kill(2) touches no memory; the pid is of a child that has not been waited for, so it is not reused.
    unsafe { libc::kill(child.id() as libc::pid_t, signal) };
}

/// Sends `signal` to the whole process group that [`spawn_bound`] made for the child.
pub fn signal_group(child: &Child, signal: i32) {
    // SAFETY: as above; the group's id is the child's pid.
    unsafe { libc::killpg(child.id() as libc::pid_t, signal) };
}

/// Waits until the child has ended, at most for `limit`; `None` when it still runs then.
pub fn wait_at_most(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Asks the child to end (SIGTERM), and kills it when it has not within `limit`.
pub async fn stop(mut child: Child, limit: Duration) {
    signal(&child, libc::SIGTERM);
    let ended = tokio::task::spawn_blocking(move || {
        if !matches!(wait_at_most(&mut child, limit), Ok(Some(_))) {
            signal(&child, libc::SIGKILL);
            let _ = child.wait();
        }
    });
    let _ = ended.await;
}

/// Where a program is: in a folder of the PATH, else where administrators' programs are.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin"].map(PathBuf::from);
    let mut files = std::env::split_paths(&path).chain(usual).map(|folder| folder.join(program));
    files.find(|file| file.is_file())
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    // SAFETY: geteuid(2) cannot fail and touches no memory.
    unsafe { libc::geteuid() == 0 }
}

struct Order {
    command: Command,
    signal_at_our_death: i32,
    answer: mpsc::Sender<io::Result<Child>>,
}

/// The kernel sends the death signal when the *thread* that forked ends, not the process. A thread of a test or of a
/// runtime comes and goes, so one thread that lives as long as the process starts all children.
fn spawner() -> &'static mpsc::Sender<Order> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::Builder::new()
            .name("child processes".into())
            .spawn(move || {
                for Order { mut command, signal_at_our_death, answer } in inbox {
                    command.process_group(0);
                    bind_to_this_process(&mut command, signal_at_our_death);
                    let _ = answer.send(command.spawn());
                }
            })
            .expect("a thread can be started");
        orders
    })
}

#[cfg(target_os = "linux")]
fn bind_to_this_process(command: &mut Command, signal_at_our_death: i32) {
    let us = std::process::id();
    let bind = move || {
        // SAFETY: both are plain system calls, allowed between fork and exec.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal_at_our_death) != 0 {
                return Err(io::Error::last_os_error());
            }
            if libc::getppid() as u32 != us {
                // We died between the fork and the call above: nobody would send the signal any more.
                libc::_exit(1);
            }
        }
        Ok(())
    };
    // SAFETY: the closure only makes async-signal-safe calls. The standard library runs it after it has changed the
    // user, which would clear the setting.
    unsafe { command.pre_exec(bind) };
}

/// Other systems have no such signal: there the children end with the handles that own them.
#[cfg(not(target_os = "linux"))]
fn bind_to_this_process(_command: &mut Command, _signal_at_our_death: i32) {}
