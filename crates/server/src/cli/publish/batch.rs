//! `campanile publish batch`: NDJSON from a file or standard input, in batches of one commit each.

use super::Producer;
use crate::cli::{Usage, terminal};
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

/// Events of one request; the server takes 1,000.
const BATCH_EVENTS_MAX: usize = 500;
/// Bytes of one request; the server takes 4 MiB unless it is told otherwise.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one line: an event's data has at most 64 KiB.
const LINE_BYTES_MAX: usize = 256 * 1024;

#[derive(Args)]
pub(super) struct Batch {
    /// The file; standard input without it.
    file: Option<PathBuf>,
    #[command(flatten)]
    producer: Producer,
}

/// What has been acknowledged so far.
#[derive(Default)]
struct Done {
    events: u64,
    batches: u64,
    replayed: u64,
    first_id: Option<u64>,
    last_id: Option<u64>,
}

impl Batch {
    pub(super) async fn run(self) -> Result<()> {
        if self.file.is_none() && self.producer.reads_input() {
            return Err(Usage(
                "standard input holds the events, so the key must come from CAMPANILE_KEY or --key @file".into(),
            )
            .into());
        }
        let mut sender = self.producer.sender()?;
        let (bar, input) = self.open()?;
        let mut lines = Lines { input: BufReader::new(input), number: 0 };
        let mut done = Done::default();
        while let Some(part) = lines.next_part().inspect_err(|_| bar.finish_and_clear())? {
            let key = format!(":{}", part.first_line);
            let sent = bar_aside(&bar, sender.send("/api/events", part.body, &key)).await;
            let answer = sent.with_context(|| {
                let Done { events, .. } = done;
                format!("lines {} to {} were not published; {events} events before them were", part.first_line, lines.number)
            })?;
            done.count(part.events, &answer.text, answer.replayed);
            bar.set_message(format!("{} events", done.events));
        }
        bar.finish_and_clear();
        terminal::out(&if self.producer.json { done.json().to_string() } else { done.sentence() })
    }

    fn open(&self) -> Result<(ProgressBar, Box<dyn Read + Send>)> {
        let Some(path) = &self.file else {
            let bar = ProgressBar::new_spinner().with_message("0 events");
            return Ok((bar, Box::new(std::io::stdin())));
        };
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let bar = ProgressBar::new(file.metadata()?.len()).with_message("0 events");
        bar.set_style(ProgressStyle::with_template("{msg:20} [{bar:40}] {percent:>3} %  {eta} left")?.progress_chars("=> "));
        Ok((bar.clone(), Box::new(bar.wrap_read(file))))
    }
}

/// The bar is gone when an error is told.
async fn bar_aside<T>(bar: &ProgressBar, sending: impl Future<Output = Result<T>>) -> Result<T> {
    sending.await.inspect_err(|_| bar.finish_and_clear())
}

/// Lines of a file, gathered into requests.
struct Lines<R> {
    input: R,
    /// The line that was read last, from 1.
    number: u64,
}

/// One request.
struct Part {
    first_line: u64,
    events: u64,
    body: String,
}

impl<R: BufRead> Lines<R> {
    /// The next request; none at the end. Where it begins and ends depends on the lines alone, so a second run cuts alike.
    fn next_part(&mut self) -> Result<Option<Part>> {
        let mut part = Part { first_line: 0, events: 0, body: r#"{"events":["#.to_owned() };
        while part.events < BATCH_EVENTS_MAX as u64 && part.body.len() < BATCH_BYTES_MAX {
            let mut line = String::new();
            let read = (&mut self.input).take(LINE_BYTES_MAX as u64 + 1).read_line(&mut line);
            let read = read.with_context(|| format!("line {}", self.number + 1))?;
            if read == 0 {
                break;
            }
            self.number += 1;
            if line.len() > LINE_BYTES_MAX {
                bail!("line {}: more than {LINE_BYTES_MAX} bytes", self.number);
            }
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            check(line).with_context(|| format!("line {}", self.number))?;
            if part.events == 0 {
                part.first_line = self.number;
            } else {
                part.body.push(',');
            }
            part.body.push_str(line);
            part.events += 1;
        }
        part.body.push_str("]}");
        Ok((part.events > 0).then_some(part))
    }
}

/// Whether a line can be an event: what it says is judged by the server.
fn check(line: &str) -> Result<()> {
    let value: &RawValue = serde_json::from_str(line).map_err(|error| anyhow::anyhow!("not JSON: {error}"))?;
    if !value.get().starts_with('{') {
        bail!("not an object: {{\"type\":…,\"channel\":…,\"data\":{{…}}}} is needed");
    }
    Ok(())
}

impl Done {
    fn count(&mut self, events: u64, answer: &str, replayed: bool) {
        let answer: Value = serde_json::from_str(answer).unwrap_or_default();
        let ids =
            |at: fn(&Vec<Value>) -> Option<&Value>| answer["events"].as_array().and_then(at).and_then(|one| one["id"].as_u64());
        self.first_id = self.first_id.or(ids(|all| all.first()));
        self.last_id = ids(|all| all.last()).or(self.last_id);
        self.events += events;
        self.batches += 1;
        self.replayed += if replayed { events } else { 0 };
    }

    fn json(&self) -> Value {
        let Self { events, batches, replayed, first_id, last_id } = self;
        json!({ "events": events, "batches": batches, "replayed": replayed, "first_id": first_id, "last_id": last_id })
    }

    fn sentence(&self) -> String {
        let Self { events, replayed, .. } = self;
        let place = match (self.first_id, self.last_id) {
            (Some(first), Some(last)) => format!(", between ids {first} and {last}"),
            _ => String::new(),
        };
        let repeat = if *replayed > 0 { format!("; {replayed} of them were so already") } else { String::new() };
        format!("{events} events are stored{place}{repeat}")
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH_EVENTS_MAX, LINE_BYTES_MAX, Lines, Part};

    fn parts(text: &str) -> Result<Vec<Part>, String> {
        let mut lines = Lines { input: text.as_bytes(), number: 0 };
        let mut parts = Vec::new();
        while let Some(part) = lines.next_part().map_err(|error| format!("{error:#}"))? {
            parts.push(part);
        }
        Ok(parts)
    }

    #[test]
    fn lines_pass_through_in_batches_and_blank_ones_do_not_count() {
        let parts_of_two = parts("{\"a\":1.50}\r\n\n  {\"b\":2}\n").unwrap();
        assert_eq!(parts_of_two[0].body, r#"{"events":[{"a":1.50},{"b":2}]}"#);
        let many = parts(&"{}\n".repeat(BATCH_EVENTS_MAX + 1)).unwrap();
        let told: Vec<(u64, u64)> = many.iter().map(|part| (part.first_line, part.events)).collect();
        assert_eq!(told, [(1, BATCH_EVENTS_MAX as u64), (BATCH_EVENTS_MAX as u64 + 1, 1)]);
        assert!(parts("\n\n").unwrap().is_empty());
    }

    #[test]
    fn a_line_that_is_no_object_is_named_by_its_number() {
        assert!(parts("{}\n[]\n").err().unwrap().starts_with("line 2: not an object"));
        assert!(parts("{}\n\n{x}\n").err().unwrap().starts_with("line 3: not JSON"));
        assert!(parts(&"x".repeat(LINE_BYTES_MAX + 1)).err().unwrap().contains("bytes"));
    }
}
