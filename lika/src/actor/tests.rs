//! Supervision, case by case, in paused time: what a test waits for comes when it can, and at once.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;

use super::*;
use crate::seam::{Clock, Randomness, WallNs};

const PATIENCE: Duration = Duration::from_secs(60);

type Journal = Rc<RefCell<Vec<String>>>;

/// An actor that does as it is told.
struct Puppet {
    name: &'static str,
    journal: Journal,
    sum: u64,
    children: Vec<(&'static str, RestartLimit)>,
    child_mailboxes: Vec<Mailbox<Puppet>>,
    downs: Vec<Down>,
}

enum Play {
    Add(u64),
    Panic,
    Fail,
    Finish,
    Wait(Arc<Notify>),
    Forever,
    Slowly { steps: u32, each: Duration },
    Fence(oneshot::Sender<Fence>),
    PipeAdd(Arc<Notify>, u64),
    PipePanic,
    AddLater(Duration, u64),
    Watch(Mailbox<Puppet>),
    Child(usize, oneshot::Sender<Mailbox<Puppet>>),
}

impl Message for Play {
    type Reply = u64;
}

impl Puppet {
    fn new(name: &'static str, journal: &Journal) -> Puppet {
        let journal = Rc::clone(journal);
        Puppet {
            name,
            journal,
            sum: 0,
            children: Vec::new(),
            child_mailboxes: Vec::new(),
            downs: Vec::new(),
        }
    }

    fn note(&self, what: &str) {
        self.journal.borrow_mut().push(format!("{} {what}", self.name));
    }
}

impl Actor for Puppet {
    type State = (u64, usize);

    fn observe(&self) -> (u64, usize) {
        (self.sum, self.downs.len())
    }

    async fn started(&mut self, context: &mut Context<Puppet>) -> Result<(), Failure> {
        self.note("started");
        for &(name, restart_limit) in &self.children {
            let journal = Rc::clone(&self.journal);
            let options = Options {
                restart_limit,
                ..Options::named(name)
            };
            self.child_mailboxes
                .push(context.spawn_child(options, move || Puppet::new(name, &journal)));
        }
        Ok(())
    }

    async fn stopping(&mut self, _context: &mut Context<Puppet>) {
        self.note("stopping");
    }

    async fn down(&mut self, down: Down, _context: &mut Context<Puppet>) -> Result<(), Failure> {
        self.note(&format!("heard that {} {}", down.path, down.exit));
        self.downs.push(down);
        Ok(())
    }
}

impl Handler<Play> for Puppet {
    async fn handle(&mut self, play: Play, context: &mut Context<Puppet>) -> Result<u64, Failure> {
        match play {
            Play::Add(amount) => self.sum += amount,
            Play::Panic => panic!("told to"),
            Play::Fail => return Err(Failure("told to".to_owned())),
            Play::Finish => context.finish(),
            Play::Wait(until) => until.notified().await,
            Play::Forever => std::future::pending().await,
            Play::Slowly { steps, each } => {
                for _ in 0..steps {
                    context.clock().sleep(each).await;
                    context.progress();
                }
            }
            Play::Fence(sender) => drop(sender.send(context.fence())),
            Play::PipeAdd(when, amount) => {
                context.pipe(async move { when.notified().await }, move |()| Play::Add(amount))
            }
            Play::PipePanic => context.pipe(async { panic!("in the pipe") }, |()| Play::Add(1)),
            Play::AddLater(delay, amount) => context.send_later(delay, Play::Add(amount)),
            Play::Watch(other) => context.watch(&other),
            Play::Child(index, sender) => drop(sender.send(self.child_mailboxes[index].clone())),
        }
        Ok(self.sum)
    }
}

fn play(test: impl AsyncFnOnce(Root, Journal)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let local = LocalSet::new();
    let root = Root::new(Clock::simulated(WallNs(0)), Randomness::seeded(1));
    // A test that waits for what never comes ends here, since paused time jumps to the only timer left.
    let clock = Clock::simulated(WallNs(0));
    let outcome = local.block_on(
        &runtime,
        clock.timeout(Duration::from_secs(1_000), test(root, Journal::default())),
    );
    assert!(outcome.is_ok(), "the test waited for something that never came");
}

fn spawn(root: &Root, journal: &Journal, change: impl FnOnce(&mut Options)) -> Mailbox<Puppet> {
    let mut options = Options::named("puppet");
    change(&mut options);
    let journal = Rc::clone(journal);
    root.spawn(options, move || Puppet::new("puppet", &journal))
}

/// Lets all others go on; in paused time, one that waits for what never comes gets to the end of [`play`]'s patience.
async fn tick() {
    Clock::simulated(WallNs(0)).sleep(Duration::from_millis(1)).await;
}

async fn until_busy(puppet: &Mailbox<Puppet>) {
    while puppet.observe().life != LifeState::Busy {
        tick().await;
    }
}

fn lost() -> Result<u64, AskError> {
    Err(AskError::Lost {
        path: "puppet".to_owned(),
    })
}

#[test]
fn messages_are_handled_in_order_and_answered() {
    play(async |root, journal| {
        let puppet = spawn(&root, &journal, |_| ());
        assert_eq!(puppet.state(), None);
        puppet.tell(Play::Add(1)).unwrap();
        puppet.tell_when_room(Play::Add(2)).await.unwrap();
        assert_eq!(puppet.ask(Play::Add(4), PATIENCE).await, Ok(7));
        assert_eq!(puppet.state(), Some((7, 0)));
        let seen = puppet.observe();
        assert_eq!(
            (seen.handled, seen.rejected, seen.generation, seen.waiting),
            (3, 0, 0, 0)
        );
        assert_eq!((seen.life, seen.state.as_str()), (LifeState::Idle, "(7, 0)"));
    });
}

#[test]
fn a_full_mailbox_rejects_or_makes_wait_and_counts() {
    play(async |root, journal| {
        let puppet = spawn(&root, &journal, |options| options.mailbox_capacity = 2);
        let gate = Arc::new(Notify::new());
        puppet.tell(Play::Wait(Arc::clone(&gate))).unwrap();
        // Once the gatekeeper is in its handler, exactly two more fit, from whichever clone of the address.
        until_busy(&puppet).await;
        puppet.tell(Play::Add(1)).unwrap();
        puppet.clone().tell(Play::Add(2)).unwrap();
        let rejected = puppet.clone().tell(Play::Add(4)).unwrap_err();
        assert_eq!(rejected.reason, RejectReason::Full);
        assert!(matches!(rejected.message, Play::Add(4)));
        assert_eq!((puppet.observe().rejected, puppet.observe().waiting), (1, 2));
        let timed_out = puppet.ask(Play::Add(8), Duration::from_secs(1)).await;
        assert_eq!(
            timed_out,
            Err(AskError::TimedOut {
                path: "puppet".to_owned(),
                patience: Duration::from_secs(1)
            })
        );
        let waiting = tokio::task::spawn_local({
            let puppet = puppet.clone();
            async move { puppet.ask(Play::Add(16), PATIENCE).await }
        });
        tick().await;
        gate.notify_one();
        assert_eq!(waiting.await.unwrap(), Ok(19));
    });
}

#[test]
fn a_withdrawn_question_is_not_handled() {
    play(async |root, journal| {
        let puppet = spawn(&root, &journal, |_| ());
        let gate = Arc::new(Notify::new());
        puppet.tell(Play::Wait(Arc::clone(&gate))).unwrap();
        assert!(puppet.ask(Play::Add(1), Duration::from_millis(10)).await.is_err());
        gate.notify_one();
        assert_eq!(puppet.ask(Play::Add(2), PATIENCE).await, Ok(2));
    });
}

/// The first message ends a generation; the ones behind it are for the next, behind the same address.
#[track_caller]
fn check_survived(fatal: impl Fn() -> Play + 'static) {
    play(async move |root, journal| {
        let puppet = spawn(&root, &journal, |_| ());
        assert_eq!(puppet.ask(Play::Add(5), PATIENCE).await, Ok(5));
        let began = root.observe()[0].generation;
        let (asked, behind) = (puppet.ask(fatal(), PATIENCE), puppet.ask(Play::Add(1), PATIENCE));
        let (asked, behind) = tokio::join!(asked, behind);
        assert_eq!(
            (asked, behind),
            (lost(), Ok(1)),
            "the state is rebuilt and the queue is kept"
        );
        let seen = puppet.observe();
        assert_eq!((began, seen.generation, seen.handled >= 2), (0, 1, true));
        assert_eq!(*journal.borrow(), ["puppet started", "puppet started"]);
    });
}

#[test]
fn a_panic_is_survived() {
    check_survived(|| Play::Panic);
}

#[test]
fn a_failure_is_survived() {
    check_survived(|| Play::Fail);
}

#[test]
fn a_handler_that_hangs_is_survived() {
    check_survived(|| Play::Forever);
}

#[test]
fn a_panic_in_a_piped_future_is_the_actors() {
    play(async |root, journal| {
        let puppet = spawn(&root, &journal, |_| ());
        assert_eq!(puppet.ask(Play::PipePanic, PATIENCE).await, Ok(0));
        while puppet.observe().generation == 0 {
            tick().await;
        }
        assert_eq!(puppet.ask(Play::Add(1), PATIENCE).await, Ok(1));
    });
}

#[test]
fn restarts_wait_and_are_limited_then_escalate() {
    play(async |mut root, journal| {
        let puppet = spawn(&root, &journal, |_| ());
        let clock = Clock::simulated(WallNs(0));
        let mut waits = Vec::new();
        for _ in 0..5 {
            let began = clock.monotonic();
            assert_eq!(puppet.ask(Play::Panic, PATIENCE).await, lost());
            assert_eq!(puppet.ask(Play::Add(0), PATIENCE).await, Ok(0));
            waits.push(clock.monotonic().since(began));
        }
        for (failures, wait) in waits.iter().enumerate() {
            let whole = Duration::from_millis(100 << failures);
            assert!(
                *wait >= whole / 2 && *wait <= whole + Duration::from_millis(2),
                "{failures}: {wait:?}"
            );
        }
        assert!(matches!(
            puppet.ask(Play::Panic, PATIENCE).await,
            Err(AskError::Lost { .. } | AskError::Down { .. })
        ));
        let exit = Exit::TooManyRestarts(Box::new(Exit::Panicked("told to".to_owned())));
        let escalation = root.escalated().await;
        assert_eq!(
            escalation,
            Escalation {
                path: "puppet".to_owned(),
                exit: exit.clone()
            }
        );
        assert_eq!(puppet.watch().await.exit, exit);
        assert_eq!(puppet.observe().life, LifeState::Ended(exit.clone()));
        tick().await;
        assert_eq!(puppet.observe().busy_for, Duration::ZERO);
        assert_eq!(puppet.tell(Play::Add(1)).unwrap_err().reason, RejectReason::Down);
        let asked = puppet.ask(Play::Add(1), PATIENCE).await;
        assert_eq!(
            asked,
            Err(AskError::Down {
                path: "puppet".to_owned(),
                exit: Some(exit)
            })
        );
    });
}

fn family(root: &Root, journal: &Journal) -> Mailbox<Puppet> {
    let journal = Rc::clone(journal);
    root.spawn(Options::named("parent"), move || {
        let mut parent = Puppet::new("parent", &journal);
        let never = RestartLimit {
            restarts: 0,
            ..RestartLimit::default()
        };
        parent.children = vec![("first", RestartLimit::default()), ("second", never), ("third", never)];
        parent
    })
}

async fn child(parent: &Mailbox<Puppet>, index: usize) -> Mailbox<Puppet> {
    let (sender, receiver) = oneshot::channel();
    parent.ask(Play::Child(index, sender), PATIENCE).await.unwrap();
    receiver.await.unwrap()
}

#[test]
fn a_child_that_escalates_fails_its_parent_which_stops_the_others_in_reverse() {
    play(async |root, journal| {
        let parent = family(&root, &journal);
        let (first, second, third) = (
            child(&parent, 0).await,
            child(&parent, 1).await,
            child(&parent, 2).await,
        );
        for mailbox in [&first, &third] {
            mailbox.ask(Play::Add(1), PATIENCE).await.unwrap();
        }
        assert_eq!(root.observe()[0].children.len(), 3);
        second.tell(Play::Panic).unwrap();
        assert_eq!(first.watch().await.exit, Exit::Stopped);
        assert_eq!(second.watch().await.path, "parent/second");
        while parent.observe().generation == 0 {
            tick().await;
        }
        let replaced = child(&parent, 0).await;
        assert_eq!(replaced.ask(Play::Add(1), PATIENCE).await, Ok(1));
        let expected = ["third stopping", "first stopping", "parent started"];
        assert_eq!(journal.borrow()[4..7], expected);
        assert_eq!(parent.observe().generation, 1);
    });
}

#[test]
fn an_orderly_stop_goes_in_reverse_order_of_the_start() {
    play(async |root, journal| {
        let parent = family(&root, &journal);
        for index in 0..3 {
            child(&parent, index).await.ask(Play::Add(1), PATIENCE).await.unwrap();
        }
        let last = spawn(&root, &journal, |_| ());
        last.ask(Play::Add(1), PATIENCE).await.unwrap();
        journal.borrow_mut().clear();
        root.stop().await;
        let expected = [
            "puppet stopping",
            "third stopping",
            "second stopping",
            "first stopping",
            "parent stopping",
        ];
        assert_eq!(*journal.borrow(), expected);
        assert_eq!((parent.watch().await.exit, root.observe().len()), (Exit::Stopped, 0));
    });
}

#[test]
fn a_stop_waits_for_the_handler_but_not_for_ever() {
    play(async |root, journal| {
        let puppet = spawn(&root, &journal, |_| ());
        let slow = puppet.ask(
            Play::Slowly {
                steps: 1,
                each: Duration::from_secs(5),
            },
            PATIENCE,
        );
        let stop = async |mailbox: &Mailbox<Puppet>| {
            until_busy(mailbox).await;
            mailbox.stop().await
        };
        let (answer, down) = tokio::join!(slow, stop(&puppet));
        assert_eq!((answer, down.exit), (Ok(0), Exit::Stopped));
        let stuck = spawn(&root, &journal, |_| ());
        let (answer, down) = tokio::join!(stuck.ask(Play::Forever, PATIENCE), stop(&stuck));
        assert_eq!((answer, down.exit), (lost(), Exit::Killed));
        assert_eq!(
            *journal.borrow(),
            ["puppet started", "puppet stopping", "puppet started"]
        );
    });
}

#[test]
fn an_actor_that_finishes_is_gone_without_restart() {
    play(async |root, journal| {
        let puppet = spawn(&root, &journal, |_| ());
        assert_eq!(puppet.ask(Play::Finish, PATIENCE).await, Ok(0));
        assert_eq!(puppet.watch().await.exit, Exit::Finished);
        assert_eq!(*journal.borrow(), ["puppet started"]);
    });
}

#[test]
fn a_watcher_hears_exactly_once_also_of_the_dead() {
    play(async |root, journal| {
        let watcher = spawn(&root, &journal, |_| ());
        let (alive, dead) = (spawn(&root, &journal, |_| ()), spawn(&root, &journal, |_| ()));
        assert_eq!(dead.stop().await.exit, Exit::Stopped);
        for other in [&alive, &dead, &alive, &dead] {
            watcher.ask(Play::Watch(other.clone()), PATIENCE).await.unwrap();
        }
        while watcher.state() != Some((0, 1)) {
            tick().await;
        }
        alive.stop().await;
        while watcher.state() != Some((0, 2)) {
            tick().await;
        }
        watcher
            .ask(
                Play::Slowly {
                    steps: 9,
                    each: Duration::from_secs(1),
                },
                PATIENCE,
            )
            .await
            .unwrap();
        assert_eq!(watcher.state(), Some((0, 2)));
        assert_eq!(alive.watch().await, alive.watch().await);
    });
}

#[test]
fn progress_keeps_a_long_handler_alive() {
    play(async |root, journal| {
        let puppet = spawn(&root, &journal, |options| {
            options.progress_deadline = Duration::from_secs(10)
        });
        let long = Play::Slowly {
            steps: 20,
            each: Duration::from_secs(9),
        };
        assert_eq!(puppet.ask(long, Duration::from_secs(600)).await, Ok(0));
        let hung = Play::Slowly {
            steps: 1,
            each: Duration::from_secs(11),
        };
        assert_eq!(puppet.ask(hung, Duration::from_secs(600)).await, lost());
    });
}

#[test]
fn late_effects_of_a_replaced_generation_are_refused() {
    play(async |root, journal| {
        let puppet = spawn(&root, &journal, |_| ());
        let (sender, receiver) = oneshot::channel();
        puppet.ask(Play::Fence(sender), PATIENCE).await.unwrap();
        let fence = receiver.await.unwrap();
        let late = Arc::new(Notify::new());
        puppet
            .ask(Play::PipeAdd(Arc::clone(&late), 100), PATIENCE)
            .await
            .unwrap();
        puppet
            .ask(Play::AddLater(Duration::from_secs(40), 1000), PATIENCE)
            .await
            .unwrap();
        let effects = AtomicUsize::new(0);
        assert_eq!(fence.admit(|| effects.fetch_add(1, Ordering::Relaxed)), Ok(0));
        puppet.tell_fenced(Play::Add(1), &fence).await.unwrap();
        assert_eq!(puppet.ask(Play::Add(0), PATIENCE).await, Ok(1));
        // One that hangs, and behind it a message of the generation that will be gone when its turn comes.
        let hung = puppet.ask(Play::Forever, PATIENCE);
        let (hung, queued) = tokio::join!(hung, puppet.tell_fenced(Play::Add(10), &fence));
        assert!(hung == lost() && queued.is_ok());
        assert_eq!(fence.admit(|| effects.fetch_add(1, Ordering::Relaxed)), Err(Fenced));
        assert_eq!(
            puppet.tell_fenced(Play::Add(7), &fence).await.unwrap_err().reason,
            RejectReason::Fenced
        );
        late.notify_one();
        let wait = Play::Slowly {
            steps: 6,
            each: Duration::from_secs(10),
        };
        assert_eq!(
            puppet.ask(wait, PATIENCE * 2).await,
            Ok(0),
            "nothing of the old generation may arrive"
        );
        assert_eq!((effects.load(Ordering::Relaxed), puppet.observe().fenced), (1, 3));
        puppet
            .ask(Play::AddLater(Duration::from_secs(4), 1000), PATIENCE)
            .await
            .unwrap();
        while puppet.state() != Some((1000, 0)) {
            puppet
                .ask(
                    Play::Slowly {
                        steps: 1,
                        each: Duration::from_secs(1),
                    },
                    PATIENCE,
                )
                .await
                .unwrap();
        }
    });
}

#[test]
fn watchers_hear_also_when_the_whole_thread_of_actors_goes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = LocalSet::new();
    let (root, journal) = (Root::new(Clock::system(), Randomness::seeded(1)), Journal::default());
    let puppet = local.block_on(&runtime, async {
        let puppet = spawn(&root, &journal, |_| ());
        puppet.ask(Play::Add(1), PATIENCE).await.unwrap();
        puppet
    });
    drop(local);
    assert_eq!(runtime.block_on(puppet.watch()).exit, Exit::Killed);
    assert_eq!(puppet.tell(Play::Add(1)).unwrap_err().reason, RejectReason::Down);
}

#[test]
fn mailboxes_work_from_other_threads() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = LocalSet::new();
    let (root, journal) = (Root::new(Clock::system(), Randomness::seeded(1)), Journal::default());
    local.block_on(&runtime, async {
        let puppet = spawn(&root, &journal, |options| options.mailbox_capacity = 4);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let puppet = puppet.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        for _ in 0..500 {
                            puppet.tell_when_room(Play::Add(1)).await.unwrap();
                        }
                    });
                })
            })
            .collect();
        while puppet.state().is_none_or(|state| state.0 < 2000) {
            tick().await;
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(puppet.ask(Play::Add(0), PATIENCE).await, Ok(2000));
    });
}
