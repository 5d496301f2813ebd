//! Hosts of applications from all the places that name them: their documents, files in Prometheus' `file_sd` form, and
//! URLs that answer the same (`http_sd`).
//!
//! An application's list of hosts is the denominator of every percent. So a source that can't be read must never look
//! like a source that names nobody: the list then says that it is partial, and whoever keeps the inventory lets no
//! host go by it.

mod urls;

use crate::Document;
use crate::app::{App, Host, OWN_LABELS, is_address};
use crate::diagnostic::{Diagnostic, Mistake};
use crate::documents::{Placed, Wholeness};
use crate::files::{Listing, entries, unreadable};
use crate::last::Parsed;
use crate::watched::Watched;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use urls::UrlTargets;
pub use urls::{UrlRead, UrlReader};

/// The hosts of an application as they are named now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppHosts {
    /// Its name.
    pub app: String,
    /// Its hosts, each name once; the document's own first, then by file.
    pub hosts: Vec<Host>,
    /// Whether all sources could be read: if not, hosts that are missing here may well be meant.
    pub wholeness: Wholeness,
    /// What is wrong with the sources.
    pub mistakes: Vec<Diagnostic>,
}

/// Reads the files and URLs that applications name, again at every poll, each with its last good targets.
#[derive(Default)]
pub struct Targets {
    files: Watched<Vec<Host>>,
    urls: BTreeMap<String, UrlTargets>,
}

impl Targets {
    /// The hosts of every application among these documents, in their order. `root` is where relative globs of texts
    /// begin that are no files. To be called as often as [`crate::Documents::poll`], with what it has.
    pub fn poll(&mut self, documents: &[Placed], root: &Path, reader: &mut dyn UrlReader) -> Vec<AppHosts> {
        let apps = documents.iter().filter_map(|placed| match &placed.document {
            Document::App(app) => Some((placed, app)),
            Document::Monitor(_) | Document::Tenant(_) | Document::Drain(_) | Document::Node(_) => None,
        });
        let globbed: Vec<(&Placed, &App, Vec<Globbed>)> = apps
            .map(|(placed, app)| {
                let base = base_of(placed, root);
                (
                    placed,
                    app,
                    app.file_sd.iter().map(|glob| Globbed::of(glob, &base)).collect(),
                )
            })
            .collect();
        let mut listing = Listing::default();
        let mut listed = BTreeSet::new();
        for glob in globbed.iter().flat_map(|(_, _, globs)| globs) {
            listed.extend(glob.files.iter().cloned());
            listing.unlisted.extend(glob.unlisted.clone());
        }
        listing.files = listed.into_iter().collect();
        // Whether something changed is seen from the hosts by whoever keeps them.
        let _changed = self.files.poll(&listing, parse);
        let urls = globbed.iter().filter_map(|(_, app, _)| app.http_sd.clone()).collect();
        urls::take_all(&mut self.urls, &urls, reader);
        globbed
            .into_iter()
            .map(|(placed, app, globs)| self.gather(placed, app, &globs))
            .collect()
    }

    fn gather(&self, placed: &Placed, app: &App, globs: &[Globbed]) -> AppHosts {
        let mut found = AppHosts {
            app: app.name.clone(),
            hosts: app.hosts.clone(),
            wholeness: Wholeness::Whole,
            mistakes: Vec::new(),
        };
        let mut names: BTreeSet<String> = app.hosts.iter().map(|host| host.host.clone()).collect();
        for glob in globs {
            self.gather_glob(placed, glob, &mut found, &mut names);
        }
        if let Some(url) = &app.http_sd {
            self.gather_url(placed, url, &mut found, &mut names);
        }
        found
    }

    fn gather_glob(&self, placed: &Placed, glob: &Globbed, found: &mut AppHosts, names: &mut BTreeSet<String>) {
        if let Some((message, hint)) = &glob.mistake {
            found.wholeness = Wholeness::Partial;
            found.mistakes.push(placed.mistake(message, *hint));
        }
        for path in &glob.files {
            if !self.files.is_whole_of(path) {
                found.wholeness = Wholeness::Partial;
            }
            found.mistakes.extend(self.files.mistakes_of(path).iter().cloned());
            let hosts = self.files.value(path).into_iter().flatten();
            add(hosts, &path.display().to_string(), placed, found, names);
        }
    }

    fn gather_url(&self, placed: &Placed, url: &str, found: &mut AppHosts, names: &mut BTreeSet<String>) {
        let unread = UrlTargets::default();
        let targets = self.urls.get(url).unwrap_or(&unread);
        if !targets.is_whole() {
            found.wholeness = Wholeness::Partial;
        }
        match (&targets.trouble, &targets.hosts) {
            (Some(trouble), Some(_)) => found.mistakes.push(placed.mistake(
                format!("{url}: {trouble}"),
                "the hosts that it named last stay; mend the server, or the URL",
            )),
            (Some(trouble), None) => found.mistakes.push(placed.mistake(
                format!("{url}: {trouble}"),
                "no host is known of it yet; mend the server, or the URL",
            )),
            // It has a moment to answer before anything is said.
            (None, _) => {}
        }
        found.mistakes.extend(targets.mistakes.iter().cloned());
        add(targets.hosts.iter().flatten(), url, placed, found, names);
    }
}

/// Adds hosts that a source names, each name once.
fn add<'h>(
    hosts: impl Iterator<Item = &'h Host>,
    source: &str,
    placed: &Placed,
    found: &mut AppHosts,
    names: &mut BTreeSet<String>,
) {
    for host in hosts {
        if names.insert(host.host.clone()) {
            found.hosts.push(host.clone());
        } else {
            let message = format!("the host `{}` is named twice, at last in {source}", host.host);
            let hint = "a host answers once for an app: keep one of them";
            found.mistakes.push(placed.mistake(message, hint));
        }
    }
}

/// Where a document's relative globs begin.
fn base_of(placed: &Placed, root: &Path) -> PathBuf {
    let file = Path::new(&*placed.source.file);
    match file.parent() {
        Some(parent) if file.starts_with(root) => parent.to_owned(),
        _ => root.to_owned(),
    }
}

/// The files of a glob.
struct Globbed {
    files: Vec<PathBuf>,
    unlisted: Option<PathBuf>,
    mistake: Option<(String, &'static str)>,
}

impl Globbed {
    /// As Prometheus has it, wildcards (`*`, `?`) stand in the last part of a path only.
    fn of(glob: &str, base: &Path) -> Globbed {
        let path = base.join(glob);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let (Some(folder), Some(name)) = (path.parent(), name) else {
            return Globbed::mistaken(format!("`{glob}` names no file"), "write such as targets/*.json");
        };
        if folder.to_string_lossy().contains(['*', '?']) {
            let message = format!("`{glob}` has a wildcard in a folder's name");
            return Globbed::mistaken(message, "use `*` and `?` in the last part of the path only");
        }
        if !name.ends_with(".json") {
            return Globbed::mistaken(format!("`{glob}` is not JSON"), "name files that end in .json");
        }
        match entries(folder) {
            Ok(paths) => Globbed::matching(glob, &name, paths),
            Err(error) => Globbed {
                unlisted: Some(folder.to_owned()),
                ..Globbed::mistaken(
                    format!(
                        "`{glob}`: {}",
                        unreadable(&folder.display().to_string(), &error).message
                    ),
                    folder_hint(&error),
                )
            },
        }
    }

    fn matching(glob: &str, name: &str, mut paths: Vec<PathBuf>) -> Globbed {
        paths.retain(|path| {
            path.file_name()
                .is_some_and(|found| matches(name, &found.to_string_lossy()))
        });
        let none = || (format!("no file matches `{glob}`"), "create it, or mend the glob");
        Globbed {
            mistake: paths.is_empty().then(none),
            files: paths,
            unlisted: None,
        }
    }

    fn mistaken(message: String, hint: &'static str) -> Globbed {
        Globbed {
            files: Vec::new(),
            unlisted: None,
            mistake: Some((message, hint)),
        }
    }
}

fn folder_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "let the user that runs this read the folder",
        _ => "a relative glob begins at the folder of its document",
    }
}

/// Whether a name fits a pattern with `*` and `?`. Linear in their product: the last star alone is tried again.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&character) if character == '?' || character == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((star_at, star_from)) => {
                    star = Some((star_at, star_from + 1));
                    (at, from) = (star_at + 1, star_from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&rest| rest == '*')
}

/// One entry of a targets file.
#[derive(Deserialize)]
struct TargetGroup {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

fn parse(name: &str, text: &str) -> Parsed<Vec<Host>> {
    let mut mistakes = Vec::new();
    let groups: Vec<TargetGroup> = match serde_json::from_str(text) {
        Ok(groups) => groups,
        Err(error) => {
            mistakes.push(not_json(name, text, &error));
            Vec::new()
        }
    };
    let mut value = Vec::new();
    for group in &groups {
        match group.hosts() {
            Ok(hosts) => value.extend(hosts),
            Err((target, told)) => mistakes.push(at_text(name, text, target, told)),
        }
    }
    Parsed { value, mistakes }
}

impl TargetGroup {
    /// The hosts of a group, or the target that is none and why. A host is named as its address without the port, or
    /// by the label `host` where the group has one target.
    fn hosts(&self) -> Result<Vec<Host>, (&str, [&'static str; 2])> {
        let given = self.labels.get("host");
        if let (Some(_), [_, second, ..]) = (given, &self.targets[..]) {
            let told = [
                "one label `host` can't name two targets",
                "give each target a group of its own",
            ];
            return Err((second, told));
        }
        // Labels that begin so are Prometheus' own; of the others some are ours, and are set by us.
        let is_theirs = |name: &String| !name.starts_with("__") && !OWN_LABELS.contains(&name.as_str());
        let labels: BTreeMap<String, String> = self
            .labels
            .iter()
            .filter(|(name, _)| is_theirs(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut hosts = Vec::new();
        for target in &self.targets {
            let Some((name, _)) = target.rsplit_once(':').filter(|_| is_address(target)) else {
                let told = [
                    "a target is not an address",
                    "write host and port of its agent: 10.0.0.1:7801",
                ];
                return Err((target, told));
            };
            hosts.push(Host {
                host: given.cloned().unwrap_or_else(|| name.to_owned()),
                address: target.clone(),
                labels: labels.clone(),
            });
        }
        Ok(hosts)
    }
}

fn not_json(name: &str, text: &str, error: &serde_json::Error) -> Diagnostic {
    let line_start: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let at = line_start + error.column().saturating_sub(1);
    let rendered = error.to_string();
    let message = rendered.split(" at line ").next().unwrap_or_default();
    let mistake = Mistake::new(at..at + 1, format!("not a list of targets: {message}"));
    let hint = r#"write [{"targets": ["10.0.0.1:7801"], "labels": {"zone": "a"}}]"#;
    Diagnostic::in_text(Some(name), text, mistake.hint(hint))
}

/// A mistake at the first place where a text is written as JSON.
fn at_text(name: &str, text: &str, written: &str, [message, hint]: [&str; 2]) -> Diagnostic {
    let quoted = serde_json::to_string(written).unwrap_or_default();
    let at = text.find(&quoted).unwrap_or_default();
    let mistake = Mistake::new(at..at + quoted.len(), format!("{message}: {quoted}"));
    Diagnostic::in_text(Some(name), text, mistake.hint(hint))
}

#[cfg(test)]
mod tests;
