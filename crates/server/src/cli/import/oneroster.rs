//! `campanile import oneroster`: an export as a folder or a ZIP archive.

use super::zip::Archive;
use super::{Importer, Opened, courses_of, opened, people_of, registrations_of, say};
use anyhow::{Context, Result, bail};
use campanile_features::roster::csv::oneroster::{self, Enrollment};
use campanile_features::roster::{ImportRoster, Role};
use indicatif::ProgressBar;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Where the files of an export lie.
enum Export {
    Folder(PathBuf),
    Archive(Archive),
}

/// What the files named so far, to hold the later ones against. None where a file is not in the export: then only the roster knows.
#[derive(Default)]
struct Named {
    orgs: Option<HashSet<String>>,
    courses: Option<HashSet<String>>,
    classes: Option<HashSet<String>>,
    users: Option<HashSet<String>>,
    roles: HashMap<String, (Role, bool)>,
    /// Classes marked `tobedeleted`.
    kept: u64,
}

pub(super) async fn import(importer: &mut Importer, path: &Path) -> Result<()> {
    let export = Export::open(path)?;
    let files = export.files()?;
    let open = |name: &str| match files.contains(name) {
        true => export.file(name)?.with_context(|| format!("manifest.csv promises {name}, which is not there")).map(Some),
        false => Ok(None),
    };
    let mut named = Named::default();
    if let Some(file) = open("orgs.csv")? {
        named.orgs = Some(ids(importer, file, oneroster::read_orgs).await?);
    }
    if let Some(file) = open("courses.csv")? {
        named.courses = Some(ids(importer, file, oneroster::read_courses).await?);
    }
    if let Some(file) = open("roles.csv")? {
        roles(importer, file, &mut named).await?;
    }
    if let Some(file) = open("classes.csv")? {
        classes(importer, file, &mut named).await?;
    }
    if let Some(file) = open("users.csv")? {
        users(importer, file, &mut named).await?;
    }
    if let Some(file) = open("enrollments.csv")? {
        enrollments(importer, file, &named).await?;
    }
    if named.kept > 0 {
        let sentence = "classes are marked tobedeleted and were left as they are: an import ends their enrollments, not them";
        say(&ProgressBar::hidden(), &format!("{} {sentence}", named.kept));
    }
    Ok(())
}

impl Export {
    fn open(path: &Path) -> Result<Self> {
        if path.is_dir() { Ok(Self::Folder(path.to_owned())) } else { Archive::open(path).map(Self::Archive) }
    }

    /// Opens a file of the export; none when it is not there.
    fn file(&self, name: &str) -> Result<Option<Opened>> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                if path.exists() { super::open(&path).map(Some) } else { Ok(None) }
            }
            Self::Archive(archive) => {
                let Some((length, member)) = archive.member(name)? else { return Ok(None) };
                opened(name, length, member).map(Some)
            }
        }
    }

    /// The files that the manifest promises. An absent one is not read, even when it lies there.
    fn files(&self) -> Result<HashSet<String>> {
        let opened = self.file("manifest.csv")?.context("no manifest.csv here: this is no OneRoster export")?;
        let mut files = HashSet::new();
        let mut version = None;
        for row in oneroster::read_manifest("manifest.csv", opened.input) {
            let property = row.map_err(|error| anyhow::anyhow!("{error}"))?;
            match (property.name.as_str(), property.value.as_str()) {
                ("oneroster.version", value) => version = Some(value.to_owned()),
                (name, value) => {
                    let Some(name) = name.strip_prefix("file.") else { continue };
                    match value {
                        "bulk" | "delta" => _ = files.insert(format!("{name}.csv")),
                        "absent" => {}
                        _ => bail!("manifest.csv: file.{name} is none of absent, bulk and delta"),
                    }
                }
            }
        }
        match version.as_deref() {
            Some("1.1" | "1.2") => Ok(files),
            _ => bail!("manifest.csv: oneroster.version must be 1.1 or 1.2"),
        }
    }
}

type ReadKnown = fn(&str, super::Input) -> super::Table<super::Input, oneroster::Known>;

/// Reads the ids of a file of which nothing else is needed.
async fn ids(importer: &mut Importer, file: Opened, read: ReadKnown) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    let keep = |row: oneroster::Known| {
        found.insert(row.sourced_id);
        Ok(None::<()>)
    };
    importer.table(file, read, keep, |_| ImportRoster::default()).await?;
    Ok(found)
}

async fn roles(importer: &mut Importer, file: Opened, named: &mut Named) -> Result<()> {
    let keep = |row: oneroster::UserRole| {
        let known = named.roles.get(&row.user_sourced_id);
        if !row.is_deleted && known.is_none_or(|(_, is_primary)| row.is_primary && !is_primary) {
            named.roles.insert(row.user_sourced_id, (row.role, row.is_primary));
        }
        Ok(None::<()>)
    };
    importer.table(file, oneroster::read_roles, keep, |_| ImportRoster::default()).await
}

async fn classes(importer: &mut Importer, file: Opened, named: &mut Named) -> Result<()> {
    let Named { orgs, courses, kept, .. } = named;
    let mut found = HashSet::new();
    let keep = |row: oneroster::Class| {
        must_be_in(courses.as_ref(), &row.course_sourced_id, "courseSourcedId", "courses.csv")?;
        must_be_in(orgs.as_ref(), &row.school_sourced_id, "schoolSourcedId", "orgs.csv")?;
        found.insert(row.course.course_id.to_string());
        *kept += u64::from(row.is_deleted);
        Ok((!row.is_deleted).then_some(row.course))
    };
    importer.table(file, oneroster::read_classes, keep, courses_of).await?;
    named.classes = Some(found);
    Ok(())
}

async fn users(importer: &mut Importer, file: Opened, named: &mut Named) -> Result<()> {
    let Named { orgs, roles, .. } = named;
    let mut found = HashSet::new();
    let keep = |row: oneroster::User| {
        for org in &row.org_sourced_ids {
            must_be_in(orgs.as_ref(), org, "orgSourcedIds", "orgs.csv")?;
        }
        let id = row.person_id.to_string();
        let person = row.person(roles.get(&id).map(|(role, _)| role))?;
        found.insert(id);
        Ok(Some(person))
    };
    importer.table(file, oneroster::read_users, keep, people_of).await?;
    named.users = Some(found);
    Ok(())
}

async fn enrollments(importer: &mut Importer, file: Opened, named: &Named) -> Result<()> {
    let keep = |row: Enrollment| {
        let (class, user) = (row.registration.course_id.as_str(), row.registration.person_id.as_str());
        must_be_in(named.classes.as_ref(), class, "classSourcedId", "classes.csv")?;
        must_be_in(named.users.as_ref(), user, "userSourcedId", "users.csv")?;
        Ok(Some(row))
    };
    importer.table(file, oneroster::read_enrollments, keep, enrollments_of).await
}

fn enrollments_of(rows: Vec<Enrollment>) -> ImportRoster {
    let (ended, lasting): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.is_deleted);
    let registrations = registrations_of(lasting.into_iter().map(|row| row.registration).collect());
    ImportRoster { withdrawals: ended.into_iter().map(Enrollment::withdrawal).collect(), ..registrations }
}

/// A reference into a file of the same export leads somewhere.
fn must_be_in(known: Option<&HashSet<String>>, id: &str, column: &str, file: &str) -> Result<(), String> {
    match known {
        Some(known) if !known.contains(id) => Err(format!("{column}: not in {file}, or in a row of it that is broken")),
        _ => Ok(()),
    }
}
