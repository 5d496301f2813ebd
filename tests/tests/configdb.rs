//! The ConfigDB in a real etcd: what is followed, who leads, and what lasts, while etcd is killed, started again,
//! compacted, and asked by two at once.

use configdb::{ChunkLog, Connection, EtcdDocuments, Leader, Term, WriteError};
use configs::{Documents, Wholeness};
use etcd::{Compared, Error, Outcome, Transaction};
use lika::seam::Clock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use sunfire_tests::agents::PATIENCE;
use sunfire_tests::etcd::{Etcd, connect};
use sunfire_tests::forward::Forwarder;

const APP: &str = "kind: app\nname: shop\nhosts: []\n";

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    while !holds() {
        assert!(!clock.has_passed(deadline), "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn names(documents: &mut EtcdDocuments) -> Vec<String> {
    let _changed = documents.poll();
    let found = documents.documents().iter();
    found.map(|placed| placed.document.name().to_owned()).collect()
}

fn mistakes(documents: &mut EtcdDocuments) -> Vec<String> {
    let _changed = documents.poll();
    documents.mistakes().iter().map(|told| told.message.clone()).collect()
}

fn app(name: &str) -> String {
    APP.replace("shop", name)
}

#[test]
fn documents_are_followed_through_mistakes_and_a_restart() {
    let test = "documents_are_followed_through_mistakes_and_a_restart";
    let Some(mut etcd) = Etcd::start(test, 1) else { return };
    let connection = connect(etcd.endpoints());
    let mut documents = EtcdDocuments::follow(&connection, Path::new("/"), &[]);
    until("an empty etcd is read", || {
        names(&mut documents).is_empty() && documents.wholeness() == Wholeness::Whole
    });
    // As a person would write it, without the command of ours.
    etcd.control(&["put", "/sunfire/config/app/shop", APP]);
    until("a document comes", || names(&mut documents) == ["shop"]);
    etcd.control(&[
        "put",
        "/sunfire/config/app/shop",
        "kind: app\nname: shop\nhosts: []\nhsots: []\n",
    ]);
    until("a mistake comes", || {
        mistakes(&mut documents) == ["unknown key `hsots`"]
    });
    assert_eq!(names(&mut documents), ["shop"], "its last good version stays in force");
    etcd.control(&["put", "/sunfire/config/app/shop", APP]);
    until("it is mended", || mistakes(&mut documents).is_empty());

    etcd.kill(0);
    until("people are told", || {
        mistakes(&mut documents) == ["cannot be reached; what was read last stays in force"]
    });
    assert_eq!(names(&mut documents), ["shop"]);
    assert_eq!(documents.wholeness(), Wholeness::Whole);
    etcd.launch(0);
    etcd.until_healthy();
    until("it is reached again", || mistakes(&mut documents).is_empty());
    etcd.control(&["put", "/sunfire/config/app/pay", &app("pay")]);
    until("a change after the restart arrives", || {
        names(&mut documents) == ["pay", "shop"]
    });
}

#[test]
fn a_compaction_between_two_connections_hides_neither_what_came_nor_what_went() {
    let test = "a_compaction_between_two_connections_hides_neither_what_came_nor_what_went";
    let Some(etcd) = Etcd::start(test, 1) else { return };
    etcd.control(&["put", "/sunfire/config/app/shop", APP]);
    etcd.control(&["put", "/sunfire/config/app/gone", &app("gone")]);
    // Through a forwarder that can be cut, so that etcd goes on while the follower does not hear it.
    let forwarder = Forwarder::start(&etcd.endpoints()[0]["http://".len()..]);
    let connection = connect_by(&forwarder);
    let mut documents = EtcdDocuments::follow(&connection, Path::new("/"), &[]);
    until("both are read", || names(&mut documents) == ["gone", "shop"]);

    forwarder.cut();
    until("people are told", || mistakes(&mut documents).len() == 1);
    etcd.control(&["del", "/sunfire/config/app/gone"]);
    etcd.control(&["put", "/sunfire/config/app/pay", &app("pay")]);
    for _ in 0..5 {
        etcd.control(&["put", "/sunfire/config/app/shop", APP]);
    }
    let status = etcd.control(&["get", "/sunfire/config/app/shop", "--write-out", "fields"]);
    let revision = status
        .lines()
        .find_map(|line| line.strip_prefix("\"Revision\" : "))
        .expect("a revision");
    etcd.control(&["compact", revision]);
    assert_eq!(names(&mut documents), ["gone", "shop"]);
    forwarder.mend();
    until("all that happened is known", || {
        names(&mut documents) == ["pay", "shop"]
    });
    until("and nothing is wrong", || mistakes(&mut documents).is_empty());
}

#[test]
fn a_listing_of_many_pages_is_of_one_revision_and_transactions_compare() {
    let test = "a_listing_of_many_pages_is_of_one_revision_and_transactions_compare";
    let Some(etcd) = Etcd::start(test, 1) else { return };
    let connection = connect(etcd.endpoints());
    let client = connection.client().clone();
    let all = connection.call(async move {
        for page in 0..3 {
            let put = |transaction: Transaction, number: usize| transaction.put(&format!("/t/{page}/{number:03}"), "x");
            client.transact((0..90).fold(Transaction::default(), put)).await?;
        }
        let listing = client.list("/t/").await?;
        let again = Transaction::default()
            .when("/t/0/000", Compared::Absent)
            .put("/t/0/000", "y");
        let not = client
            .transact(again.otherwise_get("/t/0/000").otherwise_get("/t/none"))
            .await?;
        let refused = client
            .transact((0..129).fold(Transaction::default(), |all, n| all.delete(&format!("/{n}"))))
            .await;
        Ok((listing, not, refused))
    });
    let (listing, not, refused) = all.expect("answers");
    assert_eq!(listing.found.len(), 270);
    assert!(listing.found.is_sorted_by(|one, other| one.key < other.key));
    let Outcome::Not { found } = not else {
        panic!("it was done")
    };
    let values: Vec<Option<Vec<u8>>> = found.into_iter().map(|found| Some(found?.value)).collect();
    assert_eq!(values, [Some(b"x".to_vec()), None]);
    let Err(Error::Refused { why, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("too many operations"), "{why}");
}

fn term(connection: &Arc<Connection>, node: &str) -> Option<Term> {
    let me = Leader {
        node: node.to_owned(),
        address: "127.0.0.1:1".to_owned(),
    };
    connection.wait(Term::begin(Arc::clone(connection), me, |_| {}))
}

#[test]
fn one_leads_at_a_time_and_who_was_deposed_writes_nothing() {
    let test = "one_leads_at_a_time_and_who_was_deposed_writes_nothing";
    let Some(etcd) = Etcd::start(test, 1) else { return };
    let (one, other) = (connect(etcd.endpoints()), connect(etcd.endpoints()));
    let first = term(&one, "first").expect("a term");
    assert!(first.leads());
    first
        .write("k", Transaction::default().put("/sunfire/k", "1"))
        .expect("written");
    let waiting = std::thread::spawn({
        let other = Arc::clone(&other);
        move || term(&other, "second").expect("a term")
    });
    // Its lease is taken away, as when it ran out while the process was paused.
    let lease = etcd.control(&["lease", "list"]);
    let lease = lease.lines().last().expect("a lease").to_owned();
    assert!(!waiting.is_finished());
    etcd.control(&["lease", "revoke", &lease]);
    let second = waiting.join().expect("no panic");
    assert!(second.leads() && second.began_at() > first.began_at());
    // The first does not know it yet, or does: etcd refuses it in any case.
    let refused = first.write("k", Transaction::default().put("/sunfire/k", "2"));
    assert!(matches!(refused, Err(WriteError::Deposed)), "{refused:?}");
    assert!(!first.leads());
    one.wait({
        let first = first.clone();
        async move { first.lost().await }
    });
    second
        .write("k", Transaction::default().put("/sunfire/k", "3"))
        .expect("written");
    assert_eq!(etcd.control(&["get", "/sunfire/k", "--print-value-only"]).trim(), "3");
    other.wait(second.resign());
    term(&one, "third").expect("at once");
}

#[test]
fn a_leader_stops_by_its_own_clock_while_etcd_is_silent_and_goes_on_with_its_lease() {
    let test = "a_leader_stops_by_its_own_clock_while_etcd_is_silent_and_goes_on_with_its_lease";
    let Some(mut etcd) = Etcd::start(test, 1) else { return };
    let connection = connect(etcd.endpoints());
    let leader = term(&connection, "first").expect("a term");
    etcd.kill(0);
    let clock = Clock::system();
    let began = clock.monotonic();
    until("it stops deciding", || !leader.leads());
    let after = clock.monotonic().since(began);
    assert!(
        after < Duration::from_secs(8),
        "before its lease can have run out: {after:?}"
    );
    // etcd gives leases their whole time again after a restart: this one is still the leader's, who leads on.
    etcd.launch(0);
    until("it leads again", || leader.leads());
    leader
        .write("k", Transaction::default().put("/sunfire/k", "1"))
        .expect("written");
}

fn text(number: usize, bytes: usize) -> String {
    format!("{number}{}\n", "x".repeat(bytes))
}

#[test]
fn lines_last_in_etcd_and_an_addition_that_broke_off_counts_for_nothing() {
    let test = "lines_last_in_etcd_and_an_addition_that_broke_off_counts_for_nothing";
    let Some(etcd) = Etcd::start(test, 1) else { return };
    let connection = connect(etcd.endpoints());
    let leader = term(&connection, "first").expect("a term");
    let open = || ChunkLog::open(&leader, "log").expect("a log");
    let (mut log, nothing) = open();
    assert!(nothing.is_empty());
    let small = text(1, 10);
    // Larger than etcd takes in one request.
    let large = text(2, 2 << 20);
    log.append(small.as_bytes()).expect("added");
    log.append(large.as_bytes()).expect("added");
    let all = format!("{small}{large}");
    let (mut log, found) = open();
    assert!(found == all.as_bytes() && log.bytes() == all.len() as u64);

    // What a process left that was killed between two chunks, or within a batch.
    etcd.control(&["put", "/sunfire/brain/log/00000000/0000000006", "half a line"]);
    let refused = log.append(b"more\n");
    assert!(matches!(refused, Err(WriteError::Changed { .. })), "{refused:?}");
    log.append(b"more\n").expect("after the doubt is settled");
    let (mut log, found) = open();
    assert!(found == format!("{all}more\n").as_bytes());
    etcd.control(&["put", "/sunfire/brain/log/00000000/0000000007", "whole\nhalf"]);
    let (_, found) = open();
    assert!(found == format!("{all}more\nwhole\n").as_bytes());
    // The other one does not know of this: it removes what it did not add.
    assert!(log.append(b"x\n").is_err());
    log.append(b"x\n").expect("added");
    log.replace(b"one\ntwo\n").expect("replaced");
    log.append(b"three\n").expect("added");
    let (log, found) = open();
    assert_eq!((found.as_slice(), log.bytes()), (b"one\ntwo\nthree\n".as_slice(), 14));
    let keys = etcd.control(&["get", "--prefix", "/sunfire/brain/log/", "--keys-only"]);
    assert_eq!(keys.split_whitespace().count(), 2, "the old generation is gone: {keys}");
}

/// A connection by a forwarder.
fn connect_by(forwarder: &Forwarder) -> Arc<Connection> {
    connect(vec![format!("http://{}", forwarder.address())])
}

/// Has the answer lost to whatever writes these bytes.
fn losing<T>(forwarder: &Forwarder, connection: &Connection, bytes: &str, work: impl FnOnce() -> T) -> T {
    forwarder.lose_answers_from(bytes.as_bytes());
    let done = work();
    assert!(forwarder.loses_answers(), "nothing of the kind was sent");
    forwarder.cut();
    forwarder.mend();
    // The call that finds the old connection closed fails.
    until("it is reached again", || {
        let client = connection.client().clone();
        connection.call(async move { client.get("/").await }).is_ok()
    });
    done
}

#[test]
fn what_was_written_though_its_answer_was_lost_is_found_out_before_anything_is_added() {
    let test = "what_was_written_though_its_answer_was_lost_is_found_out_before_anything_is_added";
    let Some(etcd) = Etcd::start(test, 1) else { return };
    let forwarder = Forwarder::start(&etcd.endpoints()[0]["http://".len()..]);
    let connection = connect_by(&forwarder);
    let leader = term(&connection, "first").expect("a term");
    let read = || ChunkLog::open(&leader, "log").expect("a log").1;
    let (mut log, _) = ChunkLog::open(&leader, "log").expect("a log");
    log.append(b"old\n").expect("added");
    let added = losing(&forwarder, &connection, "lost\n", || log.append(b"lost\n"));
    assert!(matches!(added, Err(WriteError::Etcd(_))), "{added:?}");
    log.append(b"more\n").expect("added");
    assert_eq!(read(), b"old\nmore\n", "what nobody was told of counts for nothing");
    // The end of the old generation's keys is in the turn alone.
    let turned = losing(&forwarder, &connection, "log/000000000", || log.replace(b"new\n"));
    assert!(matches!(turned, Err(WriteError::Etcd(_))), "{turned:?}");
    assert_eq!(read(), b"new\n", "it was done all the same");
    log.append(b"more\n").expect("added");
    assert_eq!(read(), b"new\nmore\n", "and is gone on from");
}

#[test]
fn three_members_lose_their_leader_and_documents_and_terms_go_on() {
    let test = "three_members_lose_their_leader_and_documents_and_terms_go_on";
    let Some(mut etcd) = Etcd::start(test, 3) else { return };
    // The one that is asked first is the one that dies.
    let gone = etcd.leader();
    let mut endpoints = etcd.endpoints();
    endpoints.rotate_left(gone);
    let connection = connect(endpoints);
    let leader = term(&connection, "first").expect("a term");
    let mut documents = EtcdDocuments::follow(&connection, Path::new("/"), &[]);
    etcd.control(&["put", "/sunfire/config/app/shop", APP]);
    until("a document comes", || names(&mut documents) == ["shop"]);
    etcd.kill(gone);
    // Two of three go on; whoever asked the third asks another.
    until("it is written again", || {
        leader.write("k", Transaction::default().put("/sunfire/k", "1")).is_ok()
    });
    assert!(leader.leads());
    etcd.control(&["put", "/sunfire/config/app/pay", &app("pay")]);
    until("a change arrives", || names(&mut documents) == ["pay", "shop"]);
    assert_eq!(mistakes(&mut documents), [""; 0]);
}
