//! CPU time of a server and its processes, from `/proc`.

use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time that the process and its children have used since the process began: what the children use while they live, and
/// what those that ended had used. Grandchildren count once their parent has waited for them.
pub fn of_family(pid: u32) -> Result<Duration> {
    loop {
        let before = Usage::of(pid)?;
        let mut ticks = before.own + before.of_ended_children;
        for entry in std::fs::read_dir("/proc").context("reading /proc")? {
            let name = entry?.file_name();
            // Others come and go meanwhile.
            if let Some(child) = name.to_str().and_then(|name| name.parse().ok())
                && let Ok(usage) = Usage::of(child)
                && usage.parent == pid
            {
                ticks += usage.own + usage.of_ended_children;
            }
        }
        // A child that ended meanwhile may be counted twice, or not at all.
        if Usage::of(pid)?.of_ended_children == before.of_ended_children {
            // SAFETY: sysconf(3) touches no memory of ours.
            let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
            return Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64));
        }
    }
}

/// Clock ticks of one process, and whose child it is.
struct Usage {
    parent: u32,
    own: u64,
    of_ended_children: u64,
}

impl Usage {
    fn of(pid: u32) -> Result<Usage> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("there is no process {pid}"))?;
        Usage::parse(&text).with_context(|| format!("/proc/{pid}/stat reads {text:?}"))
    }

    /// See proc(5): the second field is a name in parentheses, in which anything may stand.
    fn parse(text: &str) -> Option<Usage> {
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Usage {
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            of_ended_children: number(13)? + number(14)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_process_is_called() {
        let usage =
            Usage::parse("7 (a) b) S 3 7 7 0 -1 4194560 900 0 0 0 11 4 200 30 20 0 1 0 99 1 1\n").unwrap();
        assert_eq!((usage.parent, usage.own, usage.of_ended_children), (3, 15, 230));
    }

    #[test]
    fn what_an_ended_child_used_is_kept() {
        let before = of_family(std::process::id()).unwrap();
        let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", burn]).status().unwrap().success());
        assert!(of_family(std::process::id()).unwrap() > before);
    }
}
