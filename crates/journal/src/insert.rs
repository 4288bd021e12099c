//! Multi-row VALUES in a few fixed sizes, so that each engine's statement cache holds them all.

use crate::db::{Conn, Row, Value};
use crate::error::JournalError;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// Rows of one statement. Greedy: 300 rows go as 256 + 16 + 16 + 4 + 4 + 4.
const CHUNK_ROWS: [usize; 5] = [256, 64, 16, 4, 1];

/// A multi-row statement: `{head} VALUES (…),(…) {tail}`.
pub(crate) struct Insert {
    pub(crate) head: &'static str,
    pub(crate) columns: usize,
    pub(crate) tail: &'static str,
}

impl Insert {
    /// Writes all rows, given flat and column by column within each; answers what RETURNING gave.
    pub(crate) async fn rows(&self, conn: &mut Conn, mut values: &[Value]) -> Result<Vec<Row>, JournalError> {
        assert_eq!(values.len() % self.columns, 0, "values come in whole rows");
        let mut returned = Vec::new();
        while !values.is_empty() {
            let left = values.len() / self.columns;
            let rows = CHUNK_ROWS.into_iter().find(|&rows| rows <= left).expect("the smallest chunk is one row");
            let (now, later) = values.split_at(rows * self.columns);
            returned.extend(conn.fetch(self.sql(rows), now).await?);
            values = later;
        }
        Ok(returned)
    }

    fn sql(&self, rows: usize) -> SqlStr {
        use std::fmt::Write;
        let mut sql = format!("{} VALUES ", self.head);
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..self.columns {
                let comma = if column == 0 { "" } else { "," };
                let _ = write!(sql, "{comma}${}", row * self.columns + column + 1);
            }
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(self.tail);
        // Built from constants of this crate and counters only.
        AssertSqlSafe(sql).into_sql_str()
    }
}

/// `$first,$first+1,…`: the inside of an IN list whose length is one of a few sizes; callers pad by repeating a value.
pub(crate) fn in_list(first: usize, length: usize) -> String {
    (first..first + length).map(|place| format!("${place}")).collect::<Vec<_>>().join(",")
}

/// The longest IN list.
pub(crate) const LIST_MAX: usize = 256;

/// The smallest list size that holds `length` values, or none when it is too long for a list.
pub(crate) fn list_size(length: usize) -> Option<usize> {
    [1, 4, 16, 64, LIST_MAX].into_iter().find(|&size| length <= size)
}
