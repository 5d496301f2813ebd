//! The generations of an input: each file of each matched log's life, once, with what identifies it (F5, F6).
//!
//! A matched name is followed through links to its target; its predecessors are sought by name beside the target and
//! beside the link. What the upstream knew is sought by inode in the same folders, so a file renamed to anything stays
//! found; and at its last path, so the old target of a switched link stays found too. Nothing is remembered here: what
//! was known comes with the request.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::content::{self, Head};
use crate::pattern::{ENTRIES_MAX, FolderName, Matches, list_folder, split_path};
use crate::protocol::{
    COPY_HEAD_BYTES, Compression, Content, CopyEvidence, FINGERPRINT_BYTES, Fingerprint, Generation, Identity,
    KnownGeneration, KnownVerdict, LimitMet, PathProblem, Refusal, Role,
};
use crate::roots::{FileStat, Look, OpenFile, Roots, refusal_of};
use crate::rotation::{bases_of, compression_of, differ_in_date_only};

/// Most generations one answer holds: a thousand hosts' worth of rotation, and still a few megabytes.
pub const GENERATIONS_MAX: usize = 8192;
/// Most files with the same head that are compared with each other.
const COPIES_COMPARED_MAX: usize = 16;

/// What one listing saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Every file once, sorted by family, role and path.
    pub generations: Vec<Generation>,
    /// Names that can't be used, and why.
    pub problems: BTreeSet<PathProblem>,
    /// Limits met.
    pub limits: BTreeSet<LimitMet>,
}

/// How much a listing looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names and identities only: the second listing of P1.
    Names,
    /// Contents too.
    Contents,
}

/// A name that may turn out to be a generation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    role: Role,
    family: String,
    path: String,
}

/// Where predecessors of a live name are to be sought.
struct Place {
    family: String,
    name: String,
    /// Whether names that differ in their date only are predecessors too: so for targets of links.
    dated_siblings: bool,
}

struct Surveyor<'s> {
    roots: &'s Roots,
    known: HashMap<Identity, &'s KnownGeneration>,
    /// The same by what stays when the number of their device changes: inode and birth.
    known_anywhere: HashMap<(u64, Option<i64>), &'s KnownGeneration>,
    depth: Depth,
    survey: Survey,
    candidates: Vec<Candidate>,
    places: BTreeMap<String, Vec<Place>>,
    /// Hashes of the first [`COPY_HEAD_BYTES`] of each file that has so many.
    heads: HashMap<Fingerprint, Vec<Identity>>,
    entries_left: usize,
}

/// Lists every generation of the matched names.
/// Cost: one listing of each folder concerned, two opens a file, and with contents up to 6 KiB read of each.
pub fn survey(roots: &Roots, matches: &Matches, known: &[KnownGeneration], depth: Depth) -> Survey {
    let mut surveyor = Surveyor {
        roots,
        known: known.iter().map(|known| (known.identity, known)).collect(),
        known_anywhere: (known.iter())
            .map(|known| ((known.identity.inode, known.identity.birth_ns), known))
            .collect(),
        depth,
        survey: Survey {
            generations: Vec::new(),
            problems: matches.problems.clone(),
            limits: matches.limits.clone(),
        },
        candidates: Vec::new(),
        places: BTreeMap::new(),
        heads: HashMap::new(),
        entries_left: ENTRIES_MAX,
    };
    surveyor.place_matches(&matches.paths);
    surveyor.search_places();
    for known in known {
        let candidate = Candidate {
            role: Role::KnownByIdentity,
            family: known.path.clone(),
            path: known.path.clone(),
        };
        surveyor.candidates.push(candidate);
    }
    surveyor.examine();
    surveyor.survey
}

impl Surveyor<'_> {
    /// Makes each matched name a live one, unless another matched name claims it as its rotation (`app.log*`).
    fn place_matches(&mut self, paths: &BTreeSet<String>) {
        for path in paths {
            let (folder, name) = split_path(path);
            if bases_of(name)
                .iter()
                .any(|base| paths.contains(&format!("{folder}/{base}")))
            {
                continue;
            }
            self.candidates.push(Candidate {
                role: Role::Live,
                family: path.clone(),
                path: path.clone(),
            });
            self.place(path, path, false);
            match self.roots.look(path) {
                Ok(look) if look.real_path != *path => self.place(path, &look.real_path, true),
                // What is wrong with it is said when it is examined.
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn place(&mut self, family: &str, path: &str, dated_siblings: bool) {
        let (folder, name) = split_path(path);
        let place = Place {
            family: family.to_owned(),
            name: name.to_owned(),
            dated_siblings,
        };
        self.places.entry(folder.to_owned()).or_default().push(place);
    }

    fn search_places(&mut self) {
        let inodes: BTreeSet<u64> = self.known.keys().map(|identity| identity.inode).collect();
        for (folder, places) in std::mem::take(&mut self.places) {
            let named = if folder.is_empty() { "/" } else { &folder };
            match list_folder(self.roots, named, &mut self.entries_left) {
                Ok(listing) => {
                    self.survey.limits.extend(listing.limit);
                    let families: BTreeMap<&str, &Place> =
                        places.iter().rev().map(|place| (place.name.as_str(), place)).collect();
                    for name in &listing.names {
                        self.judge_name(&folder, name, &families, &inodes);
                    }
                }
                Err(Refusal::NotFound | Refusal::DanglingLink) => {}
                Err(refusal) => self.problem(&folder, refusal),
            }
        }
    }

    fn judge_name(
        &mut self,
        folder: &str,
        name: &FolderName,
        families: &BTreeMap<&str, &Place>,
        inodes: &BTreeSet<u64>,
    ) {
        let path = format!("{folder}/{}", name.name);
        let by_name = bases_of(&name.name)
            .iter()
            .find_map(|base| families.get(base.as_str()).copied());
        let dated = || {
            families
                .values()
                .copied()
                .find(|place| place.dated_siblings && differ_in_date_only(&place.name, &name.name))
        };
        match (by_name.or_else(dated), &name.hostile) {
            (Some(_), Some(refusal)) => self.problem(&path, refusal.clone()),
            (Some(place), None) => {
                let family = place.family.clone();
                self.candidates.push(Candidate {
                    role: Role::Rotated,
                    family,
                    path,
                });
            }
            (None, Some(refusal)) if inodes.contains(&name.inode) => self.problem(&path, refusal.clone()),
            (None, None) if inodes.contains(&name.inode) => {
                self.candidates.push(Candidate {
                    role: Role::KnownByIdentity,
                    family: path.clone(),
                    path,
                });
            }
            _ => {}
        }
    }

    /// Looks at each candidate, live ones first, so that a file of several names keeps its best.
    fn examine(&mut self) {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort();
        candidates.dedup();
        let mut seen = BTreeSet::new();
        for candidate in candidates {
            let look = match self.roots.look(&candidate.path) {
                Ok(look) => look,
                Err(refusal) => {
                    // Only a live name is missed; a rotated one that goes, and a known one that went, is no news.
                    if candidate.role == Role::Live || !is_absence(&refusal) {
                        self.problem(&candidate.path, refusal);
                    }
                    continue;
                }
            };
            let foreign = candidate.role == Role::KnownByIdentity && !self.is_known_by_identity(&look.stat.identity);
            if foreign || !seen.insert((look.stat.identity.device, look.stat.identity.inode)) {
                continue;
            }
            if candidate.role == Role::Live && look.stat.is_mounted_alone {
                // What it holds is read, and no window of it is called complete: a successor would not be seen.
                self.problem(&candidate.path, Refusal::MountedAlone);
            }
            if let Err(refusal) = self.roots.check_regular(&look.stat) {
                // A file of a second name is listed all the same, as one that can't be read: that it is there, and went
                // unread when it goes, must be known.
                let is_listed = matches!(refusal, Refusal::HardLinked { .. });
                self.problem(&candidate.path, refusal);
                if !is_listed {
                    continue;
                }
            }
            if self.survey.generations.len() >= GENERATIONS_MAX {
                self.survey.limits.insert(LimitMet::Files);
            } else if let Some(generation) = self.generation(candidate, &look) {
                self.survey.generations.push(generation);
            }
        }
        if self.depth == Depth::Contents {
            self.note_copies();
        }
        let order = |one: &Generation| (one.family.clone(), one.role, one.path.clone());
        self.survey.generations.sort_by_key(order);
    }

    /// What the upstream knew of a file, under this identity or another number of its device.
    fn known_as(&self, identity: &Identity) -> Option<&KnownGeneration> {
        let anywhere = || self.known_anywhere.get(&(identity.inode, identity.birth_ns));
        self.known.get(identity).or_else(anywhere).copied()
    }

    /// Whether it is known, whatever its name says. Without a birth an inode of another device is anybody's.
    fn is_known_by_identity(&self, identity: &Identity) -> bool {
        self.known.contains_key(identity) || (identity.birth_ns.is_some() && self.known_as(identity).is_some())
    }

    /// None if it vanished between the look and the open; the next listing shows what became of it.
    fn generation(&mut self, candidate: Candidate, look: &Look) -> Option<Generation> {
        let compression = compression_of(&look.real_path).1;
        let (stat, content) = match (self.depth, compression) {
            (Depth::Contents, Compression::Plain) => match self.roots.open_regular(&look.real_path) {
                Ok(file) => (file.stat, self.content(&file)),
                Err(refusal) if is_absence(&refusal) => return None,
                Err(refusal) => (look.stat, Content::Unreadable(refusal)),
            },
            _ => (look.stat, Content::NotLookedAt),
        };
        let FileStat {
            identity,
            size,
            mtime_ns,
            ..
        } = stat;
        let Candidate { role, family, .. } = candidate;
        Some(Generation {
            family,
            path: look.real_path.clone(),
            role,
            identity,
            size,
            mtime_ns,
            compression,
            content,
        })
    }

    fn content(&mut self, file: &OpenFile) -> Content {
        let verdict = match self.known_as(&file.stat.identity) {
            None => Ok(KnownVerdict::New),
            Some(known) => content::compare(&file.descriptor, file.stat.size, known.fingerprint, Some(known.tail)),
        };
        match (Head::read(&file.descriptor), verdict) {
            (Ok(head), Ok(verdict)) => {
                let copied = head.fingerprint(COPY_HEAD_BYTES);
                if copied.length as usize == COPY_HEAD_BYTES {
                    self.heads.entry(copied).or_default().push(file.stat.identity);
                }
                Content::Readable {
                    fingerprint: head.fingerprint(FINGERPRINT_BYTES),
                    verdict,
                    copy_of: None,
                }
            }
            (Err(errno), _) | (_, Err(errno)) => Content::Unreadable(refusal_of(errno)),
        }
    }

    /// F6, a copy in the making: equal heads of at least 256 bytes, and equal bytes before the end of the shorter.
    /// Files of equal heads are rare, so hardly anything is read for it.
    fn note_copies(&mut self) {
        for group in std::mem::take(&mut self.heads)
            .into_values()
            .filter(|group| group.len() > 1)
        {
            let position = |identity: &Identity| {
                self.survey
                    .generations
                    .iter()
                    .position(|generation| generation.identity == *identity)
            };
            let mut group: Vec<usize> = group.iter().filter_map(position).collect();
            // The longest first: what two files are copies of is then one file, and each holds the shorter one's bytes.
            group.sort_by_key(|index| std::cmp::Reverse(self.survey.generations[*index].size));
            group.truncate(COPIES_COMPARED_MAX);
            for (nth, &index) in group.iter().enumerate().skip(1) {
                let found = group[..nth].iter().find_map(|&other| self.compare_copies(index, other));
                if let Content::Readable { copy_of, .. } = &mut self.survey.generations[index].content {
                    *copy_of = found;
                }
            }
        }
    }

    fn compare_copies(&self, one: usize, other: usize) -> Option<CopyEvidence> {
        let (one, other) = (&self.survey.generations[one], &self.survey.generations[other]);
        let common_bytes = one.size.min(other.size);
        let tail = |generation: &Generation| {
            content::tail_hash(&self.open_same(generation)?.descriptor, common_bytes)
                .ok()
                .flatten()
        };
        (tail(one)? == tail(other)?).then_some(CopyEvidence {
            of: other.identity,
            common_bytes,
        })
    }

    fn open_same(&self, generation: &Generation) -> Option<OpenFile> {
        self.roots
            .open_regular(&generation.path)
            .ok()
            .filter(|file| file.stat.identity == generation.identity)
    }

    fn problem(&mut self, path: &str, refusal: Refusal) {
        if self.survey.problems.len() >= GENERATIONS_MAX {
            self.survey.limits.insert(LimitMet::Files);
            return;
        }
        self.survey.problems.insert(PathProblem {
            path: path.to_owned(),
            refusal,
        });
    }
}

fn is_absence(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotFound | Refusal::DanglingLink)
}

/// What became of a generation that a snapshot named.
#[derive(Debug)]
pub enum Located {
    /// Here it is, under its path or another name beside it.
    Found(OpenFile),
    /// It is not in that folder any more.
    Gone,
}

/// Opens a generation by its path; if another file has taken the name meanwhile, finds it by inode in the same folder.
/// So a rotation between snapshot and read costs a folder listing, not a failed pull.
pub fn open_generation(roots: &Roots, path: &str, identity: Identity) -> Result<Located, Refusal> {
    // Twice: the file may be renamed again between listing and opening.
    for _ in 0..2 {
        match roots.open_regular(path) {
            Ok(file) if file.stat.identity == identity => return Ok(Located::Found(file)),
            Ok(_) => {}
            Err(refusal) if is_absence(&refusal) => {}
            Err(refusal) => return Err(refusal),
        }
        let folder = split_path(path).0;
        let mut left = ENTRIES_MAX;
        let listing = match list_folder(roots, if folder.is_empty() { "/" } else { folder }, &mut left) {
            Ok(listing) => listing,
            Err(refusal) if is_absence(&refusal) => return Ok(Located::Gone),
            Err(refusal) => return Err(refusal),
        };
        for name in listing
            .names
            .iter()
            .filter(|name| name.inode == identity.inode && name.hostile.is_none())
        {
            match roots.open_regular(&format!("{}/{}", listing.real_path, name.name)) {
                Ok(file) if file.stat.identity == identity => return Ok(Located::Found(file)),
                Ok(_) => {}
                Err(refusal) if is_absence(&refusal) => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }
    Ok(Located::Gone)
}
