//! `show_cadet` and `list_cadets`: the sheets as they are. A cadet may look at their own.

use super::permission;
use super::sheet::{Sheet, sheet_columns};
use campanile_contract::{Caller, Id, PageLimit, Query, Reader, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for one sheet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowCadet {
    /// Whose.
    pub cadet_id: Id,
}

/// Asks for sheets, a page at a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCadets {
    /// `next` of the page before; none is the first page.
    pub after: Option<Id>,
    /// Sheets on a page.
    #[serde(default)]
    pub limit: PageLimit,
}

/// The answer with a page.
#[derive(Serialize, JsonSchema)]
pub struct CadetsAnswer {
    /// By the canonical text of their ids.
    cadets: Vec<Sheet>,
    /// Pass it as `after` to go on; null when this was the last page.
    next: Option<Id>,
}

const PAGE: &str = concat!("SELECT ", sheet_columns!(), " FROM cadet WHERE cadet_id > $1 ORDER BY cadet_id LIMIT $2");

impl Query for ShowCadet {
    const NAME: &'static str = "show_cadet";
    type Answer = Sheet;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_read(caller, &self.cadet_id)
    }

    async fn read(&self, _: &Caller, reader: &mut Reader) -> Result<Sheet, UnitError> {
        Sheet::read(reader, &self.cadet_id).await
    }
}

impl Query for ListCadets {
    const NAME: &'static str = "list_cadets";
    type Answer = CadetsAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    async fn read(&self, _: &Caller, reader: &mut Reader) -> Result<CadetsAnswer, UnitError> {
        // No id is empty, so the first page begins behind the empty text.
        let after = self.after.as_ref().map_or("", Id::as_str);
        let rows = reader.fetch(PAGE, &[after.into(), self.limit.rows().into()]).await?;
        let cadets = rows.iter().map(Sheet::of).collect::<Result<Vec<_>, _>>()?;
        let next = cadets.last().filter(|_| self.limit.is_full(cadets.len())).map(|sheet| sheet.cadet_id.clone());
        Ok(CadetsAnswer { cadets, next })
    }
}
