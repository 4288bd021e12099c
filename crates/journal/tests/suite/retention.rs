//! Retention: what is pruned is told per channel, and cursors of channels and instants read what is left.

use crate::site::{START_MS, Site, change, channel, event, grant};
use campanile_journal::{Journal, NewEvent, Retention};
use campanile_wire::{Channel, Event, EventId};
use proptest::prelude::{ProptestConfig, Strategy};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, HashSet};

on_both! {
    pruning_by_age_tells_how_far_each_channel_went,
    pruning_by_newest_keeps_so_many_of_each_channel,
    what_changes_a_membership_is_never_pruned,
    pruning_goes_on_in_steps_until_all_is_gone,
    reading_channels_equals_reading_all_and_sifting,
    the_cursor_of_an_instant_stands_before_the_first_event_at_or_after_it,
}

fn of_kind(channel_id: i64, kind: &str) -> NewEvent {
    NewEvent { kind: kind.into(), ..event(channel_id, "x") }
}

async fn pruned(journal: &Journal, channels: &[i64]) -> BTreeMap<String, EventId> {
    let channels: Vec<Channel> = channels.iter().map(|&id| channel(id)).collect();
    journal.read_channels(&channels, &[], 0, u64::MAX, 0).await.unwrap().1.into_iter().collect()
}

fn told(channels: &[(i64, EventId)]) -> BTreeMap<String, EventId> {
    channels.iter().map(|(id, through)| (channel(*id).as_str().to_owned(), *through)).collect()
}

async fn pruning_by_age_tells_how_far_each_channel_went(site: &Site) {
    let journal = site.open().await;
    for (channel, kind) in [(1, "typing"), (2, "grade"), (2, "typing"), (3, "grade"), (1, "typing"), (4, "typing")] {
        journal.publish(vec![of_kind(channel, kind)], None).await.unwrap();
        site.clock.advance_ms(1_000);
    }
    assert_eq!(journal.prune("typing", Retention::Forever).await.unwrap(), 0);
    assert_eq!(journal.prune("typing", Retention::AgeMs(6_000)).await.unwrap(), 0, "event 1 is exactly as old as is kept");
    assert_eq!(pruned(&journal, &[1, 2, 3, 4]).await, told(&[]));
    assert_eq!(journal.prune("typing", Retention::AgeMs(3_500)).await.unwrap(), 2);
    assert_eq!(pruned(&journal, &[1, 2, 3, 4]).await, told(&[(1, 1), (2, 3)]));
    let kept: Vec<EventId> = journal.read(0, u64::MAX, 100).await.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(kept, [2, 4, 5, 6]);
    // Only cursors below it are told, and only channels that were asked for.
    let (_, beyond) = journal.read_channels(&[channel(1), channel(2)], &[], 1, u64::MAX, 100).await.unwrap();
    assert_eq!(beyond, [("course:2".to_owned(), 3)]);
    // Pruning gives no id or seq back.
    let next = journal.publish(vec![of_kind(1, "typing")], None).await.unwrap();
    assert_eq!((next.events[0].id, next.events[0].seq), (7, 3));
}

async fn what_changes_a_membership_is_never_pruned(site: &Site) {
    let journal = site.open().await;
    let change = change(vec![grant(1, 7)]);
    let plain = NewEvent { effects: Vec::new(), ..change.clone() };
    journal.publish(vec![plain.clone(), change.clone(), plain], None).await.unwrap();
    site.clock.advance_ms(1_000);
    assert_eq!(journal.prune(&change.kind, Retention::Newest(0)).await.unwrap(), 2);
    assert_eq!(journal.prune(&change.kind, Retention::AgeMs(1)).await.unwrap(), 0);
    let kept: Vec<EventId> = journal.read(0, u64::MAX, 100).await.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(kept, [2]);
}

async fn pruning_by_newest_keeps_so_many_of_each_channel(site: &Site) {
    let journal = site.open().await;
    for (channel, kind) in [(1, "rank"), (1, "rank"), (2, "rank"), (1, "grade"), (1, "rank"), (2, "rank"), (3, "rank")] {
        journal.publish(vec![of_kind(channel, kind)], None).await.unwrap();
    }
    assert_eq!(journal.prune("rank", Retention::Newest(2)).await.unwrap(), 1);
    assert_eq!(pruned(&journal, &[1, 2, 3]).await, told(&[(1, 1)]));
    assert_eq!(journal.prune("rank", Retention::Newest(1)).await.unwrap(), 2);
    assert_eq!(pruned(&journal, &[1, 2, 3]).await, told(&[(1, 2), (2, 3)]));
    let kept: Vec<EventId> = journal.read(0, u64::MAX, 100).await.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(kept, [4, 5, 6, 7]);
    assert_eq!(journal.prune("rank", Retention::Newest(0)).await.unwrap(), 3);
    assert_eq!(pruned(&journal, &[1, 2, 3]).await, told(&[(1, 5), (2, 6), (3, 7)]));
}

async fn pruning_goes_on_in_steps_until_all_is_gone(site: &Site) {
    let journal = site.open().await;
    let batch = (0..2_500).map(|place| of_kind(place % 3, "typing")).collect();
    journal.publish(batch, None).await.unwrap();
    site.clock.advance_ms(1_000);
    assert_eq!(journal.prune("typing", Retention::AgeMs(500)).await.unwrap(), 2_500);
    assert!(journal.read(0, u64::MAX, 100).await.unwrap().is_empty());
    assert_eq!(pruned(&journal, &[0, 1, 2]).await, told(&[(0, 2_500), (1, 2_498), (2, 2_499)]));
    assert_eq!(journal.head().await.unwrap().id, 2_500);
}

async fn reading_channels_equals_reading_all_and_sifting(site: &Site) {
    let journal = site.open().await;
    let batch =
        (0..1_000).map(|place: i64| of_kind(place * place % 331, if place % 4 == 0 { "typing" } else { "grade" })).collect();
    journal.publish(batch, None).await.unwrap();
    journal.prune("typing", Retention::Newest(1)).await.unwrap();
    let all = journal.read(0, u64::MAX, u64::MAX).await.unwrap();
    let sql = "SELECT channel, pruned_through FROM channel_head WHERE pruned_through > 0";
    let mut pruned_of_all: Vec<(String, EventId)> =
        site.rows(sql).await.into_iter().map(|(channel, through)| (channel, through as u64)).collect();
    pruned_of_all.sort_unstable();
    for count in [0, 1, 5, 300] {
        let channels: Vec<Channel> = (0..count).map(channel).collect();
        let wanted: HashSet<&str> = channels.iter().map(Channel::as_str).collect();
        for (after, upto, limit) in [(0, u64::MAX, u64::MAX), (300, 700, u64::MAX), (0, u64::MAX, 7), (999, 1_000, 5)] {
            let (mut found, mut pruned) = journal.read_channels(&channels, &[], after, upto, limit).await.unwrap();
            let page_is_full = found.len() as u64 == limit;
            found.retain(|event| wanted.contains(event.channel.as_str()));
            let sifted = all.iter().filter(|event| event.id > after && event.id <= upto);
            let mut expected: Vec<Event> = sifted.filter(|event| wanted.contains(event.channel.as_str())).cloned().collect();
            if page_is_full {
                // A page that came with other channels' events may hold fewer of ours, never others than the first.
                expected.truncate(found.len());
            }
            assert_eq!(found, expected, "{count} channels after {after} up to {upto}");
            pruned.sort_unstable();
            let told = pruned_of_all.iter().filter(|(name, through)| *through > after && wanted.contains(name.as_str()));
            assert_eq!(pruned, told.cloned().collect::<Vec<_>>(), "{count} channels after {after}");
        }
    }
}

/// Against a linear scan, on random logs from which random events were pruned.
async fn the_cursor_of_an_instant_stands_before_the_first_event_at_or_after_it(site: &Site) {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let journal = site.open().await;
    let steps = proptest::collection::vec((-3_i64..6, 0_usize..3), 1..12);
    let kinds = ["grade", "typing", "rank"];
    for round in 0..12 {
        for (by_ms, kind) in steps.new_tree(&mut runner).unwrap().current() {
            site.clock.advance_ms(by_ms);
            journal.publish(vec![of_kind(1, kinds[kind])], None).await.unwrap();
        }
        if round % 3 == 2 {
            journal.prune("typing", Retention::AgeMs(round)).await.unwrap();
            journal.prune("rank", Retention::Newest(2)).await.unwrap();
        }
        check_cursors(&journal).await;
    }
    journal.prune("grade", Retention::Newest(0)).await.unwrap();
    journal.prune("typing", Retention::Newest(0)).await.unwrap();
    check_cursors(&journal).await;
    journal.prune("rank", Retention::Newest(0)).await.unwrap();
    check_cursors(&journal).await;
}

async fn check_cursors(journal: &Journal) {
    let head = journal.head().await.unwrap();
    let events = journal.read(0, u64::MAX, u64::MAX).await.unwrap();
    for instant_ms in START_MS - 60..=head.recorded_at_ms + 2 {
        let cursor = journal.cursor_at(instant_ms).await.unwrap();
        for event in &events {
            let due = event.recorded_at_ms >= instant_ms;
            assert_eq!(
                event.id > cursor,
                due,
                "cursor {cursor} of {instant_ms}: event {} at {}",
                event.id,
                event.recorded_at_ms
            );
        }
        if head.recorded_at_ms < instant_ms {
            assert_eq!(cursor, head.id, "after the newest event the cursor is the head");
        }
    }
}
