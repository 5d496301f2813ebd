//! The example cluster as a user starts it: a process for each role, from the files of `configs/examples/cluster`.

use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::{until_answered, until_stored};
use sunfire_tests::shop::{Shop, next_window, this_window};

#[test]
fn the_example_cluster_runs_a_process_for_each_role_and_survives_one_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let mut cluster = Cluster::prepare(&binary::dev(), &base);
    let hosts = cluster.of_role("agent");
    let of = |role: &str| cluster.of_role(role).len();
    assert_eq!(
        (hosts.len(), of("map"), of("reduce"), of("brain"), of("console")),
        (10, 3, 2, 1, 1)
    );
    let mut shop = Shop::open(&cluster);
    cluster.start_all();
    let server = cluster.server();
    until_answered(&server);
    until_stored(&server, "shop_access");
    let from_ns = next_window();
    std::thread::park_timeout(Duration::from_secs(8));
    cluster.kill("map-2");
    std::thread::park_timeout(Duration::from_secs(4));
    cluster.start("map-2");
    std::thread::park_timeout(Duration::from_secs(6));
    let to_ns = this_window();
    shop.check(&server, "shop_access", &(from_ns..to_ns));
    shop.close();
    assert_eq!(cluster.ended(), []);
    for name in cluster.names() {
        assert!(cluster.end(&name).success(), "{name}: {}", cluster.said(&name));
    }
}

/// The process's exit code and what it said on stderr.
fn run(arguments: &[&str], file: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(binary::dev());
    let output = command
        .args(arguments)
        .arg("--config")
        .arg(file)
        .output()
        .expect("the built binary runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_role_says_what_is_wrong_with_its_file_or_its_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let mut cluster = Cluster::prepare(&binary::dev(), &base);
    let map = base.join("cluster/map-1.yaml");
    let (code, said) = run(&["reduce"], &map);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("is of the role `map`: run `sunfire map --config"),
        "{said}"
    );
    let broken = base.join("broken.yaml");
    std::fs::write(&broken, "role: map\nnode: map-1\nlisten: 0.0.0.0:7811\ntoken_fiel: x\n").expect("written");
    let (code, said) = run(&["map"], &broken);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("broken.yaml:3:9") && said.contains("did you mean `token_file`?"),
        "{said}"
    );
    cluster.start("map-1");
    let (code, said) = run(&["map"], &map);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("cannot listen at") && said.contains("choose another port"),
        "{said}"
    );
    // One that is paused does not end; continued, it does.
    cluster.signal("map-1", Signal::SIGSTOP);
    cluster.signal("map-1", Signal::SIGCONT);
    assert!(cluster.end("map-1").success());
}
