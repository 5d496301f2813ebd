//! The agent as its upstream sees it: every request gets its answer, what can't be served says why, and all of it
//! survives the wire.

use std::fs;
use std::sync::Arc;

use agent::profile::{ProfileError, StampProfile, StampZone};
use agent::protocol::{
    Answer, Compression, FileKind, FindAnswer, FindRequest, Fingerprint, HintVerdict, Identity, KNOWN_GENERATIONS_MAX,
    KnownGeneration, ListAnswer, ListRequest, PATH_BYTES_MAX, PREVIEW_BYTES_MAX, PROTOCOL_VERSION, PathProblem,
    PreviewAnswer, PreviewFrom, PreviewRequest, RANGE_BYTES_MAX, RangeRequest, Refusal, Request, RequestBody,
    RequestError, RootStatus, SnapshotRequest, StartProof, TailHash, ZoneName,
};
use agent::roots::{HardLinks, Roots};
use agent::service::{Agent, Served, StampReader, StampReaders};
use agent::snapshot::{HostClock, HostFacts};
use jiff::tz::TimeZone;

struct Fake;

impl HostClock for Fake {
    fn now_ns(&self) -> i64 {
        1_795_435_200_000_000_000
    }
}

impl StampReaders for Fake {
    fn reader(&self, profile: &StampProfile, _: &HostFacts) -> Result<StampReader, ProfileError> {
        if profile.zone != StampZone::Host {
            return Err(ProfileError::Other("it is not decimal".to_owned()));
        }
        Ok(Box::new(|_, line| {
            std::str::from_utf8(line.split(|byte| *byte == b' ').next()?)
                .ok()?
                .parse()
                .ok()
        }))
    }
}

struct Scene {
    _folder: tempfile::TempDir,
    base: String,
    agent: Agent,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let base = folder
            .path()
            .canonicalize()
            .expect("real")
            .to_str()
            .expect("utf-8")
            .to_owned();
        let roots = Roots::open(std::slice::from_ref(&base), HardLinks::Refuse).expect("roots");
        let facts = || HostFacts {
            zone: TimeZone::UTC,
            machine_id: "m".into(),
            instance: 0,
        };
        let agent = Agent::new(roots, Arc::new(Fake), Arc::new(Fake)).with_facts(facts);
        Self {
            _folder: folder,
            base,
            agent,
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// Asks over a wire: request and answer are encoded and decoded on the way.
    fn ask(&self, body: RequestBody) -> Answer {
        let request = Request {
            version: PROTOCOL_VERSION,
            body,
        };
        let wire = serde_json::to_string(&request).expect("encodes");
        let request: Request = serde_json::from_str(&wire).expect("decodes");
        match self.agent.serve(request) {
            Served::Answer(answer) => {
                let wire = serde_json::to_string(&answer).expect("encodes");
                let decoded: Answer = serde_json::from_str(&wire).expect("decodes");
                assert_eq!(decoded, answer);
                answer
            }
            Served::Range(plan) => panic!("{plan:?}"),
        }
    }

    #[track_caller]
    fn check_rejected(&self, body: RequestBody, expected: RequestError) {
        assert_eq!(self.ask(body), Answer::Rejected(expected));
    }
}

fn snapshot_of(pattern: String) -> SnapshotRequest {
    SnapshotRequest {
        pattern,
        dates_from_ns: 0,
        known: Vec::new(),
    }
}

const NOBODY: Identity = Identity {
    device: 1,
    inode: 2,
    birth_ns: None,
};
const NO_BYTES: Fingerprint = Fingerprint { length: 0, hash: 0 };

fn range(offset: u64, length: u64) -> RequestBody {
    let path = "/x".to_owned();
    RequestBody::Range(RangeRequest {
        path,
        identity: NOBODY,
        fingerprint: NO_BYTES,
        tail: None,
        offset,
        length,
    })
}

fn find(path: String, identity: Identity, profile: &str) -> RequestBody {
    let zone = match profile {
        "decimal" => StampZone::Host,
        other => StampZone::Named(other.to_owned()),
    };
    let entries = Vec::new();
    let profile = StampProfile { entries, zone };
    RequestBody::Find(FindRequest {
        path,
        identity,
        start_ns: 30_000,
        lateness_ns: 10,
        hint: None,
        profile,
    })
}

#[test]
fn requests_beyond_the_bounds_are_rejected() {
    let scene = Scene::new();
    let old = Request {
        version: PROTOCOL_VERSION + 1,
        body: RequestBody::System,
    };
    let expected = RequestError::Version {
        asked: PROTOCOL_VERSION + 1,
        spoken: PROTOCOL_VERSION,
    };
    assert_eq!(old.validate(), Err(expected));
    let long = "/".to_owned() + &"x".repeat(PATH_BYTES_MAX);
    let too_long = RequestError::PathTooLong {
        bytes: PATH_BYTES_MAX + 1,
    };
    scene.check_rejected(RequestBody::Snapshot(snapshot_of(long.clone())), too_long.clone());
    scene.check_rejected(RequestBody::List(ListRequest::of(long.clone())), too_long.clone());
    scene.check_rejected(find(long.clone(), NOBODY, "decimal"), too_long.clone());
    let tail = TailHash { offset: 0, hash: 0 };
    let known = KnownGeneration {
        path: long,
        identity: NOBODY,
        fingerprint: NO_BYTES,
        tail,
    };
    let with = |known| {
        RequestBody::Snapshot(SnapshotRequest {
            known,
            ..snapshot_of("/x".into())
        })
    };
    scene.check_rejected(with(vec![known.clone()]), too_long);
    let count = KNOWN_GENERATIONS_MAX + 1;
    let many = vec![
        KnownGeneration {
            path: "/x".into(),
            ..known
        };
        count
    ];
    scene.check_rejected(with(many), RequestError::TooManyKnown { count });
    for (offset, bytes) in [(0, RANGE_BYTES_MAX + 1), (u64::MAX, 1), (i64::MAX as u64, 1)] {
        scene.check_rejected(range(offset, bytes), RequestError::RangeTooLong { offset, bytes });
    }
    let why = "%Q is not a date this agent expands: use %Y %y %m %d %j %H %M, or %% for a percent sign";
    let why = format!("the pattern cannot be used: {why}");
    match scene.ask(RequestBody::Snapshot(snapshot_of("/x%Q".into()))) {
        Answer::Rejected(error) => assert_eq!(error.to_string(), why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn finding_a_time_in_a_file() {
    let scene = Scene::new();
    let path = scene.path("app.log");
    let text: String = (0..60_000).map(|time| format!("{time} {}\n", "x".repeat(90))).collect();
    fs::write(&path, &text).expect("write");
    let Answer::Snapshot(answer) = scene.ask(RequestBody::Snapshot(snapshot_of(path.clone()))) else {
        panic!()
    };
    let identity = answer.generations[0].identity;
    let Answer::Find(FindAnswer::Found { landing, size }) = scene.ask(find(path.clone(), identity, "decimal")) else {
        panic!("not found")
    };
    assert_eq!((size, landing.hint), (text.len() as u64, HintVerdict::NoHint));
    let before = &text[..landing.offset as usize];
    assert!(
        before.ends_with('\n') && !before.contains("\n30000 ") && landing.offset > 1 << 20,
        "{landing:?}"
    );
    assert!(matches!(landing.proof, StartProof::Block { greatest_ns, .. } if greatest_ns < 29_990));
    scene.check_rejected(
        find(path.clone(), identity, "unheard of"),
        RequestError::Profile {
            why: "it is not decimal".to_owned(),
        },
    );
    assert_eq!(scene.ask(find(path, NOBODY, "decimal")), Answer::Find(FindAnswer::Gone));
    let outside = PathProblem {
        path: "/etc/passwd".into(),
        refusal: Refusal::OutsideRoots,
    };
    let refused = scene.ask(find("/etc/passwd".into(), NOBODY, "decimal"));
    assert_eq!(refused, Answer::Find(FindAnswer::Refused(outside)));
}

#[test]
fn listing_a_folder() {
    let scene = Scene::new();
    fs::create_dir(scene.path("sub")).expect("folder");
    fs::write(scene.path("b.log"), "four").expect("write");
    std::os::unix::fs::symlink("/etc/passwd", scene.path("a-link")).expect("link");
    let list = |path: &str| match scene.ask(RequestBody::List(ListRequest::of(path.to_owned()))) {
        Answer::List(answer) => answer,
        other => panic!("{other:?}"),
    };
    std::os::unix::fs::symlink("b.log", scene.path("c-link")).expect("link");
    let ListAnswer::Entries {
        entries,
        limit: None,
        more: false,
    } = list(&scene.base)
    else {
        panic!("not listed")
    };
    let found: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.name.as_str(),
                entry.kind,
                entry.size,
                entry.leads_to,
                entry.refusal.clone(),
            )
        })
        .collect();
    let expected = [
        ("a-link", FileKind::Link, 0, None, Some(Refusal::OutsideRoots)),
        ("b.log", FileKind::Regular, 4, None, None),
        ("c-link", FileKind::Link, 4, Some(FileKind::Regular), None),
        ("sub", FileKind::Folder, 0, None, None),
    ];
    assert_eq!(found, expected);
    assert!(entries.iter().all(|entry| entry.name == "a-link" || entry.mtime_ns > 0));
    let refused = |path: &str, expected: Refusal| {
        let problem = PathProblem {
            path: path.to_owned(),
            refusal: expected,
        };
        assert_eq!(list(path), ListAnswer::Refused(problem));
    };
    refused("/etc", Refusal::OutsideRoots);
    refused(&scene.path("sub/../.."), Refusal::ParentComponent);
    refused(&scene.path("b.log"), Refusal::WrongKind(FileKind::Regular));
    refused(&scene.path("missing"), Refusal::NotFound);
    refused(&scene.path("a-link"), Refusal::OutsideRoots);
}

/// A folder in pages of two names is the folder, also where two names look the same.
#[test]
fn a_folder_is_listed_in_pages() {
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::new();
    let names: [&[u8]; 6] = [b"a", b"b", b"c", b"d\xff", b"d\xfe", b"e"];
    for name in names {
        let name = std::ffi::OsStr::from_bytes(name);
        fs::write(std::path::Path::new(&scene.base).join(name), "x").expect("write");
    }
    let (mut after, mut pages) = (None, Vec::new());
    loop {
        let path = scene.base.clone();
        let most = Some(2);
        let Answer::List(ListAnswer::Entries { entries, more, .. }) =
            scene.ask(RequestBody::List(ListRequest { path, after, most }))
        else {
            panic!("not listed")
        };
        after = entries.last().map(|entry| entry.name.clone());
        pages.push(entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>());
        if !more {
            break;
        }
    }
    assert_eq!(pages, [vec!["a", "b"], vec!["c", "d\u{fffd}", "d\u{fffd}"], vec!["e"]]);
}

#[test]
fn some_bytes_of_a_file_are_looked_at() {
    let scene = Scene::new();
    fs::write(scene.path("a.log"), "0123456789").expect("write");
    fs::write(scene.path("b.log.gz"), "x").expect("write");
    let preview = |name: &str, from, length, identity| {
        let path = scene.path(name);
        match scene.ask(RequestBody::Preview(PreviewRequest {
            path,
            identity,
            from,
            length,
        })) {
            Answer::Preview(answer) => answer,
            other => panic!("{other:?}"),
        }
    };
    let bytes = |from, length| match preview("a.log", from, length, None) {
        PreviewAnswer::Bytes(preview) => (
            preview.offset,
            String::from_utf8(preview.bytes).expect("ASCII"),
            preview.size,
        ),
        other => panic!("{other:?}"),
    };
    assert_eq!(bytes(PreviewFrom::Offset(0), 4), (0, "0123".to_owned(), 10));
    assert_eq!(bytes(PreviewFrom::Offset(8), 4), (8, "89".to_owned(), 10));
    assert_eq!(bytes(PreviewFrom::Offset(99), 4), (10, String::new(), 10));
    assert_eq!(bytes(PreviewFrom::End, 3), (7, "789".to_owned(), 10));
    assert_eq!(
        bytes(PreviewFrom::End, PREVIEW_BYTES_MAX),
        (0, "0123456789".to_owned(), 10)
    );
    assert_eq!(
        preview("a.log", PreviewFrom::End, 1, Some(NOBODY)),
        PreviewAnswer::Changed
    );
    let refused = preview("gone.log", PreviewFrom::End, 1, None);
    assert!(matches!(refused, PreviewAnswer::Refused(problem) if problem.refusal == Refusal::NotFound));
    let PreviewAnswer::Bytes(packed) = preview("b.log.gz", PreviewFrom::End, 9, None) else {
        panic!("not shown")
    };
    assert_eq!(
        (packed.compression, packed.zone.name),
        (Compression::Gzip, ZoneName::Iana("UTC".to_owned()))
    );
    let request = PreviewRequest {
        path: scene.path("a.log"),
        identity: None,
        from: PreviewFrom::End,
        length: PREVIEW_BYTES_MAX + 1,
    };
    let bytes = request.length;
    scene.check_rejected(RequestBody::Preview(request), RequestError::PreviewTooLong { bytes });
}

/// What is pulled may be more than what people are shown.
#[test]
fn people_are_shown_no_more_than_they_may_look_at() {
    let scene = Scene::new();
    fs::create_dir(scene.path("shown")).expect("folder");
    fs::write(scene.path("shown/a.log"), "a").expect("write");
    fs::write(scene.path("hidden.log"), "h").expect("write");
    let shown = Roots::open(&[scene.path("shown")], HardLinks::Refuse).expect("roots");
    let scene = Scene {
        agent: scene.agent.with_browsing(shown),
        ..scene
    };
    let listed = |path: &str| scene.ask(RequestBody::List(ListRequest::of(path.to_owned())));
    let entries = listed(&scene.path("shown"));
    assert!(
        matches!(entries, Answer::List(ListAnswer::Entries { .. })),
        "{entries:?}"
    );
    let refused = listed(&scene.base);
    assert!(matches!(&refused, Answer::List(ListAnswer::Refused(problem)) if problem.refusal == Refusal::OutsideRoots));
    let looked = scene.ask(RequestBody::Preview(PreviewRequest {
        path: scene.path("hidden.log"),
        identity: None,
        from: PreviewFrom::End,
        length: 1,
    }));
    assert!(
        matches!(&looked, Answer::Preview(PreviewAnswer::Refused(problem)) if problem.refusal == Refusal::OutsideRoots)
    );
    let Answer::Status(status) = scene.ask(RequestBody::Status) else {
        panic!("no status")
    };
    assert_eq!(status.roots[0].path, scene.path("shown"));
    // Pulls go on to see all of it.
    let request = SnapshotRequest {
        pattern: scene.path("*.log"),
        dates_from_ns: 0,
        known: Vec::new(),
    };
    let snapshot = scene.ask(RequestBody::Snapshot(request));
    assert!(
        matches!(&snapshot, Answer::Snapshot(answer) if answer.generations.len() == 1),
        "{snapshot:?}"
    );
}

#[test]
fn the_status_says_who_it_is_and_what_it_may() {
    let scene = Scene::new();
    let Answer::Status(status) = scene.ask(RequestBody::Status) else {
        panic!("no status")
    };
    let missing = status.confinement.missing().expect("a test is not confined");
    assert!(missing.starts_with("landlock is off"), "{missing}");
    let root = RootStatus {
        path: scene.base.clone(),
        refusal: None,
    };
    assert_eq!(
        (status.roots, status.version),
        (vec![root], env!("CARGO_PKG_VERSION").to_owned())
    );
}

#[test]
fn the_system_source() {
    let Answer::System(sample) = Scene::new().ask(RequestBody::System) else {
        panic!("no sample")
    };
    assert_eq!((sample.texts.len(), sample.machine_id.as_str()), (6, "m"));
    assert!(sample.texts.iter().all(|(_, text)| text.is_ok()), "{sample:?}");
}
