//! Every message of the protocol survives MessagePack as `lika` writes it: with field names, decoded to the same value.

use std::fmt::Debug;

use agent::binding::RangeHead;
use agent::profile::{PatternOrigin, StampEntry, StampPlace, StampProfile, StampZone};
use agent::protocol::{
    Answer, Compression, Content, CopyEvidence, DiskUsage, FileKind, FindAnswer, FindRequest, Fingerprint, FolderEntry,
    Generation, HintVerdict, HostZone, Identity, KnownGeneration, KnownVerdict, Landing, LimitMet, ListAnswer,
    ListRequest, MountUsage, PROTOCOL_VERSION, PathProblem, Preview, PreviewAnswer, PreviewFrom, PreviewRequest,
    RangeEnd, RangeOutcome, RangeRequest, Refusal, Request, RequestBody, RequestError, Role, SnapshotAnswer,
    SnapshotRequest, Stability, StartProof, SystemAnswer, SystemText, TailHash, ZoneName,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let bytes = rmp_serde::to_vec_named(&value).expect("encodes");
    let mut rest = bytes.as_slice();
    let back: T = rmp_serde::decode::from_read(&mut rest).expect("decodes");
    assert_eq!((back, rest.len()), (value, 0));
}

const IDENTITY: Identity = Identity {
    device: u64::MAX,
    inode: 1,
    birth_ns: Some(i64::MIN),
};
const UNBORN: Identity = Identity {
    birth_ns: None,
    ..IDENTITY
};
const FINGERPRINT: Fingerprint = Fingerprint {
    length: 1024,
    hash: u64::MAX,
};
const TAIL: TailHash = TailHash { offset: 7, hash: 0 };

fn problem(refusal: Refusal) -> PathProblem {
    let path = "/var/log/ü.log".to_owned();
    PathProblem { path, refusal }
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::NotFound,
        Refusal::DanglingLink,
        Refusal::Denied,
        Refusal::OutsideRoots,
        Refusal::NotAbsolute,
        Refusal::ParentComponent,
        Refusal::HostileName,
        Refusal::TooLong,
        Refusal::TooManyLinks,
        Refusal::WrongKind(FileKind::Fifo),
        Refusal::HardLinked { links: 2 },
        Refusal::Changing,
        Refusal::RootMissing,
        Refusal::Io { errno: -1 },
    ]
}

#[test]
fn requests() {
    let profile = StampProfile {
        entries: vec![StampEntry {
            offset: u64::MAX,
            pattern: "%s".to_owned(),
            origin: PatternOrigin::Override,
            place: StampPlace::After(vec![0, 255, b'[']),
            year_marks: vec![(0, i64::MIN)],
        }],
        zone: StampZone::Named("Europe/Rome".to_owned()),
    };
    let path = || "/var/log/a.log".to_owned();
    let bodies = [
        RequestBody::Snapshot(SnapshotRequest {
            pattern: path(),
            dates_from_ns: i64::MIN,
            known: vec![KnownGeneration {
                path: path(),
                identity: IDENTITY,
                fingerprint: FINGERPRINT,
                tail: TAIL,
            }],
        }),
        RequestBody::Find(FindRequest {
            path: path(),
            identity: UNBORN,
            start_ns: -1,
            lateness_ns: i64::MAX,
            hint: Some(TAIL),
            profile,
        }),
        RequestBody::Range(RangeRequest {
            path: path(),
            identity: IDENTITY,
            fingerprint: FINGERPRINT,
            tail: None,
            offset: u64::MAX,
            length: 0,
        }),
        RequestBody::System,
        RequestBody::List(ListRequest::of(path())),
        RequestBody::List(ListRequest {
            path: path(),
            after: Some("\u{fffd}".to_owned()),
            most: Some(u32::MAX),
        }),
        RequestBody::Status,
        RequestBody::Preview(PreviewRequest {
            path: path(),
            identity: Some(UNBORN),
            from: PreviewFrom::Offset(u64::MAX),
            length: u32::MAX,
        }),
        RequestBody::Preview(PreviewRequest {
            path: path(),
            identity: None,
            from: PreviewFrom::End,
            length: 0,
        }),
    ];
    for body in bodies {
        check(Request {
            version: PROTOCOL_VERSION,
            body,
        });
    }
}

#[test]
fn places_of_stamps() {
    for place in [StampPlace::Column(3), StampPlace::Scan(u32::MAX)] {
        check(place);
    }
    check((StampZone::Host, PatternOrigin::Learned));
}

fn generation(content: Content, role: Role, compression: Compression) -> Generation {
    Generation {
        family: "/var/log/a.log".to_owned(),
        path: "/var/log/a.log.1".to_owned(),
        role,
        identity: IDENTITY,
        size: u64::MAX,
        mtime_ns: i64::MIN,
        compression,
        content,
    }
}

#[test]
fn snapshots() {
    let evidence = CopyEvidence {
        of: UNBORN,
        common_bytes: 256,
    };
    let readable = |verdict, copy_of| Content::Readable {
        fingerprint: FINGERPRINT,
        verdict,
        copy_of,
    };
    let verdicts = [
        KnownVerdict::New,
        KnownVerdict::Same,
        KnownVerdict::Shrunk,
        KnownVerdict::HeadDiffers,
        KnownVerdict::TailDiffers,
    ];
    let mut generations: Vec<Generation> = verdicts
        .iter()
        .map(|verdict| generation(readable(*verdict, None), Role::Live, Compression::Plain))
        .collect();
    let copy = readable(KnownVerdict::Same, Some(evidence));
    generations.push(generation(copy, Role::Rotated, Compression::Gzip));
    generations.push(generation(
        Content::NotLookedAt,
        Role::KnownByIdentity,
        Compression::Zstandard,
    ));
    let unreadable = Content::Unreadable(Refusal::Denied);
    generations.push(generation(unreadable, Role::Live, Compression::Unsupported));
    for name in [ZoneName::Iana("UTC".to_owned()), ZoneName::Unnamed, ZoneName::Unknown] {
        for stability in [Stability::Stable { attempt: 3 }, Stability::Unstable] {
            check(Answer::Snapshot(SnapshotAnswer {
                t_ns: i64::MAX,
                zone: HostZone {
                    name: name.clone(),
                    offset_seconds: -1,
                },
                machine_id: String::new(),
                instance: 0,
                stability,
                generations: generations.clone(),
                problems: refusals().into_iter().map(problem).collect(),
                limits: vec![LimitMet::Files, LimitMet::Entries, LimitMet::Depth],
                roots: vec![problem(Refusal::RootMissing)],
            }));
        }
    }
}

#[test]
fn searches() {
    let block = StartProof::Block {
        from: 0,
        to: u64::MAX,
        greatest_ns: i64::MIN,
    };
    let hints = [
        HintVerdict::NoHint,
        HintVerdict::Trusted,
        HintVerdict::Mismatch,
        HintVerdict::NotBefore,
    ];
    for (hint, proof) in hints
        .into_iter()
        .zip([block, StartProof::Beginning].into_iter().cycle())
    {
        let landing = Landing {
            offset: 1,
            proof,
            newest_ns: Some(-5),
            hint,
            reads: 96,
            bytes_read: u64::MAX,
        };
        check(Answer::Find(FindAnswer::Found { landing, size: 9 }));
    }
    check(Answer::Find(FindAnswer::Changed));
    check(Answer::Find(FindAnswer::Gone));
    check(Answer::Find(FindAnswer::Refused(problem(Refusal::Denied))));
}

#[test]
fn ranges() {
    let mut outcomes = vec![
        RangeOutcome::Unchanged,
        RangeOutcome::ChangedBefore(KnownVerdict::HeadDiffers),
        RangeOutcome::ChangedDuring(KnownVerdict::Shrunk),
        RangeOutcome::Gone,
    ];
    outcomes.extend(
        refusals()
            .into_iter()
            .map(|refusal| RangeOutcome::Refused(problem(refusal))),
    );
    for (outcome, tail_after) in outcomes.into_iter().zip([Some(TAIL), None].into_iter().cycle()) {
        let end = RangeEnd {
            sent: u64::MAX,
            size_after: 0,
            tail_after,
            outcome,
        };
        check(end.clone());
        check(Answer::Range(end));
    }
    check(RangeHead::NothingToSend);
    check(RangeHead::Sending {
        path: "/var/log/ü".to_owned(),
        size: u64::MAX,
        mtime_ns: i64::MIN,
    });
}

#[test]
fn the_rest() {
    let usages = [
        DiskUsage::Known {
            total_bytes: u64::MAX,
            free_bytes: 1,
            available_bytes: 0,
        },
        DiskUsage::NotAsked,
        DiskUsage::Failed(Refusal::Denied),
    ];
    let mount = |usage| MountUsage {
        mount_point: "/a b".to_owned(),
        filesystem: "ext4".to_owned(),
        usage,
    };
    check(Answer::System(SystemAnswer {
        t_before_ns: -1,
        t_after_ns: 0,
        machine_id: "0123".to_owned(),
        instance: 0,
        texts: vec![
            (SystemText::Stat, Ok("cpu 1\n".to_owned())),
            (SystemText::LoadAverage, Err(Refusal::Io { errno: 13 })),
            (SystemText::MemoryInfo, Ok(String::new())),
            (SystemText::DiskStatistics, Err(Refusal::NotFound)),
            (SystemText::NetworkDevices, Ok("x".repeat(70_000))),
            (SystemText::NetworkCounters, Err(Refusal::Denied)),
        ],
        mounts: usages.into_iter().map(mount).collect(),
    }));
}

#[test]
fn folders_and_files() {
    let kinds = [
        FileKind::Regular,
        FileKind::Folder,
        FileKind::Link,
        FileKind::Fifo,
        FileKind::Socket,
        FileKind::Device,
        FileKind::Other,
    ];
    let entry = |kind| FolderEntry {
        name: "\u{fffd}".to_owned(),
        kind,
        size: 0,
        mtime_ns: 0,
        leads_to: Some(kind),
        refusal: Some(Refusal::WrongKind(kind)),
    };
    let entries: Vec<FolderEntry> = kinds.into_iter().map(entry).collect();
    for limit in [None, Some(LimitMet::Entries)] {
        let entries = entries.clone();
        let more = limit.is_none();
        check(Answer::List(ListAnswer::Entries { entries, limit, more }));
    }
    check(Answer::List(ListAnswer::Refused(problem(Refusal::OutsideRoots))));
    check(Answer::Preview(PreviewAnswer::Changed));
    check(Answer::Preview(PreviewAnswer::Refused(problem(Refusal::Denied))));
    check(Answer::Preview(PreviewAnswer::Bytes(Box::new(Preview {
        t_ns: -1,
        zone: HostZone {
            name: ZoneName::Unnamed,
            offset_seconds: 0,
        },
        path: "/var/log/a.log".to_owned(),
        identity: UNBORN,
        size: u64::MAX,
        mtime_ns: i64::MIN,
        compression: Compression::Gzip,
        offset: u64::MAX,
        bytes: (0..=255).collect(),
    }))));
}

#[test]
fn mistakes() {
    let errors = [
        RequestError::Version { asked: 9, spoken: 1 },
        RequestError::PathTooLong { bytes: usize::MAX },
        RequestError::TooManyKnown { count: 5000 },
        RequestError::RangeTooLong {
            offset: u64::MAX,
            bytes: 1,
        },
        RequestError::PreviewTooLong { bytes: u32::MAX },
        RequestError::Pattern { why: "x".to_owned() },
        RequestError::Profile { why: "x".to_owned() },
        RequestError::SystemSource(Refusal::NotFound),
    ];
    for error in errors {
        check(Answer::Rejected(error));
    }
}
