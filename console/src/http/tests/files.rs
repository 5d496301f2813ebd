//! Folders and files of a host over HTTP, with a Brain that answers as it is told by the path.

use super::*;
use brain::protocol::{AgentSeen, BrainAnswer, BrowseQuestion, Browsed, NotBrowsed};
use map::protocol::{AgentSaid, FileKind, FileSeen, FolderEntry, Packed, PathProblem, Reach, Refusal, Tail, TailLine};

/// What the Brain answers: by the path, so that a test says what is to happen.
pub(super) fn browsed(host: &str, question: BrowseQuestion) -> BrainAnswer {
    if host != "h1" {
        return BrainAnswer::NoSuchHost;
    }
    let told = |question: &BrowseQuestion| format!("{question:?}");
    let asked = told(&question);
    let answered = match question {
        BrowseQuestion::List { path, .. } => match path.as_str() {
            "/etc" => Err(refused(path, Refusal::OutsideRoots)),
            "/gone" => Err(refused(path, Refusal::NotFound)),
            "/hangs" => Err(NotBrowsed::Agent {
                state: HostState::Timeout,
                detail: "nothing came".to_owned(),
            }),
            "/away" => Err(NotBrowsed::NoMap("map-1: gone".to_owned())),
            _ => Ok(Browsed::List {
                entries: vec![FolderEntry {
                    name: asked,
                    kind: FileKind::Link,
                    size: 7,
                    mtime_ns: 1_500_000_000,
                    leads_to: Some(FileKind::Regular),
                    refusal: None,
                }],
                more: true,
                limit: None,
            }),
        },
        BrowseQuestion::Tail { path, .. } if path.ends_with(".xz") => Err(NotBrowsed::Compressed { path }),
        BrowseQuestion::Tail { path, .. } if path.ends_with(".bad.gz") => Err(NotBrowsed::Damaged {
            path,
            why: "is corrupt: its CRC32 differs".to_owned(),
        }),
        BrowseQuestion::Tail { path, .. } => Ok(Browsed::Tail(Tail {
            file: FileSeen {
                packed: path.ends_with(".gz").then(|| Packed {
                    method: "gzip".to_owned(),
                    bytes: 70,
                    reach: Reach::Beginning,
                }),
                path,
                size: 9,
                mtime_ns: 0,
            },
            encoding: "UTF-8".to_owned(),
            offset: 3,
            lines: vec![TailLine {
                offset: 3,
                text: asked,
                invalid: 1,
                is_cut: false,
            }],
        })),
        BrowseQuestion::Status | BrowseQuestion::Detect { .. } => Err(NotBrowsed::Busy),
    };
    BrainAnswer::Browsed(Box::new(answered))
}

fn refused(path: String, refusal: Refusal) -> NotBrowsed {
    NotBrowsed::Refused(PathProblem { path, refusal })
}

pub(super) fn agents() -> BrainAnswer {
    BrainAnswer::Agents(vec![AgentSeen {
        address: "10.0.0.2:7801".to_owned(),
        asked_ns: 1_500_000_000,
        said: AgentSaid::Bounds {
            sandbox: "landlock".to_owned(),
            missing: Some("no seccomp (x)".to_owned()),
            user: "sunfire".to_owned(),
            version: "0.1.0".to_owned(),
        },
    }])
}

#[tokio::test]
async fn a_path_is_passed_on_as_it_was_written() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let path = "/api/v1/files?app=shop&host=h1&path=%2Fa%2F..%2F%00%C3%A9&after=b%2Bc&limit=5";
    let response = get(&scene.console, path).await;
    let expected = r#"List { path: "/a/../\0é", after: Some("b+c"), most: 5 }"#;
    let entry = json!({
        "name": expected, "kind": "link", "leads_to": "file", "size": 7, "mtime": "1970-01-01T00:00:01.5Z",
        "refusal": null,
    });
    assert_eq!(
        response.json()["data"],
        json!({"path": "/a/../\0é", "entries": [entry], "more": true, "incomplete": false})
    );
    let tail = get(&scene.console, "/api/v1/files/tail?app=shop&host=h1&path=/a.log")
        .await
        .json();
    let line = json!({
        "offset": 3, "text": r#"Tail { path: "/a.log", bytes: 16384 }"#, "invalid": 1, "cut": false,
    });
    assert_eq!(
        (&tail["data"]["lines"][0], &tail["data"]["encoding"]),
        (&line, &json!("UTF-8"))
    );
    assert_eq!(tail["data"]["file"]["packed"], json!(null));
    let tail = get(&scene.console, "/api/v1/files/tail?app=shop&host=h1&path=/a.gz")
        .await
        .json();
    let note = "it is too large to be unpacked for a look: its beginning is shown";
    assert_eq!(
        tail["data"]["file"]["packed"],
        json!({"method": "gzip", "bytes": 70, "shown": "beginning", "note": note})
    );
    scene.end().await;
}

#[tokio::test]
async fn why_there_is_no_answer_is_said_by_status_and_text() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let mut told = Vec::new();
    for path in [
        "files?app=shop&host=h1&path=/etc",
        "files?app=shop&host=h1&path=/gone",
        "files?app=shop&host=h1&path=/hangs",
        "files?app=shop&host=h1&path=/away",
        "files/tail?app=shop&host=h1&path=/a.xz",
        "files/tail?app=shop&host=h1&path=/a.bad.gz",
        "files/detect?app=shop&host=h1&path=/a",
        "files?app=shop&host=h2",
        "files?host=h1",
        "files/tail?app=shop&host=h1",
        "files/tail?app=shop&host=h1&path=/a&bytes=many",
    ] {
        let response = get(&scene.console, &format!("/api/v1/{path}")).await;
        let body = response.json();
        assert!(body["hint"].is_string() || response.status == 422, "{path}: {body}");
        told.push(format!(
            "{} {}",
            response.status,
            body["error"].as_str().unwrap_or_default()
        ));
    }
    assert_eq!(
        told,
        [
            "403 /etc lies outside the allowed roots: add its folder to `roots`",
            "404 /gone does not exist",
            "504 the agent does not answer: nothing came",
            "503 no map can ask the agent: map-1: gone",
            "422 /a.xz is compressed, and only gzip and zstd are unpacked: unpack it on its host",
            "422 /a.bad.gz is corrupt: its CRC32 differs",
            "503 too many folders and files are being looked at",
            "404 the inventory has no host h2 of shop now",
            "400 the parameter `app` is missing",
            "400 the parameter `path` is missing",
            "400 `bytes` is no number from 1 on",
        ]
    );
    scene.end().await;
}

#[tokio::test]
async fn agents_are_told_by_host() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let body = get(&scene.console, "/api/v1/agents").await.json();
    let expected = json!([{
        "app": "shop", "host": "h1", "address": "10.0.0.2:7801", "labels": {"zone": "a"}, "sandbox": "landlock",
        "missing": "no seccomp (x)", "user": "sunfire", "version": "0.1.0", "trouble": null,
        "asked": "1970-01-01T00:00:01.5Z",
    }]);
    assert_eq!(body["data"]["agents"], expected);
    scene.end().await;
}

/// The same doors as for everything else.
#[tokio::test]
async fn nobody_browses_without_the_token() {
    let token = ApiToken::new(TOKEN);
    let scene = scene(Arc::new(world()), |config| config.token = token).await;
    for path in [
        "agents",
        "files?app=shop&host=h1&path=/a",
        "files/tail?app=shop&host=h1&path=/a",
        "files/detect?x",
    ] {
        assert_eq!(
            get(&scene.console, &format!("/api/v1/{path}")).await.status,
            401,
            "{path}"
        );
    }
    scene.end().await;
}
