//! Figures that a history gives: how many, and how late.

use std::{collections::HashMap, fmt, time::Duration};

use crate::history::{History, Record, Transport};

/// Quantiles of a set of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantiles {
    pub count: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

/// What a history holds.
#[derive(Default)]
pub struct Figures {
    pub records: usize,
    pub connections: usize,
    pub kills: usize,
    /// Deliveries by WebSocket, SSE and poll.
    pub delivered: [u64; 3],
    /// From the sending of a publish to its arrival, on connections that were established and had not been rewound when it was sent.
    pub live_latency: Quantiles,
    /// From the sending of a publish to its first acknowledgement, repeats after kills included.
    pub ack_latency: Quantiles,
}

#[derive(Clone, Copy)]
struct Reader {
    transport: Transport,
    /// Since when everything arrives live; `None` before the connect answer.
    live_since_us: Option<u64>,
}

// === impl Quantiles ===

impl Quantiles {
    /// Of durations in microseconds.
    pub fn of(mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        let at = |share: f64| {
            let place = ((micros.len().max(1) - 1) as f64 * share).round() as usize;
            Duration::from_micros(micros.get(place).copied().unwrap_or(0))
        };
        Self { count: micros.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        write!(
            out,
            "p50 {:.1} ms, p99 {:.1} ms, max {:.0} ms ({} measured)",
            ms(self.p50),
            ms(self.p99),
            ms(self.max),
            self.count
        )
    }
}

// === impl Figures ===

impl Figures {
    /// Counts and measures.
    pub fn of(history: &History) -> Self {
        let mut figures = Self { records: history.records.len(), ..Self::default() };
        let mut readers: HashMap<u32, Reader> = HashMap::new();
        let mut sent: HashMap<u32, u64> = HashMap::new();
        let mut sent_by_mark: HashMap<u64, u64> = HashMap::new();
        let (mut live, mut acks) = (Vec::new(), Vec::new());
        for record in &history.records {
            match *record {
                Record::PublishSent { at_us, op, mark, .. } => {
                    sent.insert(op, at_us);
                    sent_by_mark.insert(mark, at_us);
                }
                Record::PublishAcked { at_us, op, .. } => acks.extend(sent.remove(&op).map(|sent| at_us - sent)),
                Record::Connect { conn, transport, .. } => {
                    figures.connections += 1;
                    readers.insert(conn, Reader { transport, live_since_us: None });
                }
                Record::Established { at_us, conn, .. } | Record::Rewind { at_us, conn, .. } => {
                    readers.entry(conn).and_modify(|reader| reader.live_since_us = Some(at_us));
                }
                Record::Event { at_us, conn, mark, .. } => {
                    let Some(reader) = readers.get(&conn) else { continue };
                    figures.delivered[reader.transport as usize] += 1;
                    let sent = sent_by_mark.get(&mark).filter(|&&sent| reader.live_since_us.is_some_and(|live| live < sent));
                    live.extend(sent.map(|&sent| at_us - sent));
                }
                Record::Disconnect { conn, .. } => drop(readers.remove(&conn)),
                Record::Killed { .. } => figures.kills += 1,
                _ => {}
            }
        }
        figures.live_latency = Quantiles::of(live);
        figures.ack_latency = Quantiles::of(acks);
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_values() {
        let quantiles = Quantiles::of((1..=100).rev().map(|ms| ms * 1000).collect());
        assert_eq!(
            (quantiles.p50, quantiles.p99, quantiles.max),
            (Duration::from_millis(51), Duration::from_millis(99), Duration::from_millis(100))
        );
        assert_eq!(Quantiles::of(Vec::new()).count, 0);
    }

    #[test]
    fn only_live_deliveries_are_measured() {
        let event = |at_us, conn| Record::Event { at_us, conn, id: 1, channel: 0, seq: 1, mark: 9, recorded_at_ms: 0 };
        let records = vec![
            Record::Connect { at_us: 0, conn: 0, person: 0, transport: Transport::Ws, since: None },
            Record::Established { at_us: 1, conn: 0, head: 0, epoch: 1 },
            Record::PublishSent { at_us: 10, op: 0, channel: 0, mark: 9 },
            event(30, 0),
            Record::PublishAcked { at_us: 40, op: 0, id: 1, seq: 1, recorded_at_ms: 0 },
            Record::PublishAcked { at_us: 90, op: 0, id: 1, seq: 1, recorded_at_ms: 0 },
            Record::Connect { at_us: 50, conn: 1, person: 1, transport: Transport::Poll, since: Some(0) },
            Record::Established { at_us: 60, conn: 1, head: 0, epoch: 1 },
            event(70, 1),
        ];
        let figures = Figures::of(&History { records, ..History::default() });
        assert_eq!(figures.delivered, [1, 0, 1]);
        assert_eq!((figures.live_latency.count, figures.live_latency.max), (1, Duration::from_micros(20)));
        assert_eq!((figures.ack_latency.count, figures.ack_latency.max), (1, Duration::from_micros(30)));
    }
}
