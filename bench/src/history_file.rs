//! A history on disk: JSON lines, the first one holding everything but the records; gzip when the name ends so.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use anyhow::{Context, Result};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use crate::history::History;

/// Writes the history.
pub fn save(history: &mut History, path: &Path) -> Result<()> {
    let file = BufWriter::new(File::create(path).with_context(|| format!("cannot create {}", path.display()))?);
    if is_gzip(path) {
        let mut encoder = GzEncoder::new(file, Compression::fast());
        write_lines(history, &mut encoder)?;
        encoder.finish()?.flush()?;
    } else {
        let mut file = file;
        write_lines(history, &mut file)?;
        file.flush()?;
    }
    Ok(())
}

fn write_lines(history: &mut History, to: &mut impl Write) -> Result<()> {
    let records = std::mem::take(&mut history.records);
    serde_json::to_writer(&mut *to, history)?;
    history.records = records;
    for record in &history.records {
        to.write_all(b"\n")?;
        serde_json::to_writer(&mut *to, record)?;
    }
    to.write_all(b"\n")?;
    Ok(())
}

/// Reads a history that [`save`] wrote.
pub fn load(path: &Path) -> Result<History> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let reader: Box<dyn Read> = if is_gzip(path) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut lines = BufReader::new(reader).lines();
    let first = lines.next().context("the file is empty")??;
    let mut history: History = serde_json::from_str(&first).context("line 1 is no history")?;
    for (number, line) in (2..).zip(lines) {
        let record = serde_json::from_str(&line?).with_context(|| format!("line {number} is no record"))?;
        history.records.push(record);
    }
    Ok(history)
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Record, Transport};

    #[test]
    fn what_was_saved_is_loaded() {
        for name in ["history.jsonl", "history.jsonl.gz"] {
            let path = std::env::temp_dir().join(format!("campanile-bench-{}-{name}", std::process::id()));
            let mut history = History {
                people: vec!["11391".to_owned()],
                channels: vec!["course:AAA-2013J".to_owned()],
                registered: vec![(0, 0)],
                first_head: 7,
                records: vec![
                    Record::Connect { at_us: 1, conn: 0, person: 0, transport: Transport::Sse, since: None },
                    Record::Event { at_us: 2, conn: 0, id: 8, channel: 0, seq: 1, mark: u64::MAX, recorded_at_ms: -1 },
                ],
            };
            save(&mut history, &path).unwrap();
            let loaded = load(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert_eq!(loaded.records, history.records);
            assert_eq!(
                (loaded.people, loaded.channels, loaded.registered, loaded.first_head),
                (history.people, history.channels, history.registered, 7)
            );
        }
    }
}
