//! What Maps have learned goes to the Brain until it is heard, and with every installation back to a Map.

use super::*;
use crate::testing::profile;
use map::protocol::KeptProfile;

/// What is told after a Brain has heard of a ticket: the ticket, and versions by host and generation.
async fn news(stage: &Scene, heard: u64) -> (u64, Vec<(String, u64, u32)>) {
    match stage.ask(ReduceRequest::Status { heard }).await {
        ReduceAnswer::Status(status) => {
            let learned = status.news.learned.iter();
            let told = learned.map(|one| (one.host.clone(), one.profile.generation, one.profile.version));
            (status.news.ticket, told.collect())
        }
        other => panic!("{other:?}"),
    }
}

fn learned(host: &str, profile: KeptProfile) -> HostReport {
    HostReport {
        profiles: vec![profile],
        ..report(host, Vec::new(), Vec::new())
    }
}

fn given(task: &ShardTask) -> Vec<(&str, Vec<u64>)> {
    let inputs = task.inputs.iter();
    inputs
        .map(|input| {
            let generations = input.profiles.iter().map(|one| one.generation).collect();
            (input.target.host.as_str(), generations)
        })
        .collect()
}

#[test]
fn what_a_map_learned_is_told_until_it_is_heard() {
    play(async |stage| {
        stage.install(task(1, &["a", "b"])).await;
        let is_installed = async |stage: &Scene| stage.map.state().tasks.len() == 1;
        stage.until("it is installed", is_installed).await;
        stage.map.say(learned("a", profile(1, 100)));
        stage.map.say(learned("b", profile(2, 100)));
        let both = [("a".to_owned(), 1, 100), ("b".to_owned(), 2, 100)];
        stage
            .until("both are told", async |stage| news(stage, 0).await.1 == both)
            .await;
        let (ticket, again) = news(&stage, 0).await;
        assert_eq!(again, both, "it may not have been heard");
        assert_eq!(news(&stage, ticket).await.1, []);
        // What is known already is no news, what the file taught since is.
        stage.map.say(learned("a", profile(1, 100)));
        stage.map.say(learned("a", profile(1, 400)));
        let newer = [("a".to_owned(), 1, 400)];
        stage
            .until("the newer is told", async |stage| news(stage, ticket).await.1 == newer)
            .await;
    });
}

#[test]
fn every_installation_gives_what_is_known() {
    play(async |stage| {
        let mut task = task(1, &["a", "b"]);
        task.profiles = vec![
            ("a".to_owned(), vec![profile(1, 100)]),
            ("unknown".to_owned(), vec![profile(1, 100)]),
        ];
        stage.install(task.clone()).await;
        let is_installed = async |stage: &Scene| stage.map.state().tasks.len() == 1;
        stage.until("it is installed", is_installed).await;
        assert_eq!(given(&stage.map.state().installs[0]), [("a", vec![1]), ("b", vec![])]);
        stage.map.say(learned("b", profile(5, 100)));
        stage
            .until("it is told", async |stage| news(stage, 0).await.1.len() == 1)
            .await;
        stage.map.forget();
        let is_anew = async |stage: &Scene| stage.map.state().installs.len() == 2;
        stage.until("it is installed anew", is_anew).await;
        assert_eq!(given(&stage.map.state().installs[1]), [("a", vec![1]), ("b", vec![5])]);
        // A Brain that forgot all is told all.
        let (ticket, _) = news(&stage, 0).await;
        assert_eq!(news(&stage, ticket).await.1, []);
        task.profiles.clear();
        stage.install(task).await;
        let all = [("a".to_owned(), 1, 100), ("b".to_owned(), 5, 100)];
        assert_eq!(news(&stage, ticket).await.1, all);
    });
}

#[test]
fn a_reading_apart_uses_and_teaches_what_is_known() {
    play(async |stage| {
        let mut task = task(1, &["a"]);
        task.profiles = vec![("a".to_owned(), vec![profile(1, 100)])];
        stage.map.state().reread_answer = vec![learned("a", profile(3, 100))];
        stage.install(task).await;
        stage.until_s(3).await;
        stage.map.say(say("a", 0, 0, Timeout, Provisional));
        stage.until_window(0, WindowState::Provisional, &[Timeout], 0).await;
        let repair = ReduceRequest::Repair {
            monitor: "pay".to_owned(),
            version: 7,
            epoch: 1,
            windows: vec![ns(0)],
        };
        assert_eq!(stage.ask(repair).await, ReduceAnswer::Done);
        let told = [("a".to_owned(), 3, 100)];
        stage
            .until("it is told", async |stage| news(stage, 0).await.1 == told)
            .await;
        let asked = stage.map.state().rereads[0].profiles.clone();
        assert_eq!(asked, [("a".to_owned(), vec![profile(1, 100)])]);
    });
}
