//! Marking rows as processed in their own store. It may be repeated: what a row has become is decided elsewhere.

use crate::db::{Conn, Value};
use crate::error::JournalError;
use crate::insert::{LIST_MAX, list_size};
use crate::sync::table::{Table, shortened};

/// A row's id, and its error where it cannot become an event.
pub(crate) type Marked<'a> = (&'a str, Option<&'a str>);

/// Marks all rows in as few statements as there can be; answers how many there were to mark. Those that somebody else is changing are
/// left out.
pub(crate) async fn mark(conn: &mut Conn, table: &Table, rows: &[Marked<'_>]) -> Result<u64, JournalError> {
    let mut marked = 0;
    let good: Vec<&str> = rows.iter().filter(|(_, error)| error.is_none()).map(|(id, _)| *id).collect();
    for chunk in good.chunks(LIST_MAX) {
        let (sql, _) = table.mark(list_size(chunk.len()).unwrap_or(LIST_MAX), false);
        marked += conn.execute(sql, &padded(chunk)).await?;
    }
    for (id, error) in rows.iter().filter_map(|(id, error)| error.map(|error| (id, error))) {
        let (sql, tells) = table.mark(1, true);
        let mut values = vec![Value::from(*id)];
        if tells {
            values.push(shortened(error).into());
        }
        marked += conn.execute(sql, &values).await?;
    }
    Ok(marked)
}

/// Ids for a list of one of the few sizes.
pub(crate) fn padded(ids: &[&str]) -> Vec<Value> {
    let size = list_size(ids.len()).unwrap_or(LIST_MAX);
    let last = ids.last().copied().unwrap_or_default();
    ids.iter().copied().chain(std::iter::repeat(last)).take(size).map(Value::from).collect()
}
