//! What people look at on a host: the names in a folder, and some bytes of a file.
//!
//! Both go through [`Roots`], as every pull does; there is no other way to a file here. A page of names and a preview
//! are bounded in what they hold, and nothing is kept between two of them.

use crate::content::read_at;
use crate::pattern::{ENTRIES_MAX, FolderListing, FolderName, list_folder};
use crate::protocol::{
    FOLDER_ENTRIES_MAX, FileKind, FolderEntry, HostZone, LimitMet, ListAnswer, ListRequest, PathProblem, Preview,
    PreviewAnswer, PreviewFrom, PreviewRequest, Refusal,
};
use crate::roots::{Look, Roots, refusal_of};
use crate::rotation::compression_of;

/// A page of a folder's names.
pub(crate) fn list(roots: &Roots, request: &ListRequest) -> ListAnswer {
    let mut left = ENTRIES_MAX;
    let FolderListing {
        real_path,
        names,
        limit,
    } = match list_folder(roots, &request.path, &mut left) {
        Ok(listing) => listing,
        Err(refusal) => return ListAnswer::Refused(problem(&request.path, refusal)),
    };
    let from = match &request.after {
        Some(after) => names.partition_point(|name| name.name <= *after),
        None => 0,
    };
    let to = page_end(&names, from, request.most);
    let entries = names[from..to].iter().map(|name| entry(roots, &real_path, name));
    ListAnswer::Entries {
        entries: entries.collect(),
        limit: limit.map(|_| LimitMet::Entries),
        more: to < names.len(),
    }
}

/// Where a page ends: not between names that look the same, since the next one begins behind a name.
fn page_end(names: &[FolderName], from: usize, most: Option<u32>) -> usize {
    let most = most.map_or(FOLDER_ENTRIES_MAX, |most| most as usize);
    let mut to = names.len().min(from + most.clamp(1, FOLDER_ENTRIES_MAX));
    while to < names.len() && to > from && names[to].name == names[to - 1].name {
        to += 1;
    }
    to
}

fn entry(roots: &Roots, folder: &str, name: &FolderName) -> FolderEntry {
    let plain = FolderEntry {
        name: name.name.clone(),
        kind: name.kind,
        size: 0,
        mtime_ns: 0,
        leads_to: None,
        refusal: name.hostile.clone(),
    };
    if name.hostile.is_some() {
        return plain;
    }
    let folder = folder.trim_end_matches('/');
    match roots.look(&format!("{folder}/{}", name.name)) {
        Ok(Look { stat, .. }) => {
            let is_file = stat.kind == FileKind::Regular;
            let refusal = match stat.kind {
                FileKind::Folder => None,
                _ => roots.check_regular(&stat).err(),
            };
            // A filesystem that does not tell the kind in its folders tells it here.
            let kind = if name.kind == FileKind::Other {
                stat.kind
            } else {
                name.kind
            };
            FolderEntry {
                kind,
                size: if is_file { stat.size } else { 0 },
                mtime_ns: stat.mtime_ns,
                leads_to: (kind == FileKind::Link).then_some(stat.kind),
                refusal,
                ..plain
            }
        }
        Err(refusal) => FolderEntry {
            refusal: Some(refusal),
            ..plain
        },
    }
}

/// Some bytes of a file. `t_ns` is the host's clock now.
pub(crate) fn preview(roots: &Roots, request: &PreviewRequest, (t_ns, zone): (i64, HostZone)) -> PreviewAnswer {
    let refused = |refusal| PreviewAnswer::Refused(problem(&request.path, refusal));
    let file = match roots.open_regular(&request.path) {
        Ok(file) => file,
        Err(refusal) => return refused(refusal),
    };
    if request.identity.is_some_and(|identity| identity != file.stat.identity) {
        return PreviewAnswer::Changed;
    }
    let size = file.stat.size;
    let offset = match request.from {
        PreviewFrom::Offset(offset) => offset.min(size),
        PreviewFrom::End => size.saturating_sub(request.length.into()),
    };
    // What was appended since belongs to no size that was told.
    let length = usize::try_from((size - offset).min(request.length.into())).unwrap_or(0);
    let mut bytes = vec![0; length];
    match read_at(&file.descriptor, offset, &mut bytes) {
        Ok(read) => bytes.truncate(read),
        Err(errno) => return refused(refusal_of(errno)),
    }
    let (_, compression) = compression_of(&file.real_path);
    PreviewAnswer::Bytes(Box::new(Preview {
        t_ns,
        zone,
        path: file.real_path,
        identity: file.stat.identity,
        size,
        mtime_ns: file.stat.mtime_ns,
        compression,
        offset,
        bytes,
    }))
}

fn problem(path: &str, refusal: Refusal) -> PathProblem {
    PathProblem {
        path: path.to_owned(),
        refusal,
    }
}
