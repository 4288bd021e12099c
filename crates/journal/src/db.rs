//! One way to run SQL on both engines: a connection, typed values in, rows out.

use crate::error::JournalError;
use sqlx::pool::PoolConnection;
use sqlx::{Column, Postgres, Row as _, SqlStr, Sqlite};

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
    // Ids stay below 2^63: the head would need 292 years at a billion events a second to get there.
    u64 => Int(given => i64::try_from(given).expect("ids and counts stay below 2^63"));
    &str => Text(given => given.to_owned());
    String => Text(given => given);
    bool => Bool(given => given);
    f64 => Real(given => given);
}

/// A connection of either engine.
pub(crate) enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
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
            Self::Sqlite(conn) => bound!(Sqlite, sql, values).execute(&mut **conn).await?.rows_affected(),
            Self::Postgres(conn) => bound!(Postgres, sql, values).execute(&mut **conn).await?.rows_affected(),
        })
    }

    /// Runs a query; answers all its rows.
    pub(crate) async fn fetch(&mut self, sql: SqlStr, values: &[Value]) -> Result<Vec<Row>, JournalError> {
        Ok(match self {
            Self::Sqlite(conn) => {
                let rows = bound!(Sqlite, sql, values).fetch_all(&mut **conn).await?;
                rows.into_iter().map(|row| Row(Inner::Sqlite(row))).collect()
            }
            Self::Postgres(conn) => {
                let rows = bound!(Postgres, sql, values).fetch_all(&mut **conn).await?;
                rows.into_iter().map(|row| Row(Inner::Postgres(row))).collect()
            }
        })
    }

    /// Runs several statements without values, as migrations and BEGIN are.
    pub(crate) async fn run(&mut self, sql: SqlStr) -> Result<(), JournalError> {
        match self {
            Self::Sqlite(conn) => drop(sqlx::raw_sql(sql).execute(&mut **conn).await?),
            Self::Postgres(conn) => drop(sqlx::raw_sql(sql).execute(&mut **conn).await?),
        }
        Ok(())
    }

    /// The start of a writing transaction; on SQLite the write lock is taken at once, because upgrading later fails under load.
    pub(crate) async fn begin(&mut self) -> Result<(), JournalError> {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN",
        };
        self.run(SqlStr::from_static(sql)).await
    }

    /// The start of a reading transaction that sees one moment of the store.
    pub(crate) async fn begin_snapshot(&mut self) -> Result<(), JournalError> {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.run(SqlStr::from_static(sql)).await
    }

    pub(crate) async fn commit(&mut self) -> Result<(), JournalError> {
        self.run(SqlStr::from_static("COMMIT")).await
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), JournalError> {
        self.run(SqlStr::from_static("ROLLBACK")).await
    }

    /// Closes a connection whose state is not known any more, instead of giving it back to the pool.
    pub(crate) async fn discard(self) {
        // The connection is given up either way; an error while closing it tells nothing new.
        let _ = match self {
            Self::Sqlite(conn) => conn.close().await,
            Self::Postgres(conn) => conn.close().await,
        };
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
