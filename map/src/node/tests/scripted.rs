//! Tickets, sharing, changes in place, failures and limits, with sources that do as they are told.

use super::*;
use crate::protocol::{RereadRequest, Tenant};
use std::cell::Cell as Shared;

#[test]
fn what_is_counted_is_collected_and_acknowledged() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        play("/scripted/a", steady);
        scene.install(task("pay", "/scripted/a", &[("h1", "a:1")])).await;
        let first = scene.collect(&id("pay"), 0).await;
        assert_eq!((first.reports.len(), first.reports[0].cells.len()), (1, 1));
        // The window [0 s, 1 s) is spoken of when its grace is past, and hardly later.
        assert_eq!(first.reports[0].cells[0].window_ns, START_NS);
        let after_ns = scene.now_ns() - (START_NS + 2 * SECOND);
        assert!((0..200_000_000).contains(&after_ns), "{after_ns}");
        // Not acknowledged: heard again, under another ticket.
        let again = scene.collect(&id("pay"), 0).await;
        assert!(again.ticket > first.ticket);
        assert_eq!(again.reports[0].cells[0], first.reports[0].cells[0]);
        let next = scene.collect(&id("pay"), again.ticket).await;
        assert_eq!(next.reports[0].cells.len(), 1);
        assert_eq!(next.reports[0].cells[0].window_ns, START_NS + SECOND);
        // The reader is told with its next pull.
        scene.until(&id("pay"), |heard| heard.cells.len() > 3).await;
        let acked = ACKS.with_borrow(Clone::clone);
        assert_eq!(acked[0].0, id("pay"));
        assert_eq!((acked[0].1.0, acked[0].1.1), (START_NS, 9));
        scene.stop().await;
    });
}

#[test]
fn a_request_without_news_waits_and_a_newer_one_ends_it() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        play("/scripted/a", |_, _| Pulled::default());
        scene.install(task("pay", "/scripted/a", &[("h1", "a:1")])).await;
        let began = scene.clock.monotonic();
        let empty = scene.collect(&id("pay"), 77).await;
        assert_eq!((empty.ticket, empty.reports.len(), empty.more), (77, 0, false));
        assert_eq!(scene.clock.monotonic().since(began).as_secs(), 10);
        // Two at a time: the older ends at once, the newer waits.
        let ended = async {
            scene.collect(&id("pay"), 0).await;
            scene.clock.monotonic()
        };
        let began = scene.clock.monotonic();
        let (older, newer) = tokio::join!(ended, async {
            tokio::task::yield_now().await;
            scene.collect(&id("pay"), 0).await;
            scene.clock.monotonic()
        });
        assert!(older.since(began).as_millis() < 100);
        assert_eq!(newer.since(began).as_secs(), 10);
        scene.stop().await;
    });
}

#[test]
fn monitors_on_one_log_share_its_pulls() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        let pulls = Rc::new(Shared::new(0));
        let counted = Rc::clone(&pulls);
        play("/scripted/a", move |subscriptions, now_ns| {
            counted.set(counted.get() + 1);
            steady(subscriptions, now_ns)
        });
        scene.install(task("pay", "/scripted/a", &[("h1", "a:1")])).await;
        scene.install(task("refund", "/scripted/a", &[("h1", "a:1")])).await;
        for monitor in ["pay", "refund"] {
            let heard = scene.until(&id(monitor), |heard| heard.cells.len() >= 5).await;
            assert_eq!(heard.state("h1", START_NS + 3 * SECOND), Some(HostState::Ok));
        }
        let status = scene.node.status();
        assert_eq!((status.tasks, status.inputs, status.inputs_unshared), (2, 1, 2));
        assert_eq!((status.pulls, status.bytes), (pulls.get(), pulls.get() * 10));
        let seconds = (scene.now_ns() - START_NS) / SECOND;
        // One a second, and one for each new interest.
        assert!(
            (seconds..=seconds + 3).contains(&(pulls.get() as i64)),
            "{pulls:?} in {seconds} s"
        );
        scene.stop().await;
    });
}

#[test]
fn requests_of_old_topologies_unknown_shards_and_bad_definitions_are_told_apart() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        play("/scripted/a", steady);
        let collect = |epoch: u64| {
            MapRequest::Collect(CollectRequest {
                id: id("pay"),
                epoch,
                acked: 0,
                wait_ms: 0,
                bytes_max: 0,
            })
        };
        assert_eq!(scene.ask(collect(1)).await, MapAnswer::Unknown);
        let mut good = task("pay", "/scripted/a", &[("h1", "a:1")]);
        good.epoch = 5;
        let mut bad = good.clone();
        bad.definition = Definition::Yaml("kind: monitor".to_owned());
        assert!(matches!(
            scene.ask(MapRequest::Install(Box::new(bad))).await,
            MapAnswer::Invalid(_)
        ));
        let mut twice = good.clone();
        twice.inputs = vec![input("h1", "a:1"), input("h1", "b:1")];
        assert!(matches!(
            scene.ask(MapRequest::Install(Box::new(twice))).await,
            MapAnswer::Invalid(_)
        ));
        scene.install(good.clone()).await;
        assert_eq!(scene.ask(collect(4)).await, MapAnswer::Stale { epoch: 5 });
        assert!(matches!(scene.ask(collect(6)).await, MapAnswer::Collected(_)));
        // A newer topology spoke: the older is fenced from here on.
        assert_eq!(
            scene.ask(MapRequest::Install(Box::new(good))).await,
            MapAnswer::Stale { epoch: 6 }
        );
        let remove = MapRequest::Remove {
            id: id("pay"),
            epoch: 6,
        };
        assert_eq!(scene.ask(remove.clone()).await, MapAnswer::Done);
        assert_eq!(scene.ask(remove).await, MapAnswer::Unknown);
        scene.stop().await;
    });
}

#[test]
fn hosts_come_and_go_in_place_and_the_others_go_on() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        play("/scripted/a", steady);
        scene
            .install(task("pay", "/scripted/a", &[("h1", "a:1"), ("h2", "b:1")]))
            .await;
        let all = |heard: &Heard| heard.state("h1", START_NS).is_some() && heard.state("h2", START_NS).is_some();
        scene.until(&id("pay"), all).await;
        scene
            .install(task("pay", "/scripted/a", &[("h1", "a:1"), ("h3", "c:1")]))
            .await;
        let now_ns = scene.now_ns() / SECOND * SECOND;
        let heard = scene
            .until(&id("pay"), |heard| heard.state("h3", now_ns) == Some(HostState::Ok))
            .await;
        assert_eq!(heard.state("h2", now_ns), None);
        let heard = scene
            .until(&id("pay"), |heard| heard.state("h1", now_ns).is_some())
            .await;
        assert_eq!(heard.state("h1", now_ns), Some(HostState::Ok));
        assert_eq!(scene.node.status().inputs, 2);
        // A collector that waits hears at once that its shard is gone.
        let remove = MapRequest::Remove {
            id: id("pay"),
            epoch: 1,
        };
        assert_eq!(scene.ask(remove).await, MapAnswer::Done);
        assert_eq!((scene.node.status().inputs, scene.node.status().tasks), (0, 0));
        scene.stop().await;
    });
}

#[test]
fn a_shard_that_is_installed_again_begins_anew() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        // Reports each subscription's first window once, when it is new to the reader.
        let mut known: Vec<TaskId> = Vec::new();
        play("/scripted/a", move |subscriptions, _| {
            known.retain(|id| subscriptions.contains_key(id));
            let mut pulled = Pulled::default();
            for (id, subscription) in subscriptions {
                let cells = if known.contains(id) {
                    vec![]
                } else {
                    vec![cell(START_NS, 3, 1)]
                };
                known.push(id.clone());
                let run = ok(START_NS, START_NS + SECOND);
                pulled
                    .reports
                    .push((id.clone(), report(&subscription.host, cells, run)));
            }
            pulled
        });
        // The other one keeps the source alive.
        scene.install(task("other", "/scripted/a", &[("h1", "a:1")])).await;
        scene.install(task("pay", "/scripted/a", &[("h1", "a:1")])).await;
        for _ in 0..3 {
            let heard = scene
                .until(&id("pay"), |heard| heard.state("h1", START_NS).is_some())
                .await;
            // Whoever hears that the window is complete has its records.
            assert_eq!(heard.records("h1", START_NS), 3);
            let remove = MapRequest::Remove {
                id: id("pay"),
                epoch: 1,
            };
            assert_eq!(scene.ask(remove).await, MapAnswer::Done);
            // The script tells subscriptions apart by their absence in between: let it be seen.
            let pulls = scene.node.status().pulls;
            while scene.node.status().pulls < pulls + 2 {
                scene.clock.sleep(Duration::from_millis(100)).await;
            }
            scene.install(task("pay", "/scripted/a", &[("h1", "a:1")])).await;
        }
        scene.stop().await;
    });
}

#[test]
fn a_reader_that_panics_is_begun_anew_and_others_go_on() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        let mut panics_left = 8;
        play("/scripted/bad", move |subscriptions, now_ns| {
            if now_ns > START_NS + 3 * SECOND && panics_left > 0 {
                panics_left -= 1;
                panic!("this log is too much");
            }
            steady(subscriptions, now_ns)
        });
        play("/scripted/good", steady);
        scene.install(task("bad", "/scripted/bad", &[("h1", "a:1")])).await;
        scene.install(task("good", "/scripted/good", &[("h1", "a:1")])).await;
        let heard = scene
            .until(&id("bad"), |heard| heard.detail(HostState::Timeout).is_some())
            .await;
        assert!(
            heard
                .detail(HostState::Timeout)
                .expect("it is there")
                .contains("begun anew")
        );
        assert_eq!(heard.state("h1", START_NS), Some(HostState::Ok));
        let failed_at_ns = scene.now_ns() / SECOND * SECOND;
        // Eight failures in a row are more than would escalate, and stop nobody else.
        let good = scene
            .until(&id("good"), |heard| {
                heard.state("h1", failed_at_ns + 5 * SECOND).is_some()
            })
            .await;
        assert_eq!(good.state("h1", failed_at_ns), Some(HostState::Ok));
        let healed = |heard: &Heard| heard.state("h1", failed_at_ns + 60 * SECOND) == Some(HostState::Ok);
        let heard = scene.until(&id("bad"), healed).await;
        assert_eq!(heard.detail(HostState::Timeout), None);
        let keeper = scene.node.observe();
        assert_eq!(keeper.generation, 0);
        assert_eq!(
            keeper.children.iter().map(|child| child.generation).collect::<Vec<_>>(),
            [8, 0]
        );
        scene.stop().await;
    });
}

#[test]
fn pulls_wait_for_the_store_and_windows_say_why() {
    run(async {
        let limits = Limits {
            held_bytes_max: 2000,
            ..Limits::default()
        };
        let scene = Scene::new(limits).await;
        play("/scripted/a", steady);
        scene.install(task("pay", "/scripted/a", &[("h1", "a:1")])).await;
        // Nobody collects: pulls cease.
        let deadline = scene.clock.deadline_in(PATIENCE);
        while scene.node.status().inputs_paused == 0 {
            assert!(!scene.clock.has_passed(deadline));
            scene.clock.sleep(Duration::from_secs(1)).await;
        }
        let paused = scene.node.status();
        assert!(paused.held_bytes > 2000 && paused.held_bytes < 3000, "{paused:?}");
        let paused_ns = scene.now_ns() / SECOND * SECOND;
        scene.clock.sleep(Duration::from_secs(20)).await;
        assert_eq!(scene.node.status().pulls, paused.pulls);
        let heard = scene
            .until(&id("pay"), |heard| heard.state("h1", paused_ns).is_some())
            .await;
        assert_eq!(heard.state("h1", paused_ns + 5 * SECOND), Some(HostState::OverBudget));
        assert!(
            heard
                .detail(HostState::OverBudget)
                .expect("it is there")
                .contains("wait")
        );
        // The store has taken all: on it goes, and what was missed is proved.
        let healed = |heard: &Heard| heard.state("h1", paused_ns + 30 * SECOND) == Some(HostState::Ok);
        let heard = scene.until(&id("pay"), healed).await;
        assert_eq!(heard.state("h1", paused_ns + 5 * SECOND), Some(HostState::Ok));
        assert_eq!(scene.node.status().inputs_paused, 0);
        scene.stop().await;
    });
}

#[test]
fn a_shard_that_nobody_collects_leaves_room_to_others() {
    run(async {
        let limits = Limits {
            held_bytes_per_task_max: 2000,
            ..Limits::default()
        };
        let scene = Scene::new(limits).await;
        play("/scripted/a", steady);
        play("/scripted/b", steady);
        scene.install(task("left", "/scripted/a", &[("h1", "a:1")])).await;
        scene.install(task("kept", "/scripted/b", &[("h1", "a:1")])).await;
        let late_ns = START_NS + 60 * SECOND;
        scene
            .until(&id("kept"), |heard| heard.state("h1", late_ns) == Some(HostState::Ok))
            .await;
        assert_eq!(scene.node.status().inputs_paused, 1);
        scene.stop().await;
    });
}

#[test]
fn more_is_fetched_at_once_and_silence_is_waited_out_ever_longer() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        let pulls: Rc<RefCell<Vec<i64>>> = Rc::default();
        let times = Rc::clone(&pulls);
        play("/scripted/a", move |_, now_ns| {
            times.borrow_mut().push((now_ns - START_NS) / 1_000_000);
            let count = times.borrow().len();
            Pulled {
                more: count < 50,
                trouble: (count > 50).then(|| (HostState::Timeout, "silent".to_owned())),
                ..Pulled::default()
            }
        });
        scene.install(task("pay", "/scripted/a", &[("h1", "a:1")])).await;
        scene.clock.sleep(Duration::from_secs(60)).await;
        let times = pulls.borrow().clone();
        assert!(times[49] < 1000, "fifty pulls, one after the other: {times:?}");
        let waits: Vec<i64> = times[51..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits.iter().all(|wait| *wait <= 5100), "{waits:?}");
        assert!(waits[4..].iter().all(|wait| *wait >= 2500), "{waits:?}");
        assert!(scene.node.status().pulls_failed > 5);
        scene.stop().await;
    });
}

#[test]
fn windows_are_read_anew_apart_from_the_stream() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        let request = |hosts: &[(&str, &str)]| RereadRequest {
            id: id("pay"),
            epoch: 1,
            definition: yaml("pay", "/scripted/a"),
            hosts: hosts
                .iter()
                .map(|(host, address)| input(host, address).target)
                .collect(),
            profiles: Vec::new(),
            from_ns: START_NS,
            to_ns: START_NS + 3 * SECOND,
        };
        let hosts: Vec<(String, String)> = (0..20).map(|n| (format!("h{n}"), format!("a{n}:1"))).collect();
        let mut hosts: Vec<(&str, &str)> = hosts.iter().map(|(host, address)| (&**host, &**address)).collect();
        hosts[7].1 = "broken:1";
        let MapAnswer::Reread(reports) = scene.ask(MapRequest::Reread(request(&hosts))).await else {
            panic!("not read anew");
        };
        // In the order asked, and one that fails is alone in it.
        assert_eq!(
            reports.iter().map(|report| &*report.host).collect::<Vec<_>>(),
            hosts.iter().map(|host| host.0).collect::<Vec<_>>()
        );
        for (number, report) in reports.iter().enumerate() {
            let (cells, state) = if number == 7 {
                (0, HostState::Timeout)
            } else {
                (3, HostState::Ok)
            };
            assert_eq!((report.cells.len(), report.verdicts[0].state), (cells, state));
        }
        assert_eq!(scene.node.observe().generation, 0);
        let mut invalid = request(&[("h1", "a:1")]);
        invalid.definition = Definition::Yaml(String::new());
        assert!(matches!(
            scene.ask(MapRequest::Reread(invalid)).await,
            MapAnswer::Invalid(_)
        ));
        scene.stop().await;
    });
}

#[test]
fn repairs_of_a_limited_monitor_take_no_more_than_its_limit_allows() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        // Each host costs 500 ms of CPU, and four are read at a time.
        let hosts = ["h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8"];
        let took_s = async |monitor: &str, limits: &str| {
            let began = scene.clock.monotonic();
            let Definition::Yaml(text) = yaml(monitor, "/scripted/a") else {
                unreachable!("it is written so")
            };
            let request = RereadRequest {
                id: id(monitor),
                epoch: 1,
                definition: Definition::Yaml(text + limits),
                hosts: hosts
                    .iter()
                    .map(|host| input(host, &format!("{host}:1")).target)
                    .collect(),
                profiles: Vec::new(),
                from_ns: START_NS,
                to_ns: START_NS + 3 * SECOND,
            };
            let MapAnswer::Reread(reports) = scene.ask(MapRequest::Reread(request)).await else {
                panic!("not read anew");
            };
            assert!(reports.iter().all(|report| report.cells.len() == 3));
            (scene.clock.monotonic().as_nanos() - began.as_nanos()) / 1_000_000_000
        };
        assert_eq!(took_s("free", "").await, 0);
        let limits = "limits: { cpu: 50ms/s }\n";
        assert_eq!(
            took_s("pay", limits).await,
            40,
            "once what the four before cost is earned"
        );
        // Others are not kept waiting; the same one is, for what it still owes.
        assert_eq!(took_s("other", "limits: { cpu: 500ms/s }\n").await, 4);
        assert_eq!(took_s("pay", limits).await, 36 + 40);
        scene.stop().await;
    });
}

/// A monitor that may take 50 ms/s of CPU.
fn limited(monitor: &str, log: &str) -> ShardTask {
    let mut task = task(monitor, log, &[("h1", "a:1")]);
    let Definition::Yaml(text) = &mut task.definition else {
        unreachable!("it is written so")
    };
    text.push_str("limits: { cpu: 50ms/s }\n");
    task
}

/// As a steady source, but nothing is counted of what is suspended; each monitor costs so many milliseconds a pull.
fn costly(subscriptions: &Subscriptions, now_ns: i64, cost_ms: impl Fn(&TaskId) -> u64) -> Pulled {
    let mut pulled = steady(subscriptions, now_ns);
    for (id, report) in &mut pulled.reports {
        let from_ns = subscriptions[id]
            .suspended
            .last()
            .map(|last| (last.from_ns, last.to_ns));
        if let Some((from_ns, _)) = from_ns.filter(|(from_ns, to_ns)| (*from_ns..*to_ns).contains(&(now_ns - SECOND))) {
            report.cells.retain(|cell| cell.window_ns < from_ns);
            let run = &mut report.verdicts[0];
            run.to_ns = run.to_ns.min(from_ns);
        }
    }
    for id in subscriptions.keys() {
        let used = crate::input::Usage {
            cpu_ns: cost_ms(id) * 1_000_000,
            ..crate::input::Usage::default()
        };
        pulled.usage.insert(id.clone(), used);
    }
    pulled
}

#[test]
fn a_monitor_that_costs_too_much_is_suspended_and_tried_again_and_others_are_not() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        let dear_ms = Rc::new(Shared::new(10));
        let cost_ms = Rc::clone(&dear_ms);
        play("/scripted/a", move |subscriptions, now_ns| {
            let cost = |id: &TaskId| if id.monitor == "dear" { cost_ms.get() } else { 10 };
            costly(subscriptions, now_ns, cost)
        });
        scene.install(limited("dear", "/scripted/a")).await;
        scene.install(limited("cheap", "/scripted/a")).await;
        let begun_ns = START_NS + 10 * SECOND;
        scene
            .until(&id("dear"), |heard| heard.state("h1", begun_ns) == Some(HostState::Ok))
            .await;
        dear_ms.set(80);
        let is_suspended = |heard: &Heard| heard.detail(HostState::OverBudget).is_some();
        let heard = scene.until(&id("dear"), is_suspended).await;
        let why = heard.detail(HostState::OverBudget).expect("it is there");
        assert!(why.starts_with("suspended for its cost: it took 8"), "{why}");
        let run = heard.verdicts["h1"]
            .iter()
            .find(|run| run.state == HostState::OverBudget);
        let run = run.expect("it is there").clone();
        assert_eq!(run.stage, Stage::Settled);
        // What was counted before stays, without a hole.
        let before = heard.verdicts["h1"].iter().filter(|before| before.to_ns <= run.from_ns);
        let before: Vec<&VerdictRun> = before.collect();
        assert!(before.iter().all(|before| before.state == HostState::Ok));
        assert_eq!(before.last().map(|last| last.to_ns), Some(run.from_ns));
        let seen = scene.node.status().monitors;
        assert_eq!(
            (seen[0].monitor.as_str(), seen[0].suspended.as_deref()),
            ("dear", Some(why))
        );
        assert_eq!((seen[1].monitor.as_str(), &seen[1].suspended), ("cheap", &None));
        // Others are counted on; it is not even asked for.
        let later_ns = run.from_ns + 60 * SECOND;
        let others = scene
            .until(&id("cheap"), |heard| heard.state("h1", later_ns) == Some(HostState::Ok))
            .await;
        assert_eq!(others.detail(HostState::OverBudget), None);
        assert_eq!(scene.node.status().inputs_unshared, 1);
        // Its cause has gone: it is counted again, and what was left out stays so.
        dear_ms.set(10);
        scene.clock.sleep(Duration::from_secs(320)).await;
        let healed_ns = run.from_ns + 400 * SECOND;
        let heard = scene
            .until(&id("dear"), |heard| heard.state("h1", healed_ns) == Some(HostState::Ok))
            .await;
        let runs = &heard.verdicts["h1"];
        assert!(runs.windows(2).all(|pair| pair[0].to_ns == pair[1].from_ns), "{runs:?}");
        let left_out = runs
            .iter()
            .find(|run| run.state == HostState::OverBudget)
            .expect("it is kept");
        let seconds = (left_out.to_ns - left_out.from_ns) / SECOND;
        assert!((298..305).contains(&seconds), "{seconds}");
        assert_eq!(scene.node.status().monitors[0].suspended, None);
        scene.stop().await;
    });
}

/// The largest is suspended, and no more than needed: what it still holds while its last windows settle counts no more.
#[test]
fn who_holds_most_of_a_full_map_is_suspended_and_others_are_not() {
    run(async {
        let scene = Scene::new(Limits {
            counting_bytes_max: 1000 << 20,
            ..Limits::default()
        })
        .await;
        play("/scripted/a", |subscriptions, now_ns| {
            costly(subscriptions, now_ns, |_| 1)
        });
        for monitor in ["large", "larger", "small"] {
            scene.install(limited(monitor, "/scripted/a")).await;
        }
        hold("large", 450 << 20);
        hold("larger", 500 << 20);
        hold("small", 40 << 20);
        let full_ns = START_NS + 20 * SECOND;
        scene
            .until(&id("larger"), |heard| heard.state("h1", full_ns) == Some(HostState::Ok))
            .await;
        hold("larger", 600 << 20);
        let is_suspended = |heard: &Heard| heard.detail(HostState::OverBudget).is_some();
        let heard = scene.until(&id("larger"), is_suspended).await;
        assert_eq!(
            heard.detail(HostState::OverBudget),
            Some(
                "suspended for its cost: its open windows hold 600 MiB of the 1090 MiB that all monitors' hold on \
                 this map, which has 1000 for them; it is tried again after 5 min"
            )
        );
        let later_ns = full_ns + 60 * SECOND;
        for monitor in ["large", "small"] {
            let is_later = |heard: &Heard| heard.state("h1", later_ns) == Some(HostState::Ok);
            let heard = scene.until(&id(monitor), is_later).await;
            assert_eq!(heard.detail(HostState::OverBudget), None, "{monitor}");
        }
        scene.stop().await;
    });
}

/// A monitor of a tenant that may take so many milliseconds of CPU a second.
fn of_tenant(monitor: &str, log: &str, tenant: &str, cpu_ms: u64) -> ShardTask {
    ShardTask {
        tenant: Some(Tenant {
            name: tenant.to_owned(),
            cpu_us_per_s: Some(cpu_ms * 1000),
            bytes_per_s: None,
        }),
        ..task(monitor, log, &[("h1", "a:1")])
    }
}

/// From where on a host is left out; what was counted before stays, without a hole.
fn suspended_from(heard: &Heard) -> i64 {
    let runs = &heard.verdicts["h1"];
    let run = runs.iter().find(|run| run.state == HostState::OverBudget);
    let run = run.expect("it is there");
    assert_eq!(run.stage, Stage::Settled);
    let before: Vec<&VerdictRun> = runs.iter().filter(|before| before.to_ns <= run.from_ns).collect();
    assert!(before.iter().all(|before| before.state == HostState::Ok), "{runs:?}");
    assert_eq!(before.last().map(|last| last.to_ns), Some(run.from_ns));
    run.from_ns
}

/// The dearest of a tenant is suspended for all of them, its neighbours and other tenants are counted on without a
/// hole, and a higher limit lets it begin anew at once, as the same version.
#[test]
fn a_tenant_that_costs_too_much_loses_its_dearest_monitor_and_nobody_else_does() {
    run(async {
        let scene = Scene::new(Limits::default()).await;
        let cost = |id: &TaskId| match id.monitor.as_str() {
            "trade_dear" => 320,
            "trade_less" => 240,
            "search" => 400,
            _ => 60,
        };
        play("/scripted/a", move |subscriptions, now_ns| {
            costly(subscriptions, now_ns, cost)
        });
        for (monitor, tenant, cpu_ms) in [
            ("trade_dear", "trade", 500),
            ("trade_less", "trade", 500),
            ("trade_thin", "trade", 500),
            ("search", "search", 500),
        ] {
            scene.install(of_tenant(monitor, "/scripted/a", tenant, cpu_ms)).await;
        }
        let is_suspended = |heard: &Heard| heard.detail(HostState::OverBudget).is_some();
        let heard = scene.until(&id("trade_dear"), is_suspended).await;
        let why = heard.detail(HostState::OverBudget).expect("it is there");
        // It is pulled once more for each that is installed, so that the first period is dearer.
        let begun = "suspended for the cost of its tenant `trade`: its monitors took ";
        let ended = " ms of CPU a second here, its limit is 500.0; it is tried again after 5 min";
        assert!(why.starts_with(begun) && why.ends_with(ended), "{why}");
        let later_ns = suspended_from(&heard) + 120 * SECOND;
        for other in ["trade_less", "trade_thin", "search"] {
            let is_counted = |heard: &Heard| heard.state("h1", later_ns) == Some(HostState::Ok);
            let heard = scene.until(&id(other), is_counted).await;
            assert!(
                heard.verdicts["h1"].iter().all(|run| run.state == HostState::Ok),
                "{other}: {:?}",
                heard.verdicts
            );
        }
        let status = scene.node.status();
        let tenants = status.tenants.iter().map(|seen| (&*seen.tenant, seen.suspended));
        assert_eq!(tenants.collect::<Vec<_>>(), [("trade", 1), ("search", 0)]);
        let seen = &status.monitors[0];
        assert_eq!((&*seen.monitor, seen.suspended.as_deref()), ("trade_dear", Some(why)));
        // A higher limit, told by the shard of another of its monitors.
        let changed_ns = scene.now_ns();
        scene
            .install(of_tenant("trade_thin", "/scripted/a", "trade", 700))
            .await;
        let healed_ns = changed_ns + 10 * SECOND;
        let is_counted = |heard: &Heard| heard.state("h1", healed_ns) == Some(HostState::Ok);
        let heard = scene.until(&id("trade_dear"), is_counted).await;
        let mut runs = heard.verdicts["h1"].iter();
        let left_out = runs.find(|run| run.state == HostState::OverBudget).expect("it is kept");
        assert!(left_out.to_ns <= changed_ns + 4 * SECOND, "{left_out:?} {changed_ns}");
        assert_eq!(scene.node.status().tenants[0].suspended, 0);
        scene.stop().await;
    });
}
