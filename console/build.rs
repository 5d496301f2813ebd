//! Lists the files of `assets/` for embedding, with a tag of their content each, so that no list is kept by hand.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let var = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| io::Error::other(name.to_owned()))
    };
    let assets = var("CARGO_MANIFEST_DIR")?.join("assets");
    println!("cargo::rerun-if-changed=assets");
    let mut files = Vec::new();
    if assets.is_dir() {
        list(&assets, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file
            .strip_prefix(&assets)
            .map_err(io::Error::other)?
            .to_string_lossy()
            .replace('\\', "/");
        let mut hasher = DefaultHasher::new();
        fs::read(&file)?.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let path = file.to_string_lossy();
        writeln!(
            table,
            "    Asset {{ name: {name:?}, tag: {tag:?}, content: include_bytes!({path:?}) }},"
        )
        .map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(var("OUT_DIR")?.join("assets.rs"), table)
}

/// Files below a folder, hidden ones left out.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match (is_hidden, path.is_dir()) {
            (true, _) => {}
            (false, true) => list(&path, files)?,
            (false, false) => files.push(path),
        }
    }
    Ok(())
}
