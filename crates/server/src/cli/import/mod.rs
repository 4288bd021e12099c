//! `campanile import`: rosters from files, in batches of one transaction each. It may run beside a server on the same store.

mod oneroster;
mod zip;

use super::Source;
use crate::app::open_site;
use anyhow::{Context, Result, bail};
use campanile_contract::bench::service;
use campanile_contract::{CommandType, Refusal, Site, UnitError};
use campanile_features::roster::csv::{self, RowError, Table, oulad};
use campanile_features::roster::{IMPORT_ROWS_MAX, ImportRoster, RegisterPerson, SaveCourse, SavePerson};
use clap::{Args, Subcommand};
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use std::fs::File;
use std::hash::Hash;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Broken rows that are shown one by one; the rest are counted.
const SHOWN_MAX: u64 = 50;

/// Imports courses, people and registrations from files.
///
/// They go into the store, whether a server runs on it or not. Running it again changes only what is
/// different. Each wrong row is named with its file and line and costs only itself; the exit status is then 1.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile import csv --courses courses.csv --people people.csv --registrations registrations.csv
  campanile import oneroster export.zip
  campanile import oulad anonymisedData/ --store postgres://campanile@db/campanile")]
pub struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Reads courses.csv, studentInfo.csv and studentRegistration.csv (or .csv.gz) of the Open University's data set from a folder.
    Oulad {
        /// The folder.
        folder: PathBuf,
        #[command(flatten)]
        source: Source,
    },
    /// Reads a OneRoster 1.1 or 1.2 CSV export: a folder or a ZIP archive with manifest.csv, orgs.csv, courses.csv, classes.csv, users.csv,
    /// roles.csv (1.2) and enrollments.csv.
    ///
    /// A class becomes a course, and roles keep OneRoster's words. What is marked tobedeleted: an enrollment ends; a person, like one
    /// who is not enabled, is not approved any more; a class stays as it is and is counted. Nobody is approved by an import.
    Oneroster {
        /// The folder or archive.
        export: PathBuf,
        #[command(flatten)]
        source: Source,
    },
    /// Reads files with a header row: course_id,title – person_id,name,role[,cadet_id] – course_id,person_id[,role]. May be .gz.
    Csv {
        /// Courses.
        #[arg(long)]
        courses: Option<PathBuf>,
        /// People.
        #[arg(long)]
        people: Option<PathBuf>,
        /// Registrations.
        #[arg(long)]
        registrations: Option<PathBuf>,
        #[command(flatten)]
        source: Source,
    },
}

impl Import {
    pub(super) async fn run(self) -> Result<()> {
        let started = Instant::now();
        let mut importer = match &self.what {
            What::Oulad { source, .. } | What::Csv { source, .. } | What::Oneroster { source, .. } => {
                Importer::open(source).await?
            }
        };
        match &self.what {
            What::Oulad { folder, .. } => {
                let find = |name: &str| [folder.join(format!("{name}.csv.gz")), folder.join(format!("{name}.csv"))];
                let path =
                    |name| find(name).into_iter().find(|path| path.exists()).with_context(|| format!("no {name}.csv here"));
                importer.file(&path("courses")?, oulad::read_courses, courses_of).await?;
                importer.file(&path("studentInfo")?, oulad::read_people, people_of).await?;
                importer.file(&path("studentRegistration")?, oulad::read_registrations, registrations_of).await?;
            }
            What::Oneroster { export, .. } => oneroster::import(&mut importer, export).await?,
            What::Csv { courses, people, registrations, .. } => {
                if let Some(path) = courses {
                    importer.file(path, csv::read_courses, courses_of).await?;
                }
                if let Some(path) = people {
                    importer.file(path, csv::read_people, people_of).await?;
                }
                if let Some(path) = registrations {
                    importer.file(path, csv::read_registrations, registrations_of).await?;
                }
            }
        }
        importer.finish(started)
    }
}

/// A file as text, unpacked when it is gzip, counted by the bar as it is read.
type Input = Box<dyn Read>;

struct Importer {
    site: Site,
    command: CommandType,
    saved: u64,
    unchanged: u64,
    broken: u64,
}

/// The answer of `import_roster`.
#[derive(Deserialize)]
struct Answer {
    saved: u64,
    unchanged: u64,
}

impl Importer {
    async fn open(source: &Source) -> Result<Self> {
        let config = source.read()?;
        crate::log::start(&config.log)?;
        let site = open_site(&config).await?;
        let command = *site.registry.command("import_roster").map_err(anyhow::Error::from)?;
        Ok(Self { site, command, saved: 0, unchanged: 0, broken: 0 })
    }

    /// Imports one file whose rows are the roster's own.
    async fn file<Row: Clone + Hash>(
        &mut self,
        path: &Path,
        read: fn(&str, Input) -> Table<Input, Row>,
        rows_of: fn(Vec<Row>) -> ImportRoster,
    ) -> Result<()> {
        self.table(open(path)?, read, |row| Ok(Some(row)), rows_of).await
    }

    /// Imports what `keep` makes of a table's rows, in batches. A batch that is refused goes row by row, so that one wrong row costs only
    /// itself.
    async fn table<Row: Hash, Kept: Clone>(
        &mut self,
        Opened { name, bar, input }: Opened,
        read: fn(&str, Input) -> Table<Input, Row>,
        mut keep: impl FnMut(Row) -> Result<Option<Kept>, String>,
        rows_of: fn(Vec<Kept>) -> ImportRoster,
    ) -> Result<()> {
        let mut table = read(&name, input);
        let mut ended = false;
        while !ended {
            let mut rows = Vec::with_capacity(IMPORT_ROWS_MAX);
            while rows.len() < IMPORT_ROWS_MAX && !ended {
                match table.next() {
                    Some(Ok(row)) => match keep(row) {
                        Ok(kept) => rows.extend(kept),
                        Err(reason) => {
                            let error = RowError { file: name.clone(), line: table.line(), reason };
                            self.broken(&bar, &error.to_string());
                        }
                    },
                    Some(Err(error)) => self.broken(&bar, &error.to_string()),
                    None => ended = true,
                }
            }
            if rows.is_empty() || self.send(rows_of(rows.clone())).await?.is_ok() {
                continue;
            }
            for row in rows {
                if let Err(refusal) = self.send(rows_of(vec![row])).await? {
                    self.broken(&bar, &format!("{name}: {}", refusal.message));
                }
            }
        }
        let summary = table.summary();
        if !summary.unknown_columns.is_empty() {
            let columns = super::terminal::harmless(&summary.unknown_columns.join(", ")).into_owned();
            say(&bar, &format!("{name}: columns not used: {columns}"));
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn broken(&mut self, bar: &ProgressBar, sentence: &str) {
        self.broken += 1;
        if self.broken <= SHOWN_MAX {
            say(bar, sentence);
        }
    }

    async fn send(&mut self, rows: ImportRoster) -> Result<Result<(), Refusal>> {
        let fields = serde_json::to_value(rows)?;
        match self.site.command(&service(&["roster"]), &self.command, fields, None).await {
            Ok(outcome) => {
                let answer: Answer = serde_json::from_str(&outcome.answer)?;
                self.saved += answer.saved;
                self.unchanged += answer.unchanged;
                Ok(Ok(()))
            }
            Err(UnitError::Refused(refusal)) => Ok(Err(refusal)),
            Err(UnitError::Store(error)) => Err(error).context("the import stopped; running it again goes on where it was"),
        }
    }
}

impl Importer {
    fn finish(self, started: Instant) -> Result<()> {
        let Self { saved, unchanged, broken, .. } = self;
        let took_s = started.elapsed().as_secs_f64();
        say(
            &ProgressBar::hidden(),
            &format!("{saved} rows saved, {unchanged} were so already, {broken} broken, in {took_s:.1} s"),
        );
        if broken > 0 {
            bail!("{broken} rows were not imported");
        }
        Ok(())
    }
}

fn courses_of(courses: Vec<SaveCourse>) -> ImportRoster {
    ImportRoster { courses, ..ImportRoster::default() }
}

fn people_of(people: Vec<SavePerson>) -> ImportRoster {
    ImportRoster { people, ..ImportRoster::default() }
}

fn registrations_of(registrations: Vec<RegisterPerson>) -> ImportRoster {
    ImportRoster { registrations, ..ImportRoster::default() }
}

/// A file that is being read, and its bar.
struct Opened {
    name: String,
    bar: ProgressBar,
    input: Input,
}

/// Opens a file; its bar counts the bytes on the disk.
fn open(path: &Path) -> Result<Opened> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let length = file.metadata()?.len();
    let mut opened = opened(&name, length, file)?;
    if name.ends_with(".gz") {
        opened.input = Box::new(MultiGzDecoder::new(opened.input));
    }
    Ok(opened)
}

/// A file of so many bytes.
fn opened(name: &str, length: u64, input: impl Read + 'static) -> Result<Opened> {
    let bar = ProgressBar::new(length).with_message(name.to_owned());
    let style = ProgressStyle::with_template("{msg:28} [{bar:40}] {percent:>3} %  {eta} left")?;
    bar.set_style(style.progress_chars("=> "));
    let input = Box::new(bar.wrap_read(input));
    Ok(Opened { name: name.to_owned(), bar, input })
}

#[allow(clippy::print_stderr, reason = "the operator reads it")]
fn say(bar: &ProgressBar, sentence: &str) {
    bar.suspend(|| eprintln!("{sentence}"));
}
