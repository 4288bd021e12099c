//! A CSV table from a stranger, read row by row within bounded memory a row.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Display};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::io::{self, Read};

/// Bytes of one row: no honest row comes near it, a quote that is never closed does.
pub const ROW_BYTES_MAX: usize = 64 * 1024;

/// A row that could not be taken, or a file that could not be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The file's name as it was given.
    pub file: String,
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// What is wrong, without control characters.
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
    reader: ::csv::Reader<RowLimit<R>>,
    format: Format<Row>,
    /// The place of each column; none before the header row was read.
    columns: Option<HashMap<String, usize>>,
    record: ::csv::ByteRecord,
    /// The line and the fingerprint of the row that each key was first seen in.
    seen: HashMap<String, (u64, u64)>,
    summary: Summary,
    ended: bool,
}

/// The fields of one row, by column.
pub(super) struct Fields<'a> {
    columns: &'a HashMap<String, usize>,
    record: &'a ::csv::ByteRecord,
}

// === impl Table ===

impl<R: Read, Row: Hash> Table<R, Row> {
    pub(super) fn new(name: &str, input: R, format: Format<Row>) -> Self {
        // Rows of another length come through, because one of them must not hide the next.
        let reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(RowLimit { inner: input, bytes_left: ROW_BYTES_MAX });
        let summary = Summary { file: name.to_owned(), ..Summary::default() };
        let (record, seen) = (::csv::ByteRecord::new(), HashMap::new());
        Self { reader, format, columns: None, record, seen, summary, ended: false }
    }

    /// What came of it so far: of the whole table, when the last row is out.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Reads a record; answers the line on which it begins.
    fn read_record(&mut self) -> Option<Result<u64, (u64, String)>> {
        self.reader.get_mut().bytes_left = ROW_BYTES_MAX;
        let result = self.reader.read_byte_record(&mut self.record);
        let line = self.record.position().map_or_else(|| self.reader.position().line(), ::csv::Position::line);
        match result {
            Ok(true) => Some(Ok(line)),
            Ok(false) => None,
            Err(error) => {
                self.ended = true;
                Some(Err((line, format!("the file cannot be read on: {error}"))))
            }
        }
    }

    fn read_header(&mut self) -> Result<HashMap<String, usize>, (u64, String)> {
        let line = self.read_record().unwrap_or_else(|| Err((1, "the file is empty: a header row is needed".into())))?;
        let mut columns = HashMap::new();
        for (place, name) in self.record.iter().enumerate() {
            let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
            if !self.format.required.contains(&&*name) && !self.format.optional.contains(&&*name) {
                self.summary.unknown_columns.push(name);
            } else if columns.insert(name.clone(), place).is_some() {
                return Err((line, format!("the header row has the column {name} twice")));
            }
        }
        match self.format.required.iter().find(|name| !columns.contains_key(**name)) {
            None => Ok(columns),
            Some(missing) => {
                let needed = self.format.required.join(",");
                Err((line, format!("the header row has no column {missing}; needed, separated by commas: {needed}")))
            }
        }
    }

    /// The row in `record`; none when it says the same as an earlier one.
    fn take_row(&mut self, line: u64) -> Result<Option<Row>, String> {
        let columns = self.columns.as_ref().expect("the header row comes first");
        let width = columns.len() + self.summary.unknown_columns.len();
        if self.record.len() != width {
            let last_line = self.reader.position().line() - 1;
            let hint = match last_line > line {
                true => format!("; the row goes on to line {last_line}: is a quote never closed?"),
                false => String::new(),
            };
            return Err(format!("{} columns, where the header row has {width}{hint}", self.record.len()));
        }
        let row = (self.format.read)(&Fields { columns, record: &self.record })?;
        let fingerprint = BuildHasherDefault::<DefaultHasher>::new().hash_one(&row);
        match self.seen.entry((self.format.key)(&row)) {
            Entry::Vacant(vacant) => {
                vacant.insert((line, fingerprint));
                Ok(Some(row))
            }
            Entry::Occupied(first) if first.get().1 == fingerprint => Ok(None),
            Entry::Occupied(first) => Err(format!("line {} says something else of the same", first.get().0)),
        }
    }

    fn refuse(&mut self, (line, reason): (u64, String)) -> RowError {
        self.summary.broken += 1;
        RowError { file: self.summary.file.clone(), line, reason }
    }
}

impl<R: Read, Row: Hash> Iterator for Table<R, Row> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.columns.is_none() && !self.ended {
            match self.read_header() {
                Ok(columns) => self.columns = Some(columns),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(self.refuse(error)));
                }
            }
        }
        while !self.ended {
            let line = match self.read_record()? {
                Ok(line) => line,
                Err(error) => return Some(Err(self.refuse(error))),
            };
            match self.take_row(line) {
                Ok(Some(row)) => {
                    self.summary.rows += 1;
                    return Some(Ok(row));
                }
                Ok(None) => self.summary.repeated += 1,
                Err(reason) => return Some(Err(self.refuse((line, reason)))),
            }
        }
        None
    }
}

// === impl Fields ===

impl Fields<'_> {
    /// The field; empty where the table has no such column.
    pub(super) fn text(&self, column: &str) -> Result<&str, String> {
        let bytes = self.columns.get(column).and_then(|&place| self.record.get(place)).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| format!("{column}: not UTF-8"))
    }

    /// The field, which must not be empty.
    pub(super) fn filled(&self, column: &str) -> Result<&str, String> {
        match self.text(column)? {
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
        match self.text(column)? {
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

/// Ends a row that grows beyond all measure. The reader's buffer reads ahead, so the limit holds to within its 8 KiB.
struct RowLimit<R> {
    inner: R,
    bytes_left: usize,
}

impl<R: Read> Read for RowLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes_left == 0 {
            let message = format!("a row has more than {ROW_BYTES_MAX} bytes: is a quote never closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let count = self.inner.read(buffer)?;
        self.bytes_left = self.bytes_left.saturating_sub(count);
        Ok(count)
    }
}
