//! `request_review`: a person asks another to look over their work. Asking twice is asking once.

use super::event::{self, ReviewRequested};
use campanile_contract::{Caller, Channel, Command, Ctx, ErrorCode, Id, Line, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for a review; the author is whoever asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestReview {
    /// What to look over.
    pub submission_id: Id,
    /// What it is called.
    pub title: Line<200>,
    /// Who is asked.
    pub reviewer_id: Id,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct ReviewAnswer {
    submission_id: Id,
    /// Whether anything is different now.
    changed: bool,
}

const INSERT: &str = "INSERT INTO review_request (submission_id, reviewer_id, author_id, requested_at_ms) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (submission_id, reviewer_id) DO NOTHING";

impl Command for RequestReview {
    const NAME: &'static str = "request_review";
    type Answer = ReviewAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        match author(caller)? == self.reviewer_id {
            true => Err(Refusal::new(ErrorCode::Forbidden, "nobody reviews their own work")),
            false => Ok(()),
        }
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<ReviewAnswer, UnitError> {
        let author_id = author(ctx.caller())?;
        let [submission, reviewer, author] = [&self.submission_id, &self.reviewer_id, &author_id].map(Id::as_str);
        let values = [submission.into(), reviewer.into(), author.into(), ctx.now_ms().into()];
        let changed = ctx.execute(INSERT, &values).await? > 0;
        if changed {
            let data = ReviewRequested { submission_id: self.submission_id.clone(), author_id, title: self.title.clone() };
            ctx.emit(&event::REVIEW_REQUESTED, Channel::user(&self.reviewer_id), &data);
        }
        Ok(ReviewAnswer { submission_id: self.submission_id.clone(), changed })
    }
}

/// Only people have work to be looked over.
fn author(caller: &Caller) -> Result<Id, Refusal> {
    match caller {
        Caller::Person(person) => Ok(person.id.clone()),
        Caller::Service(_) => Err(ErrorCode::Forbidden.into()),
    }
}
