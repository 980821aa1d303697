//! The component of another commit, built once and kept.
//!
//! All of it is below `against` in cargo's target directory. The sources are checked out into a git work tree for as long as
//! the build takes; what is kept then is a plain copy of them, with the component in it. All commits have the same work tree
//! and the same target directory, one after the other, so that dependencies are built once and each build replaces the last.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use super::Manifest;
use crate::component::{self, copy_in_one_step};
use crate::repo_root;

/// How many versions are kept; of others the one that was used last longest ago goes first.
const KEPT: usize = 4;

/// A commit's sources and its component. While it exists, nobody else builds or deletes one.
#[derive(Debug)]
pub struct Version {
    commit: String,
    folder: PathBuf,
    lock: File,
}

impl Version {
    /// The version of a commit, whatever git takes for one; built when it has not been before, by the build command of its
    /// own manifest and with the tool chain that runs us. `option` is what it was asked for by, such as `--against`.
    ///
    /// # Errors
    /// When there is no git, no repository or no such commit, or when it does not build.
    pub async fn of(option: &str, commit: &str) -> Result<Version> {
        let root = repo_root();
        let commit = resolve(&root, option, commit).await?;
        component::ensure_target().await?;
        let store = Store { root, folder: component::target_dir().await?.join("against") };
        store.version(commit).await
    }

    /// The full commit hash.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The abbreviated commit hash.
    pub fn short(&self) -> &str {
        &self.commit[..7]
    }

    /// Where `spin.toml`, `migrations` and the component are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        // By itself it would stay for as long as a process that is just being started has a copy of the file.
        let _ = self.lock.unlock();
    }
}

/// The commit of a tree, if there is one and git is there to tell, and whether the tree differs from it.
pub async fn present(root: &Path) -> Result<(Option<String>, bool)> {
    let Ok(commit) = resolve(root, "--against", "HEAD").await else {
        return Ok((None, false));
    };
    let changes = git(root, &["status", "--porcelain"]).await?;
    Ok((Some(commit), !changes.is_empty()))
}

async fn resolve(root: &Path, option: &str, commit: &str) -> Result<String> {
    git(root, &["--version"]).await.with_context(|| format!("{option} needs git"))?;
    if let Err(error) = git(root, &["rev-parse", "--git-dir"]).await {
        let error = error.to_string();
        bail!("{option} needs a git repository: {}", error.lines().next().unwrap_or_default());
    }
    let name = format!("{commit}^{{commit}}");
    let found = git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).await;
    found.ok().with_context(|| format!("{option}: there is no commit `{commit}` in this repository"))
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    // Hooks are for people's work trees.
    command.args(["-c", "core.hooksPath=/dev/null"]).args(arguments).current_dir(folder);
    Ok(component::output(&mut command).await?.trim().to_owned())
}

/// Where versions are built and kept.
struct Store {
    root: PathBuf,
    folder: PathBuf,
}

impl Store {
    async fn version(&self, commit: String) -> Result<Version> {
        std::fs::create_dir_all(&self.folder).with_context(|| format!("making {}", self.folder.display()))?;
        let lock = File::create(self.folder.join("lock"))?;
        ensure!(
            lock.try_lock().is_ok(),
            "another comparison or campaign is under way in {}",
            self.folder.display()
        );
        let folder = self.folder.join(&commit);
        if !folder.is_dir() {
            eprintln!("Building the component of {commit} …");
            self.build(&commit, &folder).await?;
        }
        File::open(&folder)?.set_modified(SystemTime::now())?;
        self.forget()?;
        Ok(Version { commit, folder, lock })
    }

    async fn build(&self, commit: &str, kept: &Path) -> Result<()> {
        let tree = WorkTree::add(&self.root, self.folder.join("tree"), commit).await?;
        let manifest = Manifest::read(&tree.folder.join("spin.toml"))?;
        let target = self.folder.join("build");
        for component in manifest.components() {
            let Ok(file) = component.source().strip_prefix("target") else {
                bail!("commit {commit}: its component is not built below `target`");
            };
            let mut command = Command::new("sh");
            command.args(["-c", component.build_command()?]).current_dir(&tree.folder).kill_on_drop(true);
            let built = component::run(command.env("CARGO_TARGET_DIR", &target)).await;
            built.with_context(|| format!("building the component of {commit}"))?;
            copy_in_one_step(&target.join(file), &tree.folder.join(component.source()))
                .with_context(|| format!("commit {commit}: its build command made no {}", file.display()))?;
        }
        // Whole or not at all: a folder with the commit's name is one that was finished.
        let incoming = self.folder.join("incoming");
        remove(&incoming)?;
        std::fs::create_dir(&incoming)?;
        for entry in std::fs::read_dir(&tree.folder)? {
            let name = entry?.file_name();
            if name != ".git" {
                std::fs::rename(tree.folder.join(&name), incoming.join(&name))?;
            }
        }
        std::fs::rename(&incoming, kept)?;
        Ok(())
    }

    /// Deletes versions beyond those that are kept.
    fn forget(&self) -> Result<()> {
        let mut versions = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.len() >= 40 && name.to_string_lossy().chars().all(|c| c.is_ascii_hexdigit()) {
                versions.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        versions.sort();
        let many = versions.len().saturating_sub(KEPT);
        versions[..many].iter().try_for_each(|(_, folder)| remove(folder))
    }
}

/// A git work tree. Dropping it removes it.
struct WorkTree<'a> {
    root: &'a Path,
    folder: PathBuf,
}

impl WorkTree<'_> {
    async fn add<'a>(root: &'a Path, folder: PathBuf, commit: &str) -> Result<WorkTree<'a>> {
        let tree = WorkTree { root, folder };
        // What a process that was killed may have left there.
        tree.remove();
        let path = tree.folder.display().to_string();
        // Twice forced: also where git still knows a tree that somebody has deleted, or locked and not finished.
        git(root, &["worktree", "add", "--quiet", "--force", "--force", "--detach", &path, commit]).await?;
        Ok(tree)
    }

    fn remove(&self) {
        let mut command = std::process::Command::new("git");
        command.args(["worktree", "remove", "--force", "--force"]).arg(&self.folder).current_dir(self.root);
        // It complains of one that is not there.
        let _ = command.output();
        let _ = remove(&self.folder);
    }
}

impl Drop for WorkTree<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("deleting {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        [component.orders]
        source = "target/release/orders.wasm"
        build.command = "echo x >> builds-of-all && mkdir -p $CARGO_TARGET_DIR/release && cp text $CARGO_TARGET_DIR/release/orders.wasm"
    "#;

    /// A repository with a commit for each text, and a place for versions. Deleted with its handle.
    struct Repository(PathBuf);

    impl Repository {
        async fn new(name: &str) -> Repository {
            let folder = std::env::temp_dir().join(format!("order-service-{name}-{}", std::process::id()));
            remove(&folder).unwrap();
            std::fs::create_dir_all(folder.join("clone")).unwrap();
            let repository = Repository(folder);
            repository.git(&["init", "--quiet"]).await;
            std::fs::write(repository.root().join("spin.toml"), MANIFEST).unwrap();
            repository
        }

        fn root(&self) -> PathBuf {
            self.0.join("clone")
        }

        fn store(&self) -> Store {
            Store { root: self.root(), folder: self.0.join("against") }
        }

        async fn git(&self, arguments: &[&str]) -> String {
            let who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
            git(&self.root(), &[&who, arguments].concat()).await.unwrap()
        }

        async fn commit(&self, text: &str) -> String {
            std::fs::write(self.root().join("text"), text).unwrap();
            self.git(&["add", "."]).await;
            self.git(&["commit", "--quiet", "--message", text]).await;
            resolve(&self.root(), "--against", "HEAD").await.unwrap()
        }

        fn kept(&self) -> usize {
            let names = std::fs::read_dir(self.0.join("against")).unwrap();
            names.filter(|entry| entry.as_ref().unwrap().file_name().len() == 40).count()
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = remove(&self.0);
        }
    }

    fn component_of(version: &Version) -> String {
        std::fs::read_to_string(version.folder().join("target/release/orders.wasm")).unwrap()
    }

    #[tokio::test]
    async fn a_commit_is_built_once_and_leaves_no_work_tree() {
        let repository = Repository::new("built-once").await;
        let first = repository.commit("first").await;
        let second = repository.commit("second").await;
        std::fs::write(repository.root().join("text"), "not committed").unwrap();
        for (commit, text) in [(&first, "first"), (&second, "second"), (&first, "first")] {
            let version = repository.store().version(commit.clone()).await.unwrap();
            assert_eq!(component_of(&version), text);
            let builds = std::fs::read_to_string(version.folder().join("builds-of-all")).unwrap();
            assert_eq!(builds, "x\n");
            assert!(!version.folder().join(".git").exists());
        }
        assert!(!repository.0.join("against/tree").exists());
        assert_eq!(repository.git(&["worktree", "list"]).await.lines().count(), 1);
        assert_eq!(repository.git(&["status", "--porcelain"]).await, "M text");
        assert_eq!(present(&repository.root()).await.unwrap(), (Some(second), true));
    }

    #[tokio::test]
    async fn a_build_that_fails_leaves_nothing_and_one_that_was_killed_is_no_obstacle() {
        let repository = Repository::new("fails").await;
        let good = repository.commit("good").await;
        repository.git(&["rm", "--quiet", "text"]).await;
        repository.git(&["commit", "--quiet", "--message", "bad"]).await;
        let bad = resolve(&repository.root(), "--against", "HEAD").await.unwrap();
        assert!(repository.store().version(bad).await.is_err());
        assert_eq!(repository.kept(), 0);
        assert_eq!(repository.git(&["worktree", "list"]).await.lines().count(), 1);
        let tree = repository.store().folder.join("tree");
        std::mem::forget(WorkTree::add(&repository.root(), tree.clone(), &good).await.unwrap());
        std::fs::remove_dir_all(tree).unwrap();
        assert_eq!(component_of(&repository.store().version(good).await.unwrap()), "good");
    }

    #[tokio::test]
    async fn few_versions_are_kept_and_one_process_at_a_time_builds() {
        let repository = Repository::new("kept").await;
        let first = repository.commit("0").await;
        let mut held = repository.store().version(first.clone()).await.unwrap();
        let error = repository.store().version(first.clone()).await.err().unwrap().to_string();
        assert!(error.starts_with("another comparison or campaign is under way"), "{error}");
        for text in 1..=KEPT {
            let commit = repository.commit(&text.to_string()).await;
            drop(held);
            held = repository.store().version(commit).await.unwrap();
        }
        assert_eq!(repository.kept(), KEPT);
        assert!(!repository.store().folder.join(first).exists());
    }

    #[tokio::test]
    async fn what_git_does_not_know_is_one_clear_line() {
        let repository = Repository::new("unknown").await;
        let commit = repository.commit("one").await;
        assert_eq!(resolve(&repository.root(), "--against", &commit[..8]).await.unwrap(), commit);
        for unknown in ["nowhere", "--all", "0123456789", "HEAD~1", "HEAD:text", "HEAD-dirty"] {
            let error = resolve(&repository.root(), "--against", unknown).await.unwrap_err();
            let said = format!("--against: there is no commit `{unknown}` in this repository");
            assert_eq!(format!("{error:#}"), said);
        }
        let error = format!("{:#}", resolve(&repository.0, "--against", "HEAD").await.unwrap_err());
        assert!(error.starts_with("--against needs a git repository: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
