//! A cluster whose nodes know each other by certificates, as a user starts it: from the files of
//! `configs/examples/cluster-tls`, with certificates made by the commands of its README.

use lika::seam::Clock;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use sunfire_tests::agents::PATIENCE;
use sunfire_tests::binary;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::{try_get, until_answered, until_stored};
use sunfire_tests::shop::{Shop, WINDOW_NS, next_window};
use sunfire_tests::skip::skipped;

const README: &str = include_str!("../../configs/examples/cluster-tls/README.md");
const MONITOR: &str = "vault_access";

/// The commands of the README, as they stand there.
fn commands() -> String {
    let block = README.split("```sh\n").nth(1).expect("a block of commands");
    block.split("```").next().expect("its end").to_owned()
}

/// Makes an authority and all certificates in a folder of its own; false if there is no `openssl` here.
fn make(folder: &Path) -> bool {
    fs::create_dir_all(folder).expect("a folder");
    let made = Command::new("openssl").arg("version").output();
    if !made.is_ok_and(|made| made.status.success()) {
        return false;
    }
    let made = Command::new("sh")
        .args(["-e", "-c", &commands()])
        .current_dir(folder)
        .output()
        .expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    true
}

/// The example with certificates; `None` if there is no `openssl` here.
fn prepared(test: &str, base: &Path) -> Option<Cluster> {
    let cluster = Cluster::prepare_example("cluster-tls", &binary::dev(), base);
    if !make(&base.join("cluster")) {
        skipped(test, "there is no `openssl`; install it");
        return None;
    }
    Some(cluster)
}

fn copy(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if is_wanted(&name) {
            fs::copy(&path, to.join(&name)).expect("copied");
        }
    }
}

/// Counts a window that begins from now on, to 100 %, and gives back its beginning.
#[track_caller]
fn counted(shop: &Shop, server: &str) -> i64 {
    let window_ns = next_window();
    shop.check(server, MONITOR, &(window_ns..window_ns + WINDOW_NS));
    window_ns
}

#[test]
fn a_cluster_counts_over_tls_while_all_its_certificates_are_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let name = "a_cluster_counts_over_tls_while_all_its_certificates_are_replaced";
    let Some(mut cluster) = prepared(name, &base) else {
        return;
    };
    let mut shop = Shop::open(&cluster);
    cluster.start_all();
    let server = cluster.server();
    until_answered(&server);
    until_stored(&server, MONITOR);
    let from_ns = counted(&shop, &server);
    // Another authority: first all trust both, then all show certificates of the new one, then all trust that alone.
    let (old, new) = (base.join("cluster/certificates"), base.join("new/certificates"));
    assert!(make(&base.join("new")));
    let read = |folder: &Path| fs::read_to_string(folder.join("ca.pem")).expect("an authority");
    let (before, after) = (read(&old), read(&new));
    fs::write(old.join("ca.pem"), format!("{before}{after}")).expect("written");
    counted(&shop, &server);
    copy(&new, &old, |file| !file.starts_with("ca."));
    counted(&shop, &server);
    fs::write(old.join("ca.pem"), &after).expect("written");
    // One that knows the new authority alone: it connects only to processes that show the new certificates.
    cluster.kill("map-tls");
    cluster.start("map-tls");
    let to_ns = counted(&shop, &server) + WINDOW_NS;
    shop.check(&server, MONITOR, &(from_ns..to_ns));
    shop.close();
    assert_eq!(cluster.ended(), []);
    for name in cluster.names() {
        assert!(cluster.end(&name).success(), "{name}: {}", cluster.said(&name));
    }
}

#[test]
fn an_agent_with_another_hosts_certificate_counts_for_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let name = "an_agent_with_another_hosts_certificate_counts_for_nobody";
    let Some(mut cluster) = prepared(name, &base) else {
        return;
    };
    // Where the inventory says that vault-02 is, somebody listens who has the certificate of vault-01.
    let file = base.join("cluster/agents/vault-02.yaml");
    let text = fs::read_to_string(&file).expect("the example");
    let lying = text
        .replace("host: vault-02", "host: vault-01")
        .replace("certificates/vault-02.", "certificates/vault-01.");
    assert_ne!(text, lying);
    fs::write(&file, lying).expect("written");
    let mut shop = Shop::open(&cluster);
    cluster.start_all();
    let server = cluster.server();
    until_answered(&server);
    until_stored(&server, MONITOR);
    let window = (next_window() / 1_000_000).to_string();
    let of = |host: &str| {
        let parameters = [("monitor", MONITOR), ("window", window.as_str())];
        // Until the window is stored there is no such answer.
        let answer = try_get(&server, "/api/v1/hosts", &parameters, PATIENCE).unwrap_or_default();
        let hosts = answer["data"]["hosts"].as_array().cloned().unwrap_or_default();
        hosts.into_iter().find(|told| told["host"] == host).unwrap_or_default()
    };
    let clock = Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    while of("vault-01")["state"] != "ok" || of("vault-02")["state"] != "unreachable" {
        let said = (of("vault-01"), of("vault-02"));
        assert!(!clock.has_passed(deadline), "{said:?}");
        std::thread::park_timeout(Duration::from_millis(300));
    }
    shop.close();
    let said = of("vault-02");
    let detail = said["detail"].as_str().expect("a reason");
    let reason =
        "needs a certificate that names sunfire://agent/vault-02, and showed one that names sunfire://agent/vault-01";
    assert!(detail.contains(reason), "{detail}");
}

/// The process's exit code and what it said on stderr.
fn run(role: &str, file: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(binary::dev());
    let output = command
        .args([role, "--config"])
        .arg(file)
        .output()
        .expect("the built binary runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_role_does_not_start_with_certificates_that_others_would_refuse() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let name = "a_role_does_not_start_with_certificates_that_others_would_refuse";
    if prepared(name, &base).is_none() {
        return;
    }
    let files = [
        ("map", "map-tls.yaml", "map-tls", "sunfire://role/map"),
        ("reduce", "reduce-tls.yaml", "reduce-tls", "sunfire://role/reduce"),
        ("brain", "brain.yaml", "brain-tls", "sunfire://role/brain"),
        ("console", "console.yaml", "console-tls", "sunfire://role/console"),
        ("agent", "agents/vault-01.yaml", "vault-01", "sunfire://agent/vault-01"),
    ];
    for (role, file, own, needed) in files {
        let path = base.join("cluster").join(file);
        let text = fs::read_to_string(&path).expect("the example");
        let check = |from: &str, to: &str, parts: &[&str]| {
            assert!(text.contains(from), "{text}");
            fs::write(&path, text.replace(from, to)).expect("written");
            let (code, said) = run(role, &path);
            assert_eq!(code, Some(78), "{role}: {said}");
            for part in parts {
                assert!(said.contains(part), "{role}: no `{part}` in {said}");
            }
        };
        let pair = format!("{own}.pem");
        check(
            &pair,
            "nowhere.pem",
            &["nowhere.pem cannot be read: correct `tls: cert`"],
        );
        check(
            &pair,
            "vault-02.pem",
            &[&format!("{own}.key is not that of the certificate")],
        );
        check(
            &format!("/{own}."),
            "/vault-02.",
            &[&format!("vault-02.pem does not name {needed}")],
        );
        check(", key:", ", kye:", &["did you mean `key`?", &format!("{file}:")]);
    }
}
