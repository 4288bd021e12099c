//! Reads the real learning data: the OULAD roster and the FUN-MOOC statements.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// Who the data is by; stands in every report with a figure made from it.
pub const ATTRIBUTION: &str = "Data: Open University Learning Analytics Dataset (OULAD), CC-BY 4.0: J. Kuzilek, M. Hlosta, Z. Zdrahal, \
    Scientific Data 4:170171, 2017. xAPI video statements of FUN-MOOC, MIT licence, France Université Numérique (openfun/ralph).";

/// One line of `studentRegistration.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// `<code_module>-<code_presentation>`
    pub course: String,
    pub student: String,
    /// Days from the course's start; `None` for those who stayed.
    pub withdrawn_on_day: Option<i32>,
}

#[derive(Deserialize)]
struct RegistrationRow {
    code_module: String,
    code_presentation: String,
    id_student: String,
    date_unregistration: String,
}

/// What we publish of one xAPI statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub id: String,
    pub learner: String,
    pub course: String,
    pub lesson: String,
    /// 0 to 100
    pub percent: f64,
    pub completed: bool,
    pub timestamp: String,
}

#[derive(Deserialize)]
struct RawStatement {
    id: String,
    timestamp: String,
    verb: Named,
    object: Named,
    actor: Actor,
    #[serde(default)]
    result: Outcome,
    context: Surroundings,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Actor {
    account: Account,
}

#[derive(Deserialize)]
struct Account {
    name: String,
}

#[derive(Default, Deserialize)]
struct Outcome {
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
struct Extensions {
    #[serde(rename = "https://w3id.org/xapi/video/extensions/progress", default)]
    progress: f64,
}

#[derive(Deserialize)]
struct Surroundings {
    #[serde(rename = "contextActivities")]
    activities: Activities,
}

#[derive(Deserialize)]
struct Activities {
    #[serde(default)]
    parent: Vec<Named>,
}

/// All registrations, in the file's order.
pub fn registrations(fixtures: &Path) -> Result<Vec<Registration>> {
    let path = fixtures.join("oulad/studentRegistration.csv.gz");
    let mut rows = csv::Reader::from_reader(open(&path)?);
    let read = rows.deserialize().map(|row| row.map(RegistrationRow::into_registration));
    read.collect::<Result<_, _>>().with_context(|| format!("cannot read {}", path.display()))
}

/// All statements, in the file's order (half of them are out of time order).
pub fn statements(fixtures: &Path) -> Result<Vec<Statement>> {
    let path = fixtures.join("xapi-fun-mooc/statements.jsonl.gz");
    let lines = BufReader::new(open(&path)?).lines();
    lines
        .zip(1..)
        .map(|(line, number)| {
            let raw: RawStatement =
                serde_json::from_str(&line?).with_context(|| format!("{}: line {number}", path.display()))?;
            Ok(raw.into_statement())
        })
        .collect()
}

fn open(path: &Path) -> Result<impl Read + use<>> {
    Ok(MultiGzDecoder::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?))
}

// === impl RegistrationRow ===

impl RegistrationRow {
    fn into_registration(self) -> Registration {
        Registration {
            course: format!("{}-{}", self.code_module, self.code_presentation),
            student: self.id_student,
            // "?" stands for a missing value in OULAD.
            withdrawn_on_day: self.date_unregistration.parse().ok(),
        }
    }
}

// === impl RawStatement ===

impl RawStatement {
    fn into_statement(self) -> Statement {
        let course = self.context.activities.parent.into_iter().next().map_or_else(String::new, |parent| parent.id);
        Statement {
            id: self.id,
            learner: self.actor.account.name,
            course,
            lesson: self.object.id,
            // Players report up to 1.002 of a video.
            percent: (self.result.extensions.progress * 1000.0).round().clamp(0.0, 1000.0) / 10.0,
            completed: self.verb.id.ends_with("/completed"),
            timestamp: self.timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        std::env::var_os("CAMPANILE_FIXTURES")
            .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures").into(), Into::into)
    }

    #[test]
    fn the_roster_has_the_figures_of_its_readme() {
        let rows = registrations(&folder()).unwrap();
        assert_eq!(rows.len(), 32_593);
        assert_eq!(rows.iter().filter(|row| row.withdrawn_on_day.is_some()).count(), 10_072);
        assert_eq!(rows.iter().filter(|row| row.course == "CCC-2014J").count(), 2_498);
        let first = Registration { course: "AAA-2013J".to_owned(), student: "11391".to_owned(), withdrawn_on_day: None };
        assert_eq!(rows[0], first);
    }

    #[test]
    fn the_statements_have_the_figures_of_their_readme() {
        let all = statements(&folder()).unwrap();
        assert_eq!(all.len(), 22_000);
        let learners: std::collections::HashSet<_> = all.iter().map(|statement| &statement.learner).collect();
        assert_eq!(learners.len(), 1_452);
        assert_eq!(all.iter().filter(|statement| statement.completed).count(), 636);
        assert!(all.iter().all(|statement| (0.0..=100.0).contains(&statement.percent) && !statement.course.is_empty()));
        assert!((all[0].percent - 47.2).abs() < 1e-9);
    }
}
