//! One way to run SQL on both engines: a connection, typed values in, rows out.

use crate::error::JournalError;
use sqlx::pool::PoolConnection;
use sqlx::{Column, Database, Postgres, Row as _, SqlStr, Sqlite};
use std::time::Duration;

/// A bound value. Absent values keep their type, because PostgreSQL types its parameters.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are their types")]
pub enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bool(Option<bool>),
    Real(Option<f64>),
}

macro_rules! value_from {
    ($($type:ty => $variant:ident($given:ident => $value:expr);)*) => {$(
        impl From<$type> for Value {
            fn from($given: $type) -> Self { Self::$variant(Some($value)) }
        }
        impl From<Option<$type>> for Value {
            fn from(given: Option<$type>) -> Self { Self::$variant(given.map(|$given| $value)) }
        }
    )*};
}

value_from! {
    i64 => Int(given => given);
    // Stored ids and counts stay below 2^63, so a larger one compares as the largest: a stranger's number must not panic here.
    u64 => Int(given => i64::try_from(given).unwrap_or(i64::MAX));
    &str => Text(given => given.to_owned());
    String => Text(given => given);
    bool => Bool(given => given);
    f64 => Real(given => given);
}

/// A connection of either engine.
pub(crate) enum Conn {
    Sqlite(Held<Sqlite>),
    Postgres(Held<Postgres>),
}

/// A pool's connection. Dropped inside a transaction (its user went away or panicked) it is closed and not given back: the next
/// user would read an old moment of the store, and hold the store at it.
pub(crate) struct Held<DB: Database> {
    /// None only while it is being dropped.
    conn: Option<PoolConnection<DB>>,
    in_transaction: bool,
    /// How long one answer may take; none waits for ever.
    answer_max: Option<Duration>,
}

/// A row of either engine.
pub struct Row(Inner);

enum Inner {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

macro_rules! bound {
    ($engine:ty, $sql:expr, $values:expr) => {{
        let mut query = sqlx::query::<$engine>($sql);
        for value in $values {
            query = match value {
                Value::Int(value) => query.bind(*value),
                Value::Text(value) => query.bind(value.as_deref()),
                Value::Bool(value) => query.bind(*value),
                Value::Real(value) => query.bind(*value),
            };
        }
        query
    }};
}

impl Conn {
    /// Runs a statement; answers how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: SqlStr, values: &[Value]) -> Result<u64, JournalError> {
        Ok(match self {
            Self::Sqlite(held) => bound!(Sqlite, sql, values).execute(held.conn()).await?.rows_affected(),
            Self::Postgres(held) => {
                in_time(held.answer_max, bound!(Postgres, sql, values).execute(held.conn())).await?.rows_affected()
            }
        })
    }

    /// Runs a query; answers all its rows.
    pub(crate) async fn fetch(&mut self, sql: SqlStr, values: &[Value]) -> Result<Vec<Row>, JournalError> {
        Ok(match self {
            Self::Sqlite(held) => {
                let rows = bound!(Sqlite, sql, values).fetch_all(held.conn()).await?;
                rows.into_iter().map(|row| Row(Inner::Sqlite(row))).collect()
            }
            Self::Postgres(held) => {
                let rows = in_time(held.answer_max, bound!(Postgres, sql, values).fetch_all(held.conn())).await?;
                rows.into_iter().map(|row| Row(Inner::Postgres(row))).collect()
            }
        })
    }

    /// Runs several statements without values, as migrations and BEGIN are.
    pub(crate) async fn run(&mut self, sql: SqlStr) -> Result<(), JournalError> {
        match self {
            Self::Sqlite(held) => {
                sqlx::raw_sql(sql).execute(held.conn()).await?;
            }
            Self::Postgres(held) => {
                in_time(held.answer_max, sqlx::raw_sql(sql).execute(held.conn())).await?;
            }
        }
        Ok(())
    }

    /// The start of a writing transaction; on SQLite the write lock is taken at once, because upgrading later fails under load. On
    /// PostgreSQL the isolation is said, because a database's default may be stricter and then the head row's lock fails under load.
    pub(crate) async fn begin(&mut self) -> Result<(), JournalError> {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        };
        self.enter(sql).await
    }

    /// The start of a reading transaction that sees one moment of the store.
    pub(crate) async fn begin_snapshot(&mut self) -> Result<(), JournalError> {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.enter(sql).await
    }

    async fn enter(&mut self, begin: &'static str) -> Result<(), JournalError> {
        // Before the statement: who is dropped while it runs may have begun.
        *self.in_transaction() = true;
        self.run(SqlStr::from_static(begin)).await
    }

    /// The end of a SELECT that takes rows to change, leaving out those that another connection is changing. On SQLite there is only
    /// one writer.
    pub(crate) fn skip_locked(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        }
    }

    pub(crate) async fn commit(&mut self) -> Result<(), JournalError> {
        self.run(SqlStr::from_static("COMMIT")).await?;
        *self.in_transaction() = false;
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), JournalError> {
        self.run(SqlStr::from_static("ROLLBACK")).await?;
        *self.in_transaction() = false;
        Ok(())
    }

    fn in_transaction(&mut self) -> &mut bool {
        match self {
            Self::Sqlite(held) => &mut held.in_transaction,
            Self::Postgres(held) => &mut held.in_transaction,
        }
    }

    /// Lets the statements of this transaction take as long as they need: a migration may rewrite a large table, and another node may
    /// be at it already.
    pub(crate) async fn lift_time_limits(&mut self) -> Result<(), JournalError> {
        let Self::Postgres(held) = self else { return Ok(()) };
        held.answer_max = None;
        let sql =
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        self.run(SqlStr::from_static(sql)).await
    }

    /// Closes a connection whose state is not known any more, instead of giving it back to the pool.
    pub(crate) async fn discard(mut self) {
        *self.in_transaction() = true;
        if let Self::Sqlite(held) = &mut self
            && let Some(conn) = held.conn.take()
        {
            // Waits until the file's lock is free. The connection is given up either way; an error here tells nothing new.
            let _ = conn.close().await;
        }
    }
}

/// A PostgreSQL that fell silent (its machine lost power) must not hold a lane for the many minutes that TCP would wait.
async fn in_time<T>(limit: Option<Duration>, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, JournalError> {
    let Some(limit) = limit else { return Ok(answer.await?) };
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(JournalError::Unavailable(format!("PostgreSQL did not answer within {} ms", limit.as_millis()))),
    }
}

// === impl Held ===

impl<DB: Database> Held<DB> {
    pub(crate) fn new(conn: PoolConnection<DB>, answer_max: Option<Duration>) -> Self {
        Self { conn: Some(conn), in_transaction: false, answer_max }
    }

    fn conn(&mut self) -> &mut DB::Connection {
        self.conn.as_mut().expect("a connection is taken out only when it is dropped")
    }
}

impl<DB: Database> Drop for Held<DB> {
    fn drop(&mut self) {
        if self.in_transaction
            && let Some(conn) = self.conn.take()
        {
            drop(conn.detach());
        }
    }
}

macro_rules! typed_get {
    ($($name:ident -> $type:ty, $what:literal;)*) => {
        impl Row {$(
            #[doc = concat!("The column's ", $what, "; a missing column or another type is an error.")]
            ///
            /// # Errors
            /// [`JournalError::Statement`] when the column is missing or of another type.
            pub fn $name(&self, column: &str) -> Result<$type, JournalError> {
                Ok(match &self.0 {
                    Inner::Sqlite(row) => row.try_get::<$type, _>(column)?,
                    Inner::Postgres(row) => row.try_get::<$type, _>(column)?,
                })
            }
        )*}
    };
}

typed_get! {
    int -> i64, "integer";
    text -> String, "text";
    bool -> bool, "boolean";
    real -> f64, "floating-point number";
    int_or_null -> Option<i64>, "integer, or none";
    text_or_null -> Option<String>, "text, or none";
    real_or_null -> Option<f64>, "floating-point number, or none";
}

impl Row {
    /// An id or count, which are never negative.
    ///
    /// # Errors
    /// [`JournalError::Statement`] when the column is missing, of another type or negative.
    pub fn count(&self, column: &str) -> Result<u64, JournalError> {
        u64::try_from(self.int(column)?).map_err(|_| JournalError::Statement(format!("{column} is negative")))
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<&str> = match &self.0 {
            Inner::Sqlite(row) => row.columns().iter().map(Column::name).collect(),
            Inner::Postgres(row) => row.columns().iter().map(Column::name).collect(),
        };
        f.debug_tuple("Row").field(&columns).finish()
    }
}
