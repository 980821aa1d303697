//! CPU time and memory of processes, from `/proc`.

use std::collections::HashSet;

use anyhow::{Context, Result};

/// One line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    pid: u32,
    parent: u32,
    own_ticks: u64,
    /// Of children that have exited and were reaped.
    reaped_ticks: u64,
}

/// A snapshot of all processes of the machine.
pub struct Processes(Vec<Stat>);

impl Processes {
    /// Takes the snapshot.
    ///
    /// # Errors
    /// On a system without `/proc`.
    pub fn now() -> Result<Processes> {
        let entries = std::fs::read_dir("/proc").context("reading /proc (this needs Linux)")?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let pids = names.filter_map(|name| name.to_str()?.parse::<u32>().ok());
        // A process may exit meanwhile.
        let text = |pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        Ok(Processes(pids.filter_map(|pid| parse(&text(pid)?)).collect()))
    }

    /// CPU seconds of a process tree: of the processes that run, and of reaped children.
    pub fn tree_seconds(&self, root: u32) -> f64 {
        let tree = self.tree(root);
        let of_tree = self.0.iter().filter(|stat| tree.contains(&stat.pid));
        seconds(of_tree.map(|stat| stat.own_ticks + stat.reaped_ticks).sum())
    }

    /// CPU seconds of a process tree until now. Takes another snapshot when a child exited meanwhile, which would be counted
    /// twice or not at all.
    ///
    /// # Errors
    /// On a system without `/proc`.
    pub fn tree_seconds_now(root: u32) -> Result<f64> {
        loop {
            let (before, after) = (Processes::now()?, Processes::now()?);
            if before.reaped_ticks(root) == after.reaped_ticks(root) {
                return Ok(before.tree_seconds(root));
            }
        }
    }

    fn reaped_ticks(&self, pid: u32) -> Option<u64> {
        self.0.iter().find(|stat| stat.pid == pid).map(|stat| stat.reaped_ticks)
    }

    /// CPU seconds of this process alone.
    pub fn own_seconds(&self) -> f64 {
        let own = self.0.iter().find(|stat| stat.pid == std::process::id());
        seconds(own.map_or(0, |stat| stat.own_ticks))
    }

    /// Ids of the process and its descendants.
    fn tree(&self, root: u32) -> HashSet<u32> {
        let mut tree = HashSet::from([root]);
        loop {
            let before = tree.len();
            let children = self.0.iter().filter(|stat| tree.contains(&stat.parent));
            let children: Vec<u32> = children.map(|stat| stat.pid).collect();
            tree.extend(children);
            if tree.len() == before {
                return tree;
            }
        }
    }

    /// The largest peak resident set size (`VmHWM`) of a process of the tree, in bytes.
    pub fn peak_memory_bytes(&self, root: u32) -> u64 {
        self.tree(root).into_iter().filter_map(peak_resident_bytes).max().unwrap_or(0)
    }
}

fn parse(stat: &str) -> Option<Stat> {
    let pid = stat.split_whitespace().next()?.parse().ok()?;
    // The name, in parentheses, may have anything in it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let parent = number(1)? as u32;
    Some(Stat { pid, parent, own_ticks: number(11)? + number(12)?, reaped_ticks: number(13)? + number(14)? })
}

fn peak_resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn seconds(ticks: u64) -> f64 {
    // SAFETY: sysconf(3) touches no memory.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    ticks as f64 / per_second.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_process_is_called() {
        let line = "7 (a) b (c) S 3 7 7 0 -1 4194560 100 0 0 0 10 20 30 40 20 0 1 0 100 0 0";
        assert_eq!(parse(line), Some(Stat { pid: 7, parent: 3, own_ticks: 30, reaped_ticks: 70 }));
        assert_eq!(parse("7 (short) S 3"), None);
    }

    #[test]
    fn a_tree_has_all_descendants_and_nobody_else() {
        let stat = |pid, parent| Stat { pid, parent, own_ticks: 100, reaped_ticks: 10 };
        let processes = Processes(vec![stat(4, 3), stat(1, 0), stat(3, 2), stat(2, 1), stat(9, 1)]);
        assert_eq!(processes.tree(2), HashSet::from([2, 3, 4]));
        assert_eq!(processes.tree_seconds(2), seconds(330));
    }

    #[test]
    fn what_an_ended_child_used_is_kept() {
        let used = || Processes::tree_seconds_now(std::process::id()).unwrap();
        let before = used();
        let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", burn]).status().unwrap().success());
        assert!(used() > before);
    }

    #[test]
    fn this_process_is_among_them() {
        let processes = Processes::now().unwrap();
        assert!(processes.tree(1).contains(&std::process::id()) || processes.own_seconds() >= 0.0);
        assert!(processes.peak_memory_bytes(std::process::id()) > 100_000);
    }
}
