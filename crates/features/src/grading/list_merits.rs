//! `list_merits`: the merits and demerits of a cadet. For graders, and for the cadet.

use super::merit::{Merit, merit_columns};
use super::permission;
use super::sheet::Sheet;
use campanile_contract::{Caller, Id, PageLimit, Query, Reader, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for merits, a page at a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMerits {
    /// Whose.
    pub cadet_id: Id,
    /// `next` of the page before; none is the first page.
    pub after: Option<Id>,
    /// Merits on a page.
    #[serde(default)]
    pub limit: PageLimit,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct MeritsAnswer {
    /// By the canonical text of their ids.
    merits: Vec<Merit>,
    /// Pass it as `after` to go on; null when this was the last page.
    next: Option<Id>,
}

const PAGE: &str =
    concat!("SELECT ", merit_columns!(), " FROM merit WHERE cadet_id = $1 AND merit_id > $2 ORDER BY merit_id LIMIT $3");

impl Query for ListMerits {
    const NAME: &'static str = "list_merits";
    type Answer = MeritsAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_read(caller, &self.cadet_id)
    }

    async fn read(&self, _: &Caller, reader: &mut Reader) -> Result<MeritsAnswer, UnitError> {
        Sheet::read(reader, &self.cadet_id).await?;
        let after = self.after.as_ref().map_or("", Id::as_str);
        let values = [self.cadet_id.as_str().into(), after.into(), self.limit.rows().into()];
        let rows = reader.fetch(PAGE, &values).await?;
        let merits = rows.iter().map(Merit::of).collect::<Result<Vec<_>, _>>()?;
        let next = merits.last().filter(|_| self.limit.is_full(merits.len())).map(|merit| merit.merit_id.clone());
        Ok(MeritsAnswer { merits, next })
    }
}
