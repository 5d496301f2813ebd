//! The group limit of a window (M6): whatever the order and the sharding, the same groups are kept and totals right.

use map::groups::{Groups, encode_column};
use map::state::{State, StateKind};
use mutant::{Mutant, plant};
use proptest::prelude::*;
use std::sync::Arc;

/// Counts keys into groups of which `limit` are kept.
fn count(keys: &[u16], limit: usize) -> Groups {
    let mut groups = Groups::new(Arc::new([StateKind::Count]), limit);
    for key in keys {
        let mut bytes = Vec::new();
        encode_column(&mut bytes, Some(key.to_string().as_bytes()));
        let place = groups.enter(&bytes, 1);
        if let State::Count(count) = &mut groups.states_mut(place)[0] {
            *count += 1;
        }
    }
    groups
}

fn total(groups: &Groups) -> u64 {
    let of = |states: &[State]| if let [State::Count(count)] = states { *count } else { 0 };
    let folded = groups.folded().map_or(0, |folded| of(&folded.states));
    groups.iter().map(|(_, states)| of(states)).sum::<u64>() + folded
}

/// Splits keys into shards, counts each, and merges them from the last to the first.
fn sharded(keys: &[u16], shards: usize, limit: usize) -> Groups {
    let mut merged = Groups::new(Arc::new([StateKind::Count]), limit);
    for shard in (0..shards).rev() {
        let part: Vec<u16> = keys.iter().skip(shard).step_by(shards).copied().collect();
        merged.merge(&count(&part, limit));
    }
    merged
}

#[test]
fn a_kept_group_is_whole() {
    let keys: Vec<u16> = (0..50).cycle().take(1000).collect();
    let groups = count(&keys, 7);
    assert_eq!(groups.len(), 7);
    for (group, states) in groups.iter() {
        assert_eq!((group.records, states), (20, &[State::Count(20)][..]));
    }
    assert_eq!(groups.folded().map(|folded| folded.records), Some(860));
}

#[test]
fn first_come_groups_are_caught() {
    let keys: Vec<u16> = (0..40).collect();
    let reversed: Vec<u16> = keys.iter().rev().copied().collect();
    assert!(count(&keys, 5) == count(&reversed, 5));
    plant(Some(Mutant::FirstComeGroups));
    let differ = count(&keys, 5) != count(&reversed, 5);
    plant(None);
    assert!(differ);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_sharding_do_not_show(
        keys in prop::collection::vec(0u16..60, 0..300),
        shards in 1usize..6,
        limit in 1usize..20,
    ) {
        let groups = count(&keys, limit);
        let reversed: Vec<u16> = keys.iter().rev().copied().collect();
        prop_assert!(groups == count(&reversed, limit));
        prop_assert!(groups == sharded(&keys, shards, limit));
        prop_assert_eq!(total(&groups), keys.len() as u64);
    }
}
