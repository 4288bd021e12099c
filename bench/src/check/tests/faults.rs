//! The faults that the checker must find, each with the rule that must find it.

use super::faithful::STEADY;
use super::scene::{Published, Scene, at_us, set};
use crate::check::rules::Rule;
use crate::history::{Change, Record, Transport};

/// One way to break a promise.
pub struct Fault {
    pub name: &'static str,
    pub rule: Rule,
    pub plant: fn(&mut Scene),
}

const fn fault(name: &'static str, rule: Rule, plant: fn(&mut Scene)) -> Fault {
    Fault { name, rule, plant }
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    fault("one live delivery is dropped", Rule::SilentGaps, |scene| {
        let lost = scene.middle();
        scene.remove(&[lost.index]);
    }),
    fault("the last event of a replay is dropped and not counted", Rule::SilentGaps, |scene| {
        let (complete, last) = replays(scene).find(|(_, last)| *last > 0).unwrap();
        let Record::ReplayComplete { count: counted, .. } = scene.history.records[complete] else { unreachable!() };
        set!(&mut scene.history.records[complete], ReplayComplete { count = counted - 1 });
        scene.remove(&[last]);
    }),
    fault("a rewind is answered with nothing from before", Rule::SilentGaps, unanswered_rewind),
    fault("a person is not told of their own registration", Rule::SilentGaps, |scene| {
        let told = |id: u64| scene.deliveries.iter().find(|delivery| delivery.id == id && !scene.on(delivery.conn).rewound);
        let lost = scene.changes.iter().filter_map(|changed| told(changed.id));
        let followed = |index, conn| {
            scene.neighbour(index, conn, 1).is_some_and(|next| matches!(scene.history.records[next], Record::Event { .. }))
        };
        let lost = lost.filter(|lost| followed(lost.index, lost.conn)).map(|lost| lost.index).next().unwrap();
        scene.remove(&[lost]);
    }),
    fault("a gap is told too small", Rule::SilentGaps, |scene| {
        for record in &mut scene.history.records {
            if let Record::Gap { from, to, .. } = record {
                *to = *from + 1;
            }
        }
    }),
    fault("a gap is not told", Rule::SilentGaps, |scene| {
        scene.history.records.retain(|record| !matches!(record, Record::Gap { .. }));
    }),
    fault("an acknowledged event reaches a person on no connection", Rule::AcknowledgedAndLost, |scene| {
        let lost = scene.middle();
        scene.unsee(lost.id, |person| person == lost.person);
    }),
    fault("a slow reader loses a burst", Rule::AcknowledgedAndLost, |scene| {
        let mut lost = scene.middles.clone();
        lost.retain(|delivery| delivery.person == 3);
        let conn = lost[0].conn;
        let burst: Vec<usize> =
            lost.iter().filter(|delivery| delivery.conn == conn).take(3).map(|delivery| delivery.index).collect();
        scene.remove(&burst);
    }),
    fault("an event is lost as a client changes its transport", Rule::AcknowledgedAndLost, |scene| {
        let changed = |scene: &Scene, conn| {
            let opened = scene.on(conn);
            let before = scene.opened.iter().rfind(|before| before.person == opened.person && before.conn < conn);
            before.is_some_and(|before| before.transport != opened.transport)
        };
        let lost = scene.middles.iter().copied().find(|lost| changed(scene, lost.conn)).unwrap();
        scene.unsee(lost.id, |person| person == lost.person);
    }),
    fault("the tail before a kill vanishes", Rule::AcknowledgedAndLost, |scene| {
        let kill = scene.last(|record| matches!(record, Record::Killed { .. }));
        let acked = |id| scene.published.iter().any(|published| published.id == id && published.acked < kill);
        let lost = scene.middles.iter().copied().rfind(|lost| acked(lost.id)).unwrap();
        scene.unsee(lost.id, |_| true);
    }),
    fault("an event arrives twice in a row", Rule::DuplicatesAfterTheCursor, |scene| {
        let twice = scene.middles.iter().copied().find(|twice| scene.on(twice.conn).since.is_some()).unwrap();
        scene.insert(twice.index + 1, scene.forged(twice.id, twice.conn));
    }),
    fault("the event under the cursor is sent again on reconnect", Rule::DuplicatesAfterTheCursor, |scene| {
        let seen = |id| scene.deliveries.iter().any(|delivery| delivery.id == id && delivery.person < STEADY);
        let opened =
            scene.opened.iter().find(|opened| opened.person < STEADY && opened.since.is_some_and(seen)).unwrap().clone();
        scene.insert(opened.records[1] + 1, scene.forged(opened.since.unwrap(), opened.conn));
    }),
    fault("an event from long before the cursor is sent on reconnect", Rule::DuplicatesAfterTheCursor, |scene| {
        let opened = scene.opened.iter().rfind(|opened| opened.person < STEADY && opened.since.is_some()).unwrap().clone();
        let old = scene.deliveries.iter().find(|delivery| delivery.person == opened.person).unwrap().id;
        scene.insert(opened.records[1] + 1, scene.forged(old, opened.conn));
    }),
    fault("a rewound event arrives twice", Rule::DuplicatesAfterTheCursor, |scene| {
        let (complete, last) = rewound_replays(scene).find(|(_, last)| *last > 0).unwrap();
        let again = scene.history.records[last].clone();
        scene.insert(complete, again);
    }),
    fault("two deliveries are swapped", Rule::OutOfOrder, |scene| {
        let first = scene.middle();
        let second = scene.neighbour(first.index, first.conn, 1).unwrap();
        scene.history.records.swap(first.index, second);
    }),
    fault("a later publish gets a smaller id than one already acknowledged", Rule::OutOfOrder, |scene| {
        let (first, second) = in_turn(scene);
        exchange_answers(scene, first, second);
        for record in &mut scene.history.records {
            if let Record::Event { mark, .. } = record {
                *mark = if *mark == first.mark {
                    second.mark
                } else if *mark == second.mark {
                    first.mark
                } else {
                    *mark
                };
            }
        }
    }),
    fault("a withdrawn person goes on receiving live", Rule::DeliveriesAfterRevocation, |scene| {
        scene.deliver_wrongly(|scene, revoked, opened, id| {
            let window = scene.next_change(revoked).map_or(u64::MAX, |next| next.id);
            revoked.change == Change::Revoke && revoked.id < id && id < window && opened.records[0] < revoked.sent
        });
    }),
    fault("a replay includes what came after the withdrawal", Rule::DeliveriesAfterRevocation, |scene| {
        scene.deliver_wrongly(|scene, revoked, opened, id| {
            let last = scene.next_change(revoked).is_none();
            revoked.change == Change::Revoke
                && last
                && revoked.id < id
                && opened.records[0] > revoked.acked
                && opened.transport != Transport::Poll
        });
    }),
    fault("a poll includes what came after the withdrawal", Rule::DeliveriesAfterRevocation, |scene| {
        scene.deliver_wrongly(|scene, revoked, opened, id| {
            let last = scene.next_change(revoked).is_none();
            revoked.change == Change::Revoke && last && revoked.id < id && opened.transport == Transport::Poll
        });
    }),
    fault("after a return the time of absence is replayed", Rule::DeliveriesAfterRevocation, |scene| {
        scene.deliver_wrongly(|scene, granted, opened, id| {
            let absent = scene.previous_change(granted).filter(|before| before.change == Change::Revoke);
            granted.change == Change::Grant
                && absent.is_some_and(|before| before.id < id && id < granted.id)
                && opened.records[0] > granted.acked
        });
    }),
    fault("after a return the time before the withdrawal is replayed", Rule::GrantBoundary, |scene| {
        scene.deliver_wrongly(|scene, granted, opened, id| {
            let Some(revoked) = scene.previous_change(granted).filter(|before| before.change == Change::Revoke) else {
                return false;
            };
            let begun = scene.previous_change(revoked).map_or(0, |before| before.id);
            granted.change == Change::Grant && begun < id && id < revoked.id && opened.records[0] > granted.acked
        });
    }),
    fault("after a withdrawal the time before it is replayed", Rule::GrantBoundary, |scene| {
        scene.deliver_wrongly(|scene, revoked, opened, id| {
            let begun = scene.previous_change(revoked).map_or(0, |before| before.id);
            let still = scene.next_change(revoked).is_none();
            revoked.change == Change::Revoke && still && begun < id && id < revoked.id && opened.records[0] > revoked.acked
        });
    }),
    fault("a newcomer gets what came before the first grant", Rule::GrantBoundary, |scene| {
        scene.deliver_wrongly(|scene, granted, _, id| {
            granted.change == Change::Grant && scene.previous_change(granted).is_none() && id < granted.id
        });
    }),
    fault("an event of a foreign course is delivered", Rule::ForeignDeliveries, |scene| {
        let foreign = |person: u32, channel: u32| channel >= 60 && !scene.history.registered.contains(&(person, channel));
        let channel =
            |person: u32| scene.deliveries.iter().map(|delivery| delivery.channel).find(|channel| foreign(person, *channel));
        let (person, channel) = (0..STEADY).find_map(|person| Some((person, channel(person)?))).unwrap();
        deliver_to(scene, person, &scene.delivered_in(channel));
    }),
    fault("an event of another person's own channel is delivered", Rule::ForeignDeliveries, |scene| {
        deliver_to(scene, 0, &scene.delivered_in(1));
    }),
    fault("another person's registration is delivered", Rule::ForeignDeliveries, |scene| {
        let ids: Vec<u64> = scene.changes.iter().map(|changed| changed.id).collect();
        let ids = ids.into_iter().filter(|id| scene.deliveries.iter().any(|delivery| delivery.id == *id));
        deliver_to(scene, 0, &ids.collect::<Vec<u64>>());
    }),
    fault("one client sees other content", Rule::OneIdOneContent, |scene| {
        let spoiled = scene.middle();
        set!(&mut scene.history.records[spoiled.index], Event { mark = 7 });
    }),
    fault("one client sees another seq", Rule::OneIdOneContent, |scene| {
        let spoiled = scene.middle();
        set!(&mut scene.history.records[spoiled.index], Event { seq = 7_000_000 });
    }),
    fault("one client sees another channel", Rule::OneIdOneContent, |scene| {
        let spoiled = scene.middles.iter().copied().find(|spoiled| spoiled.channel == 60).unwrap();
        set!(&mut scene.history.records[spoiled.index], Event { channel = 61 });
    }),
    fault("one client sees another instant", Rule::OneIdOneContent, |scene| {
        let spoiled = scene.middle();
        set!(&mut scene.history.records[spoiled.index], Event { recorded_at_ms = 0 });
    }),
    fault("one client sees another registration than before", Rule::OneIdOneContent, |scene| {
        let twice = |id| scene.deliveries.iter().filter(move |delivery| delivery.id == id).nth(1);
        let spoiled = scene.changes.iter().find_map(|changed| twice(changed.id)).unwrap().index;
        set!(&mut scene.history.records[spoiled], Event { mark = 7 });
    }),
    fault("a publisher is told another id than readers see", Rule::OneIdOneContent, |scene| {
        let (told, head) = (scene.middle().id, scene.head());
        scene.renumber_answer(told, head + 1);
    }),
    fault("two publishers are told each other's ids", Rule::OneIdOneContent, |scene| {
        let (first, second) = in_turn(scene);
        exchange_answers(scene, first, second);
    }),
    fault("a publisher is told another seq than readers see", Rule::OneIdOneContent, |scene| {
        let told = answer_place(scene, scene.middle().id);
        set!(&mut scene.history.records[told], PublishAcked { seq = 7_000_000 });
    }),
    fault("a repeat is answered with another id", Rule::IdempotentRepeat, |scene| {
        let (again, head) = (repeated_answer(scene), scene.head());
        set!(&mut scene.history.records[again], PublishAcked { id = head + 1 });
    }),
    fault("a repeat is answered with another seq", Rule::IdempotentRepeat, |scene| {
        let again = repeated_answer(scene);
        set!(&mut scene.history.records[again], PublishAcked { seq = 7_000_000 });
    }),
    fault("a repeat is stored twice", Rule::IdempotentRepeat, |scene| {
        let stored = *scene.published.iter().find(|published| published.channel == 0).unwrap();
        scene.append(0, stored.mark);
    }),
    fault("two publishes get the same id", Rule::IdsDense, |scene| {
        let (first, second) = in_turn(scene);
        scene.renumber_answer(second.id, first.id);
    }),
    fault("an id is skipped", Rule::IdsDense, |scene| {
        let at = scene.middle().id;
        scene.renumber(0, |id| if id > at { id + 500 } else { id });
    }),
    fault("a seq is skipped", Rule::SeqDense, |scene| {
        let (at, ids) = (scene.middle().id, scene.delivered_in(60));
        scene.restamp(|id, seq, _| *seq += if id > at && ids.contains(&id) { 500 } else { 0 });
    }),
    fault("a seq is given twice", Rule::SeqDense, |scene| {
        let (at, ids) = (scene.middle().id, scene.delivered_in(60));
        scene.restamp(|id, seq, _| *seq -= u64::from(id > at && ids.contains(&id)));
    }),
    fault("recorded_at runs backwards", Rule::RecordedAtNeverBackwards, |scene| {
        let at = scene.middle().id;
        scene.restamp(|id, _, recorded_at_ms| *recorded_at_ms -= if id == at { 3_600_000 } else { 0 });
    }),
    fault("the delivery before a heartbeat is dropped", Rule::CursorHonest, |scene| {
        let next = |index, conn| scene.neighbour(index, conn, 1).map(|next| &scene.history.records[next]);
        let before = |index, conn| matches!(next(index, conn), Some(Record::Cursor { .. }));
        let steady = scene.deliveries.iter().filter(|delivery| delivery.person < STEADY);
        let lost = steady.rev().find(|delivery| before(delivery.index, delivery.conn)).unwrap().index;
        scene.remove(&[lost]);
    }),
    fault("a heartbeat runs ahead of an event", Rule::CursorHonest, |scene| {
        let late = scene.middle();
        let at_us = at_us(&scene.history.records[late.index]);
        scene.insert(late.index, Record::Cursor { at_us, conn: late.conn, cursor: late.id });
    }),
    fault("a heartbeat falls back", Rule::CursorHonest, |scene| {
        let last = scene.last(|record| matches!(record, Record::Cursor { .. }));
        let Record::Cursor { at_us, conn, cursor } = scene.history.records[last] else { unreachable!() };
        scene.insert(last + 1, Record::Cursor { at_us, conn, cursor: cursor - 1 });
    }),
    fault("a heartbeat names an id that does not exist", Rule::CursorHonest, |scene| {
        let last = scene.last(|record| matches!(record, Record::Cursor { .. }));
        set!(&mut scene.history.records[last], Cursor { cursor = 1_000_000 });
    }),
    fault("the connect answer names a head that does not exist", Rule::CursorHonest, |scene| {
        let last = scene.last(|record| matches!(record, Record::Established { .. }));
        set!(&mut scene.history.records[last], Established { head = u64::MAX });
    }),
    fault("replay_complete counts one too many", Rule::ReplayCount, |scene| {
        let (complete, _) = replays(scene).next().unwrap();
        let Record::ReplayComplete { count: counted, .. } = scene.history.records[complete] else { unreachable!() };
        set!(&mut scene.history.records[complete], ReplayComplete { count = counted + 1 });
    }),
    fault("replay_complete ends before what it counts", Rule::ReplayCount, |scene| {
        let (complete, last) = replays(scene).find(|(_, last)| *last > 0).unwrap();
        let Record::Event { id, .. } = scene.history.records[last] else { unreachable!() };
        set!(&mut scene.history.records[complete], ReplayComplete { to = id - 1 });
    }),
    fault("a replay completes that nobody asked for", Rule::ReplayCount, |scene| {
        let (complete, _) = replays(scene).find(|(_, last)| *last > 0).unwrap();
        set!(&mut scene.history.records[complete], ReplayComplete { from = 1 });
    }),
    fault("a rewind's replay_complete counts one too few", Rule::ReplayCount, |scene| {
        let (complete, _) = rewound_replays(scene).find(|(_, last)| *last > 0).unwrap();
        let Record::ReplayComplete { count: counted, .. } = scene.history.records[complete] else { unreachable!() };
        set!(&mut scene.history.records[complete], ReplayComplete { count = counted - 1 });
    }),
    fault("a refused publish is delivered", Rule::NothingInvented, |scene| {
        let refused = scene.history.records.iter().find_map(|record| match record {
            Record::PublishRefused { op, .. } => Some(*op),
            _ => None,
        });
        let sent = |record: &Record| match *record {
            Record::PublishSent { op, mark, .. } if Some(op) == refused => Some(mark),
            _ => None,
        };
        let mark = scene.history.records.iter().find_map(sent).unwrap();
        scene.append(0, mark);
    }),
    fault("an event is delivered that nobody published", Rule::NothingInvented, |scene| scene.append(0, 7)),
    fault("an id is given out again after a kill", Rule::SurvivedKills, |scene| {
        let kill = scene.last(|record| matches!(record, Record::Killed { .. }));
        let lost = scene.published.iter().rfind(|published| published.acked < kill).unwrap().id;
        let again = scene.published.iter().find(|published| published.sent > kill).unwrap().id;
        scene.renumber_answer(again, lost);
    }),
    fault("the tail before a kill is given out anew", Rule::SurvivedKills, |scene| {
        let kill = scene.last(|record| matches!(record, Record::Killed { .. }));
        let lost =
            scene.published.iter().filter(|published| published.acked < kill).map(|published| published.id).max().unwrap();
        let first = scene.published.iter().find(|published| published.sent > kill).unwrap().id;
        scene.renumber(kill, |id| if id >= first { id - (first - lost) } else { id });
    }),
    fault("an acknowledged event carries other content after a kill", Rule::SurvivedKills, |scene| {
        let kill = scene.last(|record| matches!(record, Record::Killed { .. }));
        let acked = |id| scene.published.iter().any(|published| published.id == id && published.acked < kill);
        let spoiled = scene.deliveries.iter().find(|delivery| delivery.index > kill && acked(delivery.id)).unwrap().index;
        set!(&mut scene.history.records[spoiled], Event { mark = 7 });
    }),
    fault("the epoch changes", Rule::EpochConstant, |scene| {
        let last = scene.last(|record| matches!(record, Record::Established { .. }));
        set!(&mut scene.history.records[last], Established { epoch = 2 });
    }),
    fault("a person's last connection stops halfway", Rule::CaughtUpAtTheEnd, |scene| {
        let last = |person| scene.opened.iter().rfind(|opened| opened.person == person).unwrap();
        let stopped = (0..STEADY).map(last).max_by_key(|opened| opened.records.len()).unwrap();
        let silent: Vec<usize> = stopped.records[stopped.records.len() / 2..].to_vec();
        scene.remove(&silent);
    }),
    fault("a client resumes beyond what it has seen", Rule::RecordsSound, |scene| {
        let ahead = scene.opened.iter().rfind(|opened| opened.person < STEADY && opened.since.is_some()).unwrap().records[0];
        set!(&mut scene.history.records[ahead], Connect { since = Some(1_000_000) });
    }),
    fault("an event arrives on a connection that nobody opened", Rule::RecordsSound, |scene| {
        let spoiled = scene.middle().index;
        set!(&mut scene.history.records[spoiled], Event { conn = 9_999 });
    }),
    fault("a publish is acknowledged that nobody sent", Rule::RecordsSound, |scene| {
        let told = answer_place(scene, scene.middle().id);
        set!(&mut scene.history.records[told], PublishAcked { op = 9_999 });
    }),
];

/// The `replay_complete` of each replay at connect that is not a rewound connection's, with its last event's place or 0.
fn replays(scene: &Scene) -> impl Iterator<Item = (usize, usize)> {
    let steady = scene.opened.iter().filter(|opened| opened.person < STEADY);
    steady.filter_map(|opened| completes(scene, &opened.records, 0))
}

/// The same for connections that rewound once: their events lie behind the rewind.
fn rewound_replays(scene: &Scene) -> impl Iterator<Item = (usize, usize)> {
    scene.opened.iter().filter_map(|opened| {
        let is_rewind = |index: &&usize| matches!(scene.history.records[**index], Record::Rewind { .. });
        let once = opened.records.iter().filter(is_rewind).count() == 1;
        let rewind = opened.records.iter().position(|index| once && is_rewind(&index))?;
        completes(scene, &opened.records, rewind)
    })
}

fn completes(scene: &Scene, records: &[usize], from: usize) -> Option<(usize, usize)> {
    let complete =
        records[from..].iter().position(|index| matches!(scene.history.records[*index], Record::ReplayComplete { .. }))? + from;
    let before = records[complete - 1];
    let last = if matches!(scene.history.records[before], Record::Event { .. }) { before } else { 0 };
    Some((records[complete], last))
}

/// Takes from the longest rewind everything that its client had seen before, and corrects the count.
fn unanswered_rewind(scene: &mut Scene) {
    let mut longest: (usize, u64, Vec<usize>) = (0, 0, Vec::new());
    for opened in scene.opened.iter().filter(|opened| opened.rewound) {
        let mut seen: Vec<u64> = Vec::new();
        let mut rewinding = false;
        let (mut again, mut fresh) = (Vec::new(), 0);
        for index in &opened.records {
            match scene.history.records[*index] {
                Record::Rewind { .. } => rewinding = true,
                Record::Event { id, .. } if rewinding && seen.contains(&id) => again.push(*index),
                Record::Event { id, .. } => {
                    fresh += u64::from(rewinding);
                    seen.push(id);
                }
                Record::ReplayComplete { .. } if rewinding => {
                    if again.len() > longest.2.len() {
                        longest = (*index, fresh, again);
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    let (complete, fresh, again) = longest;
    set!(&mut scene.history.records[complete], ReplayComplete { count = fresh });
    scene.remove(&again);
}

/// Two publishes to one course, the second sent after the first was acknowledged.
fn in_turn(scene: &Scene) -> (Published, Published) {
    let middle = scene.middle().id;
    let first = *scene.published.iter().find(|published| published.id >= middle && published.channel == 60).unwrap();
    let second = scene.published.iter().find(|published| published.sent > first.acked && published.channel == 60).unwrap();
    (first, *second)
}

fn exchange_answers(scene: &mut Scene, first: Published, second: Published) {
    let told = |scene: &Scene, told| scene.history.records[answer_place(scene, told)].clone();
    let (of_first, of_second) = (told(scene, first.id), told(scene, second.id));
    for record in &mut scene.history.records {
        let Record::PublishAcked { op, id, seq, recorded_at_ms, .. } = record else { continue };
        let other = match *op {
            op if op == first.op => &of_second,
            op if op == second.op => &of_first,
            _ => continue,
        };
        if let Record::PublishAcked { id: other_id, seq: other_seq, recorded_at_ms: other_at_ms, .. } = other {
            (*id, *seq, *recorded_at_ms) = (*other_id, *other_seq, *other_at_ms);
        }
    }
}

fn deliver_to(scene: &mut Scene, person: u32, ids: &[u64]) {
    let opened: Vec<_> = scene.opened.iter().filter(|opened| opened.person == person).cloned().collect();
    let planted = ids.iter().any(|id| opened.iter().any(|opened| scene.deliver(opened, *id)));
    assert!(planted, "the faithful run has no place for this fault");
}

fn answer_place(scene: &Scene, told: u64) -> usize {
    scene.history.records.iter().position(|record| matches!(record, Record::PublishAcked { id, .. } if *id == told)).unwrap()
}

fn repeated_answer(scene: &Scene) -> usize {
    let answers = scene.history.records.iter().enumerate();
    let mut seen = Vec::new();
    let again = answers.filter_map(|(index, record)| match record {
        Record::PublishAcked { op, .. } if seen.contains(op) => Some(index),
        Record::PublishAcked { op, .. } => {
            seen.push(*op);
            None
        }
        _ => None,
    });
    again.last().unwrap()
}

impl Scene {
    /// Tells the publisher of one id another one, each time it was told.
    fn renumber_answer(&mut self, told: u64, other: u64) {
        for record in &mut self.history.records {
            if let Record::PublishAcked { id, .. } = record {
                *id = if *id == told { other } else { *id };
            }
        }
    }
}
