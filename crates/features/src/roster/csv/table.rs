//! A CSV table from a stranger, read row by row within bounded memory a row.

use super::line;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Display};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::io::{BufRead, BufReader, Read};
use std::str::Utf8Error;

/// Bytes of one row; no honest one comes near it. A longer row is refused and skipped.
pub const ROW_BYTES_MAX: usize = 64 * 1024;

/// A row that could not be taken, or a file that could not be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The file's name as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong; repeats nothing of the file but names of columns that we know.
    pub reason: String,
}

/// What came of a table so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The file's name as it was given.
    pub file: String,
    /// Good rows.
    pub rows: u64,
    /// Rows that say the same as an earlier one.
    pub repeated: u64,
    /// Rows that were refused.
    pub broken: u64,
    /// Columns that nobody asked for.
    pub unknown_columns: Vec<String>,
}

/// What a table's columns are, and what becomes of a row.
pub(super) struct Format<Row> {
    /// Columns that must be there.
    pub(super) required: &'static [&'static str],
    /// Columns that may be there.
    pub(super) optional: &'static [&'static str],
    /// Makes a row of its fields, or says what is wrong with them.
    pub(super) read: fn(&Fields<'_>) -> Result<Row, String>,
    /// What may stand in a table only once.
    pub(super) key: fn(&Row) -> String,
}

/// The good rows of a table, and an error for each broken one.
pub struct Table<R, Row> {
    input: BufReader<R>,
    format: Format<Row>,
    /// None before the header row was read.
    header: Option<Header>,
    /// The line that was read last, and its number from 1.
    line: Vec<u8>,
    line_number: u64,
    /// The line and the fingerprint of the row that each key was first seen in.
    seen: HashMap<String, (u64, u64)>,
    summary: Summary,
    ended: bool,
}

/// The place of each column that somebody asked for, and how many there are in all.
struct Header {
    places: HashMap<String, usize>,
    width: usize,
}

/// The fields of one row, by column.
pub(super) struct Fields<'a> {
    places: &'a HashMap<String, usize>,
    fields: &'a [Cow<'a, str>],
}

// === impl Table ===

impl<R: Read, Row: Hash> Table<R, Row> {
    pub(super) fn new(name: &str, input: R, format: Format<Row>) -> Self {
        let summary = Summary { file: name.to_owned(), ..Summary::default() };
        let (input, line, seen) = (BufReader::new(input), Vec::new(), HashMap::new());
        Self { input, format, header: None, line, line_number: 0, seen, summary, ended: false }
    }

    /// What came of it so far: of the whole table, when the last row is out.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The line of the row that came out last, from 1.
    pub fn line(&self) -> u64 {
        self.line_number
    }

    /// The next row or what is wrong with it; none at the end.
    fn next_row(&mut self) -> Option<Result<Row, String>> {
        while let Some(read) = self.next_line() {
            let row =
                read.and_then(|()| if self.header.is_none() { self.take_header().map(|()| None) } else { self.take_row() });
            match row {
                Ok(Some(row)) => return Some(Ok(row)),
                Ok(None) => {}
                Err(reason) => return Some(Err(reason)),
            }
        }
        None
    }

    /// Reads a line that is not blank, without its end; none at the end of the file.
    fn next_line(&mut self) -> Option<Result<(), String>> {
        while !self.ended {
            self.line.clear();
            self.line_number += 1;
            let mut bounded = (&mut self.input).take(ROW_BYTES_MAX as u64 + 1);
            if let Err(error) = bounded.read_until(b'\n', &mut self.line) {
                self.ended = true;
                return Some(Err(format!("the file cannot be read on: {error}")));
            }
            self.ended = self.line.is_empty();
            if self.line.len() > ROW_BYTES_MAX && !self.line.ends_with(b"\n") {
                // What cannot be skipped is met again by the next read.
                let _ = self.input.skip_until(b'\n');
                return Some(Err(format!("the row has more than {ROW_BYTES_MAX} bytes")));
            }
            let end = self.line.iter().rposition(|sign| !b"\r\n".contains(sign)).map_or(0, |last| last + 1);
            self.line.truncate(end);
            if !self.line.is_empty() {
                return Some(Ok(()));
            }
        }
        None
    }

    fn take_header(&mut self) -> Result<(), String> {
        // Without its columns nothing of the file can be read: an error here is the last one.
        self.ended = true;
        let line = self.line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.line);
        let names = line::fields(std::str::from_utf8(line).map_err(not_utf8)?)?;
        let mut places = HashMap::new();
        for (place, name) in names.iter().enumerate() {
            let name = name.trim().to_ascii_lowercase();
            if !self.format.required.contains(&&*name) && !self.format.optional.contains(&&*name) {
                self.summary.unknown_columns.push(name);
            } else if places.insert(name.clone(), place).is_some() {
                return Err(format!("the header row has the column {name} twice"));
            }
        }
        if let Some(missing) = self.format.required.iter().find(|name| !places.contains_key(**name)) {
            let needed = self.format.required.join(",");
            return Err(format!("the header row has no column {missing}; needed, separated by commas: {needed}"));
        }
        self.header = Some(Header { places, width: names.len() });
        self.ended = false;
        Ok(())
    }

    /// Makes a row of the line; none when it says the same as an earlier one.
    fn take_row(&mut self) -> Result<Option<Row>, String> {
        let Header { places, width } = self.header.as_ref().expect("the header row comes first");
        let fields = line::fields(std::str::from_utf8(&self.line).map_err(not_utf8)?)?;
        if fields.len() != *width {
            return Err(format!("{} columns, where the header row has {width}", fields.len()));
        }
        let row = (self.format.read)(&Fields { places, fields: &fields })?;
        let fingerprint = BuildHasherDefault::<DefaultHasher>::new().hash_one(&row);
        match self.seen.entry((self.format.key)(&row)) {
            Entry::Vacant(vacant) => {
                vacant.insert((self.line_number, fingerprint));
                Ok(Some(row))
            }
            Entry::Occupied(first) if first.get().1 == fingerprint => {
                self.summary.repeated += 1;
                Ok(None)
            }
            Entry::Occupied(first) => Err(format!("line {} says something else of the same", first.get().0)),
        }
    }
}

impl<R: Read, Row: Hash> Iterator for Table<R, Row> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.next_row() {
            Some(row) => row,
            None if self.header.is_some() || self.summary.broken > 0 => return None,
            None => Err("the file is empty: a header row is needed".into()),
        };
        self.summary.rows += u64::from(row.is_ok());
        self.summary.broken += u64::from(row.is_err());
        Some(row.map_err(|reason| RowError { file: self.summary.file.clone(), line: self.line_number, reason }))
    }
}

fn not_utf8(error: Utf8Error) -> String {
    format!("not UTF-8 after byte {} of the line", error.valid_up_to())
}

// === impl Fields ===

impl Fields<'_> {
    /// The field; empty where the table has no such column.
    pub(super) fn text(&self, column: &str) -> &str {
        self.places.get(column).and_then(|&place| self.fields.get(place)).map_or("", |field| field)
    }

    /// The field, which must not be empty.
    pub(super) fn filled(&self, column: &str) -> Result<&str, String> {
        match self.text(column) {
            "" => Err(format!("{column}: empty")),
            text => Ok(text),
        }
    }

    /// Makes something of the field.
    pub(super) fn read<'a, T, E: Display>(&'a self, column: &str, make: impl Fn(&'a str) -> Result<T, E>) -> Result<T, String> {
        make(self.filled(column)?).map_err(|error| format!("{column}: {error}"))
    }

    /// As [`Self::read`], but nothing of an empty or missing field.
    pub(super) fn read_unless_empty<'a, T, E: Display>(
        &'a self,
        column: &str,
        make: impl Fn(&'a str) -> Result<T, E>,
    ) -> Result<Option<T>, String> {
        match self.text(column) {
            "" => Ok(None),
            _ => self.read(column, make).map(Some),
        }
    }
}

// === impl RowError and Summary ===

impl Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} rows, {} repeated, {} broken", self.file, self.rows, self.repeated, self.broken)?;
        if !self.unknown_columns.is_empty() {
            // Quoted and escaped: these are a stranger's words on somebody's terminal.
            write!(f, "; unknown columns, not read: {:?}", self.unknown_columns)?;
        }
        Ok(())
    }
}
