//! A source's table as its store describes it, and the statements that are made from it.
//!
//! Invariant: what stands in these statements is a quoted name that the store knows, a type by the store's own name, or a number.

use crate::db::{Conn, Row, Value};
use crate::error::JournalError;
use crate::insert::in_list;
use crate::sync::identifier::{parse, quote};
use crate::sync::spec::SyncSpec;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// The signs of an error's text that are written into the source.
const ERROR_CHARS_MAX: usize = 200;

const POSTGRES_COLUMNS: &str = "SELECT CAST(a.attname AS TEXT) AS name, format_type(a.atttypid, a.atttypmod) AS type, \
     a.attnotnull AS is_filled, EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique \
     AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL) AS is_unique \
     FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

const SQLITE_COLUMNS: &str = "SELECT c.name AS name, c.type AS type, c.\"notnull\" <> 0 AS is_filled, \
     (c.pk = 1 AND NOT EXISTS (SELECT 1 FROM pragma_table_info($1, $2) WHERE pk > 1)) \
     OR EXISTS (SELECT 1 FROM pragma_index_list($1, $2) l WHERE l.\"unique\" AND NOT l.partial \
     AND (SELECT group_concat(i.name) FROM pragma_index_info(l.name, $2) i) = c.name) AS is_unique \
     FROM pragma_table_info($1, $2) c";

/// The statements of one source.
pub(crate) struct Table {
    pub(crate) name: String,
    is_postgres: bool,
    id: String,
    /// The id's type by PostgreSQL's own name.
    id_type: String,
    selected: String,
    unprocessed: String,
    processed: String,
    set_processed: String,
    error: Option<String>,
}

struct Column {
    name: String,
    kind: String,
    is_filled: bool,
    is_unique: bool,
}

impl Table {
    /// Asks the store what the table is like, and refuses one that cannot be a source.
    pub(crate) async fn describe(conn: &mut Conn, spec: &SyncSpec) -> Result<Self, JournalError> {
        let parts = parse(&spec.table, 2)?;
        let name = parts.iter().map(|part| quote(part)).collect::<Vec<_>>().join(".");
        let is_postgres = matches!(conn, Conn::Postgres(_));
        let columns = columns(conn, &parts, &name).await?;
        if columns.is_empty() {
            return Err(JournalError::Unusable(format!("there is no table {}", spec.table)));
        }
        let column = |text: &str| find(&columns, text, is_postgres);
        let (id, processed) = (column(&spec.columns.id)?, column(&spec.columns.processed)?);
        if !id.is_unique {
            let sentence = format!("{} of {} has no unique index: a row cannot be told from others", id.name, spec.table);
            return Err(JournalError::Unusable(sentence));
        }
        let is_integer = processed.is_integer();
        if is_postgres && !is_integer && processed.kind != "boolean" {
            return Err(JournalError::Unusable(format!("{} of {} is neither boolean nor integer", processed.name, spec.table)));
        }
        let mark = quote(&processed.name);
        let (no, yes, value) = match is_integer && is_postgres {
            true => (format!("{mark} = 0"), format!("{mark} <> 0"), "1"),
            false => (format!("NOT {mark}"), mark.clone(), "TRUE"),
        };
        let unprocessed = if processed.is_filled { no } else { format!("({no} OR {mark} IS NULL)") };
        let mut set_processed = format!("{mark} = {value}");
        if let Some(text) = &spec.columns.processed_at {
            let at = column(text)?;
            let now = match (at.is_integer(), is_postgres) {
                (false, _) => "CURRENT_TIMESTAMP",
                (true, true) => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
                (true, false) => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            };
            set_processed += &format!(", {} = {now}", quote(&at.name));
        }
        let error = spec.columns.error.as_deref().map(|text| column(text).map(|error| quote(&error.name))).transpose()?;
        let text_of = |text: &str| column(text).map(|column| format!("CAST({} AS TEXT)", quote(&column.name)));
        let payload = text_of(&spec.columns.payload)?;
        let selected = format!(
            "CAST({id} AS TEXT) AS row_id, substr({event_type}, 1, 200) AS event_type, substr({cadet_id}, 1, 200) AS cadet_id, \
             CAST(octet_length({payload}) AS BIGINT) AS payload_bytes, \
             CASE WHEN octet_length({payload}) <= {bytes_max} THEN {payload} END AS payload, \
             substr({created_at}, 1, 64) AS created_at",
            id = quote(&id.name),
            event_type = text_of(&spec.columns.event_type)?,
            cadet_id = text_of(&spec.columns.cadet_id)?,
            created_at = text_of(&spec.columns.created_at)?,
            bytes_max = spec.payload_bytes_max,
        );
        let (id, id_type) = (quote(&id.name), id.kind.clone());
        Ok(Self { name, is_postgres, id, id_type, selected, unprocessed, processed: yes, set_processed, error })
    }

    /// The oldest unprocessed rows by id, after an id when one is given ($1); the last parameter is how many.
    pub(crate) fn select(&self, after: bool) -> SqlStr {
        let Self { name, id, selected, unprocessed, .. } = self;
        let (beyond, limit) = if after { (format!("{id} > {}", self.bound(1)), 2) } else { (format!("{id} IS NOT NULL"), 1) };
        let limit = format!("ORDER BY {id} LIMIT ${limit}");
        safe(format!("SELECT {selected} FROM {name} WHERE {unprocessed} AND {beyond} {limit}"))
    }

    /// How many rows wait, counted up to $1.
    pub(crate) fn count_waiting(&self) -> SqlStr {
        let Self { name, unprocessed, .. } = self;
        safe(format!("SELECT COUNT(*) AS waiting FROM (SELECT 1 FROM {name} WHERE {unprocessed} LIMIT $1) AS waiting"))
    }

    /// Marks the rows of `length` ids as processed; with an error, which comes after the ids, where the table has a column for it.
    pub(crate) fn mark(&self, length: usize, failed: bool) -> (SqlStr, bool) {
        let Self { name, id, set_processed, .. } = self;
        let told = match (&self.error, failed) {
            (Some(error), true) => format!(", {error} = ${}", length + 1),
            (Some(error), false) => format!(", {error} = NULL"),
            (None, _) => String::new(),
        };
        let ids = self.ids(length);
        // A row that its program is changing right now is not waited for: it is marked next time.
        let which = match self.is_postgres {
            true => format!("(SELECT {id} FROM {name} WHERE {id} IN ({ids}) FOR UPDATE SKIP LOCKED)"),
            false => format!("({ids})"),
        };
        (safe(format!("UPDATE {name} SET {set_processed}{told} WHERE {id} IN {which}")), self.error.is_some() && failed)
    }

    /// Which of `length` ids still wait.
    pub(crate) fn still_waiting(&self, length: usize) -> SqlStr {
        let Self { name, id, unprocessed, .. } = self;
        let ids = self.ids(length);
        safe(format!("SELECT CAST({id} AS TEXT) AS row_id FROM {name} WHERE {id} IN ({ids}) AND {unprocessed}"))
    }

    /// Removes those of `length` ids that are processed.
    pub(crate) fn delete(&self, length: usize) -> SqlStr {
        let Self { name, id, processed, .. } = self;
        safe(format!("DELETE FROM {name} WHERE {id} IN ({}) AND {processed}", self.ids(length)))
    }

    fn ids(&self, length: usize) -> String {
        match self.is_postgres {
            true => (1..=length).map(|place| self.bound(place)).collect::<Vec<_>>().join(","),
            // SQLite compares by the column's own affinity, whatever is bound.
            false => in_list(1, length),
        }
    }

    fn bound(&self, place: usize) -> String {
        match self.is_postgres {
            true => format!("CAST(CAST(${place} AS TEXT) AS {})", self.id_type),
            false => format!("${place}"),
        }
    }
}

/// An error as it may stand in the source.
pub(crate) fn shortened(error: &str) -> String {
    error.chars().filter(|sign| !sign.is_control()).take(ERROR_CHARS_MAX).collect()
}

/// Built from quoted names that the store knows, its own names of types, and numbers.
fn safe(sql: String) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}

async fn columns(conn: &mut Conn, parts: &[String], name: &str) -> Result<Vec<Column>, JournalError> {
    let rows = match conn {
        Conn::Postgres(_) => conn.fetch(SqlStr::from_static(POSTGRES_COLUMNS), &[name.into()]).await?,
        Conn::Sqlite(_) => {
            let (schema, table) = if let [schema, table] = parts { (schema.as_str(), table) } else { ("main", &parts[0]) };
            conn.fetch(SqlStr::from_static(SQLITE_COLUMNS), &[table.as_str().into(), Value::from(schema)]).await?
        }
    };
    rows.iter().map(Column::of).collect()
}

fn find<'a>(columns: &'a [Column], text: &str, is_postgres: bool) -> Result<&'a Column, JournalError> {
    let name = parse(text, 1)?.remove(0);
    let same = |column: &&Column| column.name == name || (!is_postgres && column.name.eq_ignore_ascii_case(&name));
    columns.iter().find(same).ok_or_else(|| JournalError::Unusable(format!("the table has no column {text}")))
}

impl Column {
    fn of(row: &Row) -> Result<Self, JournalError> {
        let flag = |column: &str| row.bool(column).or_else(|_| row.int(column).map(|number| number != 0));
        let (is_filled, is_unique) = (flag("is_filled")?, flag("is_unique")?);
        Ok(Self { name: row.text("name")?, kind: row.text("type")?, is_filled, is_unique })
    }

    fn is_integer(&self) -> bool {
        self.kind.to_ascii_lowercase().contains("int")
    }
}
