//! What a folder of migrations has.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Digits of the number with which the name of a table file begins.
pub const DIGITS: usize = 4;

/// The list of the sets of functions that came before the present one, by their checksums.
pub const REPLACES: &str = "functions/replaces.txt";

/// `NNNN_….sql`: applied once.
pub struct TableFile {
    /// The file's name without `.sql`.
    pub version: String,
    pub path: PathBuf,
    pub sql: String,
}

/// `functions/<name>.sql`: replaced with all others when one has changed.
pub struct FunctionFile {
    pub name: String,
    pub path: PathBuf,
    pub sql: String,
}

/// A folder's files, each kind in the order of the names.
pub struct Files {
    pub tables: Vec<TableFile>,
    pub functions: Vec<FunctionFile>,
    /// Checksums from [`REPLACES`], the oldest first; none where there is no such list.
    pub replaces: Vec<String>,
}

impl Files {
    /// Reads them. A folder may be without functions, but not without table files.
    pub fn read(folder: &Path) -> Result<Files> {
        let mut files = Files { tables: Vec::new(), functions: Vec::new(), replaces: Vec::new() };
        for (version, path, sql) in sql_files(folder)? {
            if is_numbered(&version) {
                files.tables.push(TableFile { version, path, sql });
            }
        }
        if files.tables.is_empty() {
            bail!("{} has no files NNNN_….sql", folder.display());
        }
        let functions = folder.join("functions");
        if functions.is_dir() {
            let functions = sql_files(&functions)?.into_iter();
            files.functions = functions.map(|(name, path, sql)| FunctionFile { name, path, sql }).collect();
        }
        let list = std::fs::read_to_string(folder.join(REPLACES)).unwrap_or_default();
        files.replaces = list.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        if let Some(line) = files.replaces.iter().find(|line| !is_checksum(line)) {
            bail!("{REPLACES}: {line:?} is no checksum; after a merge the lines of both sides stay");
        }
        Ok(files)
    }

    /// SHA-256 of the functions' names and texts, in hexadecimal.
    pub fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for function in &self.functions {
            hash.update(format!("{}\n{}\n", function.name, function.sql));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn is_checksum(line: &str) -> bool {
    line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_numbered(name: &str) -> bool {
    let number = name.split_once('_').map_or("", |(number, _)| number);
    number.len() == DIGITS && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Names without `.sql`, paths and texts.
fn sql_files(folder: &Path) -> Result<Vec<(String, PathBuf, String)>> {
    let reading = |path: &Path| format!("reading {}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| reading(folder))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            let sql = std::fs::read_to_string(&path).with_context(|| reading(&path))?;
            files.push((name.to_owned(), path, sql));
        }
    }
    files.sort();
    Ok(files)
}
