//! The checker passes a faithful run, finds every planted fault by the rule meant for it, and fails what was never tried.

mod faithful;
mod faults;
mod platform;
mod platform_faults;
mod scene;

use std::collections::BTreeSet;

use super::judge;
use super::report::Outcome;
use super::rules::Rule;
use crate::history::{History, Record, Transport};
use faithful::Size;
use faults::FAULTS;
use scene::Scene;

const SIZE: Size = Size { people: 60, courses: 5, steps: 10_000 };

fn faithful(seed: u64) -> History {
    faithful::run(seed, SIZE)
}

#[test]
fn a_faithful_run_passes_with_chances_on_every_rule() {
    for seed in 1..=10 {
        let verdict = judge(&faithful(seed));
        assert!(verdict.passed, "seed {seed}\n{verdict}");
    }
}

#[test]
fn every_planted_fault_is_found_by_the_rule_meant_for_it() {
    let mut missed = Vec::new();
    for seed in 1..=2 {
        let faithful = Scene::new(faithful(seed));
        for fault in FAULTS {
            let mut scene = faithful.again();
            (fault.plant)(&mut scene);
            let verdict = judge(&scene.history);
            let broken = verdict.rules.iter().filter(|line| line.outcome == Outcome::Broken);
            let found: Vec<&str> = broken.map(|line| line.rule.name()).collect();
            println!("{} -> {} (found by: {})", fault.name, fault.rule.name(), found.join(", "));
            if verdict.of(fault.rule).outcome != Outcome::Broken {
                missed.push((fault.name, seed));
            }
        }
    }
    assert!(missed.is_empty(), "missed: {missed:?}");
}

#[test]
fn every_rule_has_a_planted_fault_or_fails_by_silence() {
    let mut covered: BTreeSet<Rule> = FAULTS.iter().map(|fault| fault.rule).collect();
    // A transport that delivered nothing is a missing chance, not a violation.
    covered.insert(Rule::AllTransportsUsed);
    covered.extend(platform_faults::FAULTS.iter().map(|(_, rule, _)| *rule));
    assert_eq!(covered.len(), Rule::ALL.len());
    assert!(FAULTS.len() >= 30);
}

#[test]
fn fault_names_are_unique() {
    let names: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(names.len(), FAULTS.len());
}

#[test]
fn an_empty_history_fails_every_rule() {
    let verdict = judge(&History::default());
    assert!(!verdict.passed);
    assert!(verdict.rules.iter().all(|line| line.outcome == Outcome::NoChance), "{verdict}");
}

/// Takes from the run what gives the rule its chances.
fn strip(rule: Rule, history: &mut History) {
    let records = &mut history.records;
    let people = history.people.len() as u32;
    match rule {
        Rule::RecordsSound => records.clear(),
        Rule::SilentGaps | Rule::AcknowledgedAndLost | Rule::CaughtUpAtTheEnd => {
            records.retain(|record| {
                !matches!(
                    record,
                    Record::Event { .. }
                        | Record::Cursor { .. }
                        | Record::ReplayComplete { .. }
                        | Record::PublishAcked { .. }
                        | Record::MemberAcked { .. }
                )
            });
        }
        Rule::DuplicatesAfterTheCursor => {
            records.retain(|record| !matches!(record, Record::Rewind { .. }));
            for record in records {
                if let Record::Connect { since, .. } = record {
                    *since = None;
                }
            }
        }
        Rule::OutOfOrder | Rule::SeqDense | Rule::RecordedAtNeverBackwards => {
            records.retain(|record| {
                !matches!(record, Record::Event { .. } | Record::PublishAcked { .. } | Record::MemberAcked { .. })
            });
        }
        Rule::DeliveriesAfterRevocation | Rule::GrantBoundary => {
            records.retain(|record| !matches!(record, Record::MemberSent { .. } | Record::MemberAcked { .. }));
        }
        Rule::ForeignDeliveries => {
            history.registered =
                (0..people).flat_map(|person| (people..people + 5).map(move |course| (person, course))).collect();
            records.retain(|record| !matches!(record, Record::PublishSent { channel, .. } | Record::Event { channel, .. } if *channel < people));
            records.retain(|record| {
                !matches!(
                    record,
                    Record::MemberSent { .. }
                        | Record::MemberAcked { .. }
                        | Record::PublishAcked { .. }
                        | Record::PublishRefused { .. }
                )
            });
        }
        Rule::NothingInvented | Rule::OneIdOneContent | Rule::AllTransportsUsed => {
            records.retain(|record| !matches!(record, Record::Event { .. }));
        }
        Rule::IdempotentRepeat => {
            let mut answered = BTreeSet::new();
            records.retain(|record| match record {
                Record::PublishAcked { op, .. } | Record::MemberAcked { op, .. } => answered.insert(*op),
                _ => true,
            });
        }
        Rule::IdsDense => {
            records.retain(|record| {
                !matches!(record, Record::Event { .. } | Record::PublishAcked { .. } | Record::MemberAcked { .. })
            });
        }
        Rule::CursorHonest => records.retain(|record| !matches!(record, Record::Cursor { .. })),
        Rule::ReplayCount => records.retain(|record| !matches!(record, Record::ReplayComplete { .. })),
        Rule::SurvivedKills => records.retain(|record| !matches!(record, Record::Killed { .. } | Record::Restarted { .. })),
        Rule::EpochConstant => records.retain(|record| !matches!(record, Record::Established { .. })),
        Rule::SyncExactlyOnce => records.retain(|record| !matches!(record, Record::RowWritten { committed: true, .. })),
        Rule::SyncNoRolledBack => records.retain(|record| !matches!(record, Record::RowWritten { committed: false, .. })),
        Rule::OwnCadetOnly => {
            records.retain(|record| {
                !matches!(record, Record::Event { .. } | Record::Cursor { .. } | Record::ReplayComplete { .. })
            });
        }
        Rule::NoLostUpdate => records.retain(|record| !matches!(record, Record::SheetRead { .. })),
        Rule::NothingToUnapproved => {
            records.retain(|record| !matches!(record, Record::MemberSent { .. } | Record::MemberAcked { .. }));
        }
    }
}

#[test]
fn a_rule_that_had_no_chance_to_fail_has_failed() {
    for rule in Rule::asked_of(&faithful(1)) {
        let mut history = faithful(1);
        strip(rule, &mut history);
        let verdict = judge(&history);
        assert_eq!(verdict.of(rule).chances, 0, "{} still had chances\n{verdict}", rule.name());
        assert_ne!(verdict.of(rule).outcome, Outcome::Kept);
        assert!(!verdict.passed);
    }
}

#[test]
fn a_rule_of_the_platform_that_had_no_chance_to_fail_has_failed() {
    let ours: BTreeSet<Rule> = platform_faults::FAULTS.iter().map(|(_, rule, _)| *rule).collect();
    assert_eq!(ours.len(), 5);
    for rule in ours {
        let mut history = platform::run(1);
        strip(rule, &mut history);
        let verdict = judge(&history);
        assert_eq!(verdict.of(rule).chances, 0, "{} still had chances\n{verdict}", rule.name());
        assert!(verdict.of(rule).outcome != Outcome::Kept && !verdict.passed);
    }
}

#[test]
fn a_faithful_platform_passes_with_chances_on_every_rule() {
    for seed in 1..=10 {
        let verdict = judge(&platform::run(seed));
        assert!(verdict.passed, "seed {seed}\n{verdict}");
    }
}

#[test]
fn every_fault_planted_in_a_platform_is_found_by_the_rule_meant_for_it() {
    for seed in 1..=3 {
        for (name, rule, plant) in platform_faults::FAULTS {
            let mut history = platform::run(seed);
            plant(&mut history);
            let verdict = judge(&history);
            assert_eq!(verdict.of(Rule::RecordsSound).violations, 0, "{name}, seed {seed}\n{verdict}");
            assert_eq!(verdict.of(*rule).outcome, Outcome::Broken, "{name}, seed {seed}\n{verdict}");
        }
    }
}

#[test]
fn a_transport_that_delivered_nothing_fails_the_run() {
    let mut history = faithful(1);
    for record in &mut history.records {
        if let Record::Connect { transport, .. } = record {
            *transport = if *transport == Transport::Sse { Transport::Ws } else { *transport };
        }
    }
    assert_eq!(judge(&history).of(Rule::AllTransportsUsed).outcome, Outcome::NoChance);
}

#[test]
fn an_operation_without_an_answer_may_or_may_not_have_happened() {
    let mut history = faithful(2);
    let last = history.records.iter().rposition(|record| matches!(record, Record::PublishAcked { .. })).unwrap();
    let Record::PublishAcked { op: unanswered, .. } = history.records[last] else { unreachable!() };
    history.records.retain(|record| !matches!(record, Record::PublishAcked { op, .. } if *op == unanswered));
    let verdict = judge(&history);
    assert!(verdict.passed, "{verdict}");
}

#[test]
fn a_withdrawal_without_an_answer_excuses_what_comes_after_its_sending() {
    let mut history = faithful(2);
    let Record::MemberSent { op: unanswered, .. } =
        *history.records.iter().find(|record| matches!(record, Record::MemberSent { .. })).unwrap()
    else {
        unreachable!()
    };
    history.records.retain(|record| !matches!(record, Record::MemberAcked { op, .. } if *op == unanswered));
    let verdict = judge(&history);
    assert_eq!(verdict.of(Rule::SilentGaps).violations, 0, "{verdict}");
    assert_eq!(verdict.of(Rule::AcknowledgedAndLost).violations, 0, "{verdict}");
}

#[test]
fn the_verdict_prints_a_line_for_each_rule_and_serialises() {
    let mut scene = Scene::new(faithful(1));
    (FAULTS[0].plant)(&mut scene);
    let verdict = judge(&scene.history);
    let table = verdict.to_string();
    assert!(Rule::asked_of(&scene.history).iter().all(|rule| table.contains(rule.name())));
    assert!(table.contains("BROKEN") && table.ends_with("FAILED\n"));
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["passed"], false);
    assert_eq!(json["rules"][2]["rule"], "silent gaps");
    assert_eq!(json["rules"][2]["outcome"], "broken");
    assert!(verdict.rules.iter().all(|line| line.examples.len() <= 5));
}
