//! `save_training_day`: a training day is made, or gets another date or title. Nobody's sheet changes by it, so nobody is told.

use super::change::Change;
use super::field::Date;
use super::permission;
use super::sheet::{by_whom_and_when, stale};
use super::spelling;
use campanile_contract::{Caller, Command, Ctx, ErrorCode, Id, JournalError, Line, Reader, Refusal, Row, Timestamp, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes the training day as it is given here.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveTrainingDay {
    /// The training day.
    pub training_day_id: Id,
    /// When it is, as `2026-01-15`.
    pub date: Date,
    /// What it is called.
    pub title: Line<200>,
    /// The version that was read; 0 or none for a new one.
    #[serde(default)]
    pub version: u64,
}

/// A training day.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TrainingDay {
    pub training_day_id: Id,
    pub date: String,
    pub title: String,
    pub version: u64,
    /// `user:{id}` or `key:{name}`.
    pub changed_by: String,
    pub changed_at: Timestamp,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct TrainingDayAnswer {
    training_day_id: Id,
    /// Its version now.
    version: u64,
    /// Whether anything is different now.
    changed: bool,
}

macro_rules! day_columns {
    () => {
        "training_day_id_json, date, title, version, changed_by, changed_at_ms"
    };
}

const SELECT: &str = concat!("SELECT ", day_columns!(), " FROM training_day WHERE training_day_id = $1");
const INSERT: &str = concat!(
    "INSERT INTO training_day (training_day_id, training_day_id_json, date, title, version, changed_by, changed_at_ms) \
     VALUES ($1, $2, $3, $4, 1, $5, $6) ON CONFLICT (training_day_id) DO NOTHING RETURNING ",
    day_columns!()
);
const UPDATE: &str = concat!(
    "UPDATE training_day SET date = $3, title = $4, version = version + 1, changed_by = $5, changed_at_ms = $6 \
     WHERE training_day_id = $1 AND version = $2 RETURNING ",
    day_columns!()
);

impl Command for SaveTrainingDay {
    const NAME: &'static str = "save_training_day";
    type Answer = TrainingDayAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<TrainingDayAnswer, UnitError> {
        let before = match self.version {
            0 => None,
            _ => Some(TrainingDay::find(ctx, &self.training_day_id).await?),
        };
        if let Some(before) = &before {
            if before.version != self.version {
                return Err(stale(before));
            }
            if self.is_so(before) {
                return Ok(self.answer(before, false));
            }
        }
        let Some(after) = self.write(ctx).await? else {
            let known = TrainingDay::find(ctx, &self.training_day_id).await?;
            // The same day told again is no change; an overtaken change is one, even to the same.
            return if self.version == 0 && self.is_so(&known) { Ok(self.answer(&known, false)) } else { Err(stale(&known)) };
        };
        let change = Change { cadet_id: None, what: "training_day", entry_id: Some(&self.training_day_id) };
        change.record(ctx, before.as_ref(), Some(&after)).await?;
        Ok(self.answer(&after, true))
    }
}

impl SaveTrainingDay {
    fn is_so(&self, day: &TrainingDay) -> bool {
        (self.date.as_str(), self.title.as_str()) == (&day.date, &day.title)
    }

    /// The row as it was written; none where it is there already, or has another version.
    async fn write(&self, ctx: &mut Ctx<'_>) -> Result<Option<TrainingDay>, UnitError> {
        let (sql, second) = match self.version {
            0 => (INSERT, spelling::to_json(&self.training_day_id).into()),
            _ => (UPDATE, self.version.into()),
        };
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let day_id = self.training_day_id.as_str().into();
        let values = [day_id, second, self.date.as_str().into(), self.title.as_str().into(), changed_by, changed_at_ms];
        Ok(ctx.fetch(sql, &values).await?.first().map(TrainingDay::of).transpose()?)
    }

    fn answer(&self, day: &TrainingDay, changed: bool) -> TrainingDayAnswer {
        TrainingDayAnswer { training_day_id: self.training_day_id.clone(), version: day.version, changed }
    }
}

impl TrainingDay {
    /// A training day from its row.
    fn of(row: &Row) -> Result<Self, JournalError> {
        Ok(Self {
            training_day_id: spelling::of_json(&row.text("training_day_id_json")?)?,
            date: row.text("date")?,
            title: row.text("title")?,
            version: row.count("version")?,
            changed_by: row.text("changed_by")?,
            changed_at: Timestamp::at_ms(row.int("changed_at_ms")?),
        })
    }

    /// The training day as it is now.
    ///
    /// # Errors
    /// `not_found` when there is none. None is ever removed, so what was found stays there.
    pub(super) async fn find(ctx: &mut Ctx<'_>, training_day_id: &Id) -> Result<Self, UnitError> {
        Self::first(&ctx.fetch(SELECT, &[training_day_id.as_str().into()]).await?, training_day_id)
    }

    /// As [`TrainingDay::find`], for a query.
    pub(super) async fn read(reader: &mut Reader, training_day_id: &Id) -> Result<Self, UnitError> {
        Self::first(&reader.fetch(SELECT, &[training_day_id.as_str().into()]).await?, training_day_id)
    }

    fn first(rows: &[Row], training_day_id: &Id) -> Result<Self, UnitError> {
        match rows.first() {
            Some(row) => Ok(Self::of(row)?),
            None => Err(Refusal::new(ErrorCode::NotFound, format!("there is no training day {training_day_id}")).into()),
        }
    }
}
