//! What people look at on a host, asked of its agent: folders, the end of a file, how a file is stamped.
//!
//! It goes over the connection that pulls have, through the same confinement, and takes none of their turns: an agent
//! does such work for a Map one piece at a time. All of it is bounded in bytes, in number and in time, so that whoever
//! asked hears of a host that hangs before he gives up himself. Compressed files, known by what they begin with, are
//! unpacked here, never by the agent.

mod unpacked;

use super::Shared;
use super::port::AgentLink;
use crate::detect::detect;
use crate::input::{PortError, zone_of_host};
use crate::protocol::{
    BrowseQuestion, BrowseRequest, Browsed, DETECT_HEAD_BYTES, DETECT_TAIL_BYTES, Detected, FileSeen, LISTED_MAX,
    NotBrowsed, Packed, Reach, TAIL_BYTES_MAX, Tail, TailLine,
};
use crate::verdict::HostState;
use agent::protocol::{
    Answer, Compression, Identity, ListAnswer, ListRequest, PREVIEW_BYTES_MAX, Preview, PreviewAnswer, PreviewFrom,
    PreviewRequest, RequestBody,
};
use inflate::{Kind, MAGIC_BYTES};
use logline::head::Source;
use logline::stamp::Zone;
use logline::text::{Form, lines_shown};
use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;
pub(super) use unpacked::UNPACKS_MAX;
use unpacked::{Unpacked, Wanted, unpacked};

/// How long all of one question may take here, connecting included: less than whoever asks a Map waits.
pub(super) const BROWSE_PATIENCE: Duration = Duration::from_millis(3500);
/// Bytes of a file's beginning by which its encoding is recognised.
const FORM_BYTES: u32 = 4 << 10;
/// Longest part of a line that is shown.
const LINE_BYTES_MAX: usize = 8 << 10;

impl Shared {
    /// Answers one question about a host.
    pub(super) async fn browse(&self, request: BrowseRequest) -> Result<Browsed, NotBrowsed> {
        let clock = &self.config.clock;
        let late = || NotBrowsed::Agent {
            state: HostState::Timeout,
            detail: format!("nothing came within {} ms", BROWSE_PATIENCE.as_millis()),
        };
        let _turn = self.browses.try_acquire().map_err(|_none_free| NotBrowsed::Busy)?;
        let host = request.host.as_deref().filter(|_| self.config.network.proves_names());
        let link = self.links.link(self, &request.address, host);
        let asked = async {
            link.known().await;
            match request.question {
                BrowseQuestion::Status => status(&link).await,
                BrowseQuestion::List { path, after, most } => {
                    let most = Some(most.clamp(1, LISTED_MAX));
                    list(&link, ListRequest { path, after, most }).await
                }
                BrowseQuestion::Tail { path, bytes } => self.tail(&link, path, bytes.clamp(1, TAIL_BYTES_MAX)).await,
                BrowseQuestion::Detect { path } => self.detected(&link, path).await,
            }
        };
        clock.timeout(BROWSE_PATIENCE, asked).await.map_err(|_elapsed| late())?
    }

    async fn detected(&self, link: &AgentLink, path: String) -> Result<Browsed, NotBrowsed> {
        let first = preview(link, (&path, None), PreviewFrom::Offset(0), PREVIEW_BYTES_MAX).await?;
        let (parts, file) = match packing(&first)? {
            Some(kind) => {
                let wanted = Wanted {
                    head_bytes: DETECT_HEAD_BYTES as usize,
                    tail_bytes: DETECT_TAIL_BYTES as usize,
                };
                let unpacked = unpacked(self, (link, &path), (&first, kind), wanted).await?;
                let file = seen(&first, Some(unpacked.packed.clone()));
                (Parts::of_unpacked(unpacked), file)
            }
            None => (parts(link, path, &first).await?, seen(&first, None)),
        };
        let host_zone = zone_of_host(&first.zone).map(|(zone, _)| zone);
        let written_seconds = first.mtime_ns.div_euclid(1_000_000_000);
        let zone_unknown = host_zone.is_none();
        let zone = host_zone.unwrap_or_else(Zone::utc);
        let found = self
            .config
            .cpu
            .run(move || detect(&parts, &zone, written_seconds))
            .await;
        let found = found.map_err(|error| NotBrowsed::Unfit(error.to_string()))?;
        let Ok((found, looked_at)) = found;
        Ok(Browsed::Detected(Box::new(Detected {
            file,
            found,
            looked_at,
            zone_unknown,
        })))
    }

    /// The last lines of a file; the first ones of a compressed one that is too large to be unpacked.
    async fn tail(&self, link: &AgentLink, path: String, bytes: u32) -> Result<Browsed, NotBrowsed> {
        let end = preview(link, (&path, None), PreviewFrom::End, bytes).await?;
        let head = if end.offset == 0 {
            None
        } else {
            let from = PreviewFrom::Offset(0);
            Some(preview(link, (&path, Some(end.identity)), from, FORM_BYTES).await?)
        };
        let head = head.as_ref().unwrap_or(&end);
        let Some(kind) = packing(head)? else {
            let form = Form::detect(&head.bytes, None);
            return Ok(shown(seen(&end, None), form, (&end.bytes, end.offset)));
        };
        let wanted = Wanted {
            head_bytes: bytes.max(FORM_BYTES) as usize,
            tail_bytes: bytes as usize,
        };
        let unpacked = unpacked(self, (link, &path), (head, kind), wanted).await?;
        let form = Form::detect(&unpacked.head, None);
        let file = seen(head, Some(unpacked.packed.clone()));
        let part = match unpacked.packed.reach {
            Reach::Beginning => (&unpacked.head[..unpacked.head.len().min(bytes as usize)], 0),
            Reach::Whole | Reach::Torn => (&unpacked.tail[..], unpacked.packed.bytes - unpacked.tail.len() as u64),
        };
        Ok(shown(file, form, part))
    }
}

/// How a file is compressed, by its first bytes; its name alone tells of what is not unpacked.
fn packing(head: &Preview) -> Result<Option<Kind>, NotBrowsed> {
    let kind = Kind::of(&head.bytes[..head.bytes.len().min(MAGIC_BYTES)]);
    match (kind, head.compression) {
        (None, Compression::Unsupported) => Err(NotBrowsed::Compressed {
            path: head.path.clone(),
        }),
        (kind, _) => Ok(kind),
    }
}

async fn status(link: &AgentLink) -> Result<Browsed, NotBrowsed> {
    match ask(link, RequestBody::Status).await? {
        Answer::Status(status) => Ok(Browsed::Status(status)),
        other => Err(unfit(&other)),
    }
}

async fn list(link: &AgentLink, request: ListRequest) -> Result<Browsed, NotBrowsed> {
    match ask(link, RequestBody::List(request)).await? {
        Answer::List(ListAnswer::Entries { entries, limit, more }) => Ok(Browsed::List { entries, more, limit }),
        Answer::List(ListAnswer::Refused(problem)) => Err(NotBrowsed::Refused(problem)),
        other => Err(unfit(&other)),
    }
}

/// A piece of a file that begins at an offset, as lines. Envelopes of a container's runtime are shown as they stand in
/// the file.
fn shown(file: FileSeen, form: Form, (bytes, offset): (&[u8], u64)) -> Browsed {
    let lines = lines_shown(form, bytes, offset, (offset == 0, LINE_BYTES_MAX));
    let lines = lines.into_iter().map(|line| TailLine {
        offset: line.offset,
        text: line.text,
        invalid: line.invalid,
        is_cut: line.is_cut,
    });
    Browsed::Tail(Tail {
        file,
        encoding: form.encoding.name().to_owned(),
        offset,
        lines: lines.collect(),
    })
}

/// The beginning of a file, of which the first bytes were sent, and its end, of the same file.
async fn parts(link: &AgentLink, path: String, first: &Preview) -> Result<Parts, NotBrowsed> {
    let (size, identity) = (first.size, first.identity);
    let head_end = size.min(DETECT_HEAD_BYTES);
    let tail_start = size.saturating_sub(DETECT_TAIL_BYTES).max(head_end);
    let mut parts = Parts {
        size,
        head: first.bytes.clone(),
        tail_start,
        tail: Vec::new(),
    };
    for (end, is_head) in [(head_end, true), (size, false)] {
        loop {
            let into = if is_head { &mut parts.head } else { &mut parts.tail };
            let at = if is_head { 0 } else { tail_start } + into.len() as u64;
            if at >= end {
                break;
            }
            let length = u32::try_from(end - at).unwrap_or(u32::MAX).min(PREVIEW_BYTES_MAX);
            let from = PreviewFrom::Offset(at);
            let piece = preview(link, (&path, Some(identity)), from, length).await?;
            if piece.bytes.is_empty() {
                return Err(NotBrowsed::Changed { path });
            }
            into.extend_from_slice(&piece.bytes);
        }
    }
    Ok(parts)
}

/// What is at hand of a file.
struct Parts {
    size: u64,
    head: Vec<u8>,
    tail_start: u64,
    tail: Vec<u8>,
}

impl Parts {
    fn of_unpacked(unpacked: Unpacked) -> Self {
        let Unpacked { head, mut tail, packed } = unpacked;
        let head_end = head.len() as u64;
        // Of a file that goes on, the line that is cut is none: there is a byte more than are at hand.
        let size = match packed.reach {
            Reach::Whole => packed.bytes,
            Reach::Torn => packed.bytes + 1,
            Reach::Beginning => head_end + 1,
        };
        let tail_start = match packed.reach {
            Reach::Beginning => size,
            Reach::Whole | Reach::Torn => (packed.bytes - tail.len() as u64).max(head_end),
        };
        // What the beginning has already is left out.
        let kept = packed.bytes.saturating_sub(tail_start);
        tail.drain(..tail.len().saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX)));
        Self {
            size,
            head,
            tail_start,
            tail,
        }
    }
}

impl Source for Parts {
    type Error = Infallible;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Infallible> {
        let part = match offset.checked_sub(self.tail_start) {
            Some(at) => self.tail.get(usize::try_from(at).unwrap_or(usize::MAX)..),
            None => self.head.get(usize::try_from(offset).unwrap_or(usize::MAX)..),
        };
        let part = part.unwrap_or_default();
        let count = part.len().min(buffer.len());
        buffer[..count].copy_from_slice(&part[..count]);
        Ok(count)
    }

    fn stretches(&self) -> Vec<Range<u64>> {
        let head_end = self.head.len() as u64;
        if self.tail.is_empty() {
            return std::iter::once(0..head_end).collect();
        }
        vec![0..head_end, self.tail_start..self.size]
    }
}

async fn preview(
    link: &AgentLink,
    (path, identity): (&str, Option<Identity>),
    from: PreviewFrom,
    length: u32,
) -> Result<Preview, NotBrowsed> {
    let request = PreviewRequest {
        path: path.to_owned(),
        identity,
        from,
        length,
    };
    let changed = || NotBrowsed::Changed { path: path.to_owned() };
    match ask(link, RequestBody::Preview(request)).await? {
        Answer::Preview(PreviewAnswer::Bytes(preview)) => Ok(*preview),
        Answer::Preview(PreviewAnswer::Changed) => Err(changed()),
        Answer::Preview(PreviewAnswer::Refused(problem)) => Err(NotBrowsed::Refused(problem)),
        other => Err(unfit(&other)),
    }
}

async fn ask(link: &AgentLink, body: RequestBody) -> Result<Answer, NotBrowsed> {
    let answer = link.ask(body).await;
    answer.map_err(|PortError { state, detail }| NotBrowsed::Agent { state, detail })
}

fn unfit(answer: &Answer) -> NotBrowsed {
    match answer {
        Answer::Rejected(error) => NotBrowsed::Unfit(error.to_string()),
        _ => NotBrowsed::Unfit("it answered something else; run compatible versions".to_owned()),
    }
}

fn seen(preview: &Preview, packed: Option<Packed>) -> FileSeen {
    FileSeen {
        path: preview.path.clone(),
        size: preview.size,
        mtime_ns: preview.mtime_ns,
        packed,
    }
}
