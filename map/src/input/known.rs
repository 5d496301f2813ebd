//! Which generation a file is, as readers before this one told it from others.
//!
//! Files that begin with the same stamped line have the same content key. The first that is found is known by it, and
//! the others by keys of their own ([`apart`]). Who was found first is not in the files: a reader that begins when some
//! of them are gone, or are compressed, would give other keys, and cells of one file would add up under two. So it asks
//! what is kept of those before: by the file that a generation stood in, or else by the bytes that it begins with.

use super::Port;
use super::generation::{Generation, Generations, Likeness};
use super::pull::{Pull, Stop};
use super::stream::{Stream, Subscribed};
use crate::protocol::{KeptLife, KeptProfile};
use agent::content::fingerprint_of;
use agent::protocol::{COPY_HEAD_BYTES, FINGERPRINT_BYTES, Fingerprint, Identity};
use xxhash_rust::xxh3::Xxh3;

/// A generation with the content key of the file in question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    key: u64,
    life: KeptLife,
}

impl Known {
    /// Whether it stood in this file last.
    pub(super) fn is_in(&self, file: Identity) -> bool {
        is_same_file(self.life.file, file)
    }
}

/// How bytes stand to a fingerprint that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// They begin as that says, over so many bytes.
    Same(u32),
    /// They don't.
    Other,
    /// One is too short to tell.
    Unknown,
}

impl Head {
    fn of(head: &[u8], kept: Option<Fingerprint>) -> Self {
        match kept {
            Some(kept) if kept.length as usize >= COPY_HEAD_BYTES => match head.get(..kept.length as usize) {
                Some(head) if fingerprint_of(head) == kept => Self::Same(kept.length),
                Some(_) => Self::Other,
                None => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

/// A key for a file that begins as another one does, and is not its copy. A remount changes the number of its device:
/// it is used only where there is no birth to tell files of different devices apart.
pub(super) fn apart(key: u64, identity: Identity) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&key.to_le_bytes());
    hash.update(&identity.inode.to_le_bytes());
    hash.update(&identity.birth_ns.unwrap_or(identity.device as i64).to_le_bytes());
    hash.digest()
}

/// Whether it is the same file. Device numbers change when a file system is mounted again.
pub(super) fn is_same_file(one: Identity, other: Identity) -> bool {
    (one.inode, one.birth_ns) == (other.inode, other.birth_ns)
}

/// The key of a file that begins with `head` and has this content key, of those that are known. `is_alone` unless
/// another file that is there has the same content key and is another log.
pub(super) fn key_of(known: &[Known], content_key: u64, (file, head): (Identity, &[u8]), is_alone: bool) -> u64 {
    if let Some(known) = known.iter().find(|known| known.is_in(file)) {
        return known.key;
    }
    let heads = || {
        known
            .iter()
            .map(|known| (known, Head::of(head, known.life.fingerprint)))
    };
    let alike = heads().filter_map(|(known, head)| match head {
        Head::Same(length) => Some((length, known.key)),
        Head::Other | Head::Unknown => None,
    });
    if let Some((_, key)) = alike.max_by_key(|(length, _)| *length) {
        return key;
    }
    // The content key is taken by a file that begins otherwise.
    let is_taken = heads().any(|(known, head)| known.key == content_key && head == Head::Other);
    match is_alone && !is_taken {
        true => content_key,
        false => apart(content_key, file),
    }
}

impl Stream {
    /// As what a file is known that is no copy of another one.
    pub(super) async fn plain_key<P: Port>(
        &mut self,
        index: usize,
        content_key: u64,
        likeness: Likeness,
        pull: &mut Pull<'_, P>,
    ) -> Result<u64, Stop> {
        let (file, size) = {
            let listed = &self.generations.all[index].listed;
            (listed.identity, listed.size)
        };
        let known = self.known_of(content_key);
        let mut head = Vec::new();
        if known.iter().any(|known| !known.is_in(file)) {
            let sample = std::mem::take(&mut pull.buffer);
            pull.fetch(self, index, 0..size.min(FINGERPRINT_BYTES as u64), None)
                .await?;
            head = std::mem::replace(&mut pull.buffer, sample);
        }
        Ok(key_of(&known, content_key, (file, &head), likeness != Likeness::Apart))
    }

    /// Generations that readers before this one knew, of this content key, and that no file that is there is known as.
    pub(super) fn known_of(&self, content_key: u64) -> Vec<Known> {
        let kept = self.subscribed.iter().flat_map(Subscribed::kept);
        let of_content = kept.filter_map(|kept: &KeptProfile| {
            let (key, life) = (kept.generation, kept.life?);
            let is_of_it = key == content_key || key == apart(content_key, life.file);
            (is_of_it && !self.generations.is_held(key)).then_some(Known { key, life })
        });
        of_content.collect()
    }
}

impl Generations {
    /// Whether something is read as the generation of a key.
    fn is_held(&self, key: u64) -> bool {
        let here = self.all.iter().filter_map(Generation::any_reading);
        let gone = self.orphans.iter().map(|orphan| &*orphan.reading);
        here.chain(gone).any(|reading| reading.learned.key == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: u64 = 7;

    fn file(inode: u64) -> Identity {
        Identity {
            device: 1,
            inode,
            birth_ns: Some(1),
        }
    }

    fn known(key: u64, inode: u64, head: &[u8]) -> Known {
        Known {
            key,
            life: KeptLife {
                file: file(inode),
                first_ns: 0,
                until_ns: None,
                fingerprint: Some(fingerprint_of(head)),
            },
        }
    }

    #[test]
    fn a_file_keeps_its_key_whoever_else_is_there() {
        let (one, two) = ([b'1'; 300], [b'2'; 300]);
        let others = apart(CONTENT, file(2));
        let both = [known(CONTENT, 1, &one), known(others, 2, &two)];
        let key = |known: &[Known], inode, head: &[u8], is_alone| key_of(known, CONTENT, (file(inode), head), is_alone);
        assert_eq!(key(&[], 1, &one, true), CONTENT);
        assert_eq!(key(&[], 2, &two, false), others);
        // By its file.
        assert_eq!(key(&both, 2, &two, true), others);
        assert_eq!(key(&both, 1, &one, false), CONTENT);
        // In another file, by what it begins with: a copy, or what it was compressed to.
        assert_eq!(key(&both, 3, &two, true), others);
        assert_eq!(key(&both, 3, &one, false), CONTENT);
        // A third log that begins with the same line.
        let third = [b'3'; 300];
        assert_eq!(key(&both, 3, &third, true), apart(CONTENT, file(3)));
        // Of a head too short to tell, the content key says what can be said.
        let short = [known(CONTENT, 1, &one[..200])];
        assert_eq!(key(&short, 3, &third, true), CONTENT);
        assert_eq!(key(&both, 3, &two[..100], true), CONTENT);
    }
}
