//! One minute of chaos on the built program, and a summary that says what was met. `cargo xtask chaos` does longer
//! ones.

use chaos::report::End;
use chaos::run::{Asked, run};
use sunfire_tests::binary;

#[test]
fn a_minute_of_faults_breaks_no_promise_and_heals() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = run(&Asked {
        minutes: 1,
        seed: 1,
        binary: binary::dev(),
        mutant: None,
        folder: folder.path().canonicalize().expect("it is there"),
    });
    println!("{report}");
    assert_eq!(report.end, End::Pass, "{report}\n{:?}", report.stderr);
}
