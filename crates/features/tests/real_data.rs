//! The Open University's data set: read without an error, and imported.

use campanile_contract::bench::{Bench, service};
use campanile_features::ALL;
use campanile_features::roster::csv::{Table, oulad};
use campanile_features::roster::{IMPORT_ROWS_MAX, ImportRoster};
use flate2::read::GzDecoder;
use std::fs::File;
use std::hash::Hash;
use std::io::Read;
use std::path::{Path, PathBuf};

fn folder() -> Option<PathBuf> {
    match std::env::var("CAMPANILE_FIXTURES") {
        Ok(folder) => Some(Path::new(&folder).join("oulad")),
        Err(_) => {
            println!("CAMPANILE_FIXTURES is not set: real data was not read");
            None
        }
    }
}

/// All rows of a table; any error is a failure.
fn read<Row: Hash>(folder: &Path, name: &str, table: fn(&str, GzDecoder<File>) -> Table<GzDecoder<File>, Row>) -> Vec<Row> {
    let file = GzDecoder::new(File::open(folder.join(name)).unwrap());
    let mut table = table(name, file);
    let rows = table.by_ref().map(|row| row.unwrap_or_else(|error| panic!("{error}"))).collect();
    println!("{}", table.summary());
    assert_eq!(table.summary().unknown_columns, [""; 0]);
    rows
}

#[tokio::test]
async fn every_course_student_and_registration_is_imported() {
    let Some(folder) = folder() else { return };
    let courses = read(&folder, "courses.csv.gz", oulad::read_courses);
    let people = read(&folder, "studentInfo.csv.gz", oulad::read_people);
    let registrations = read(&folder, "studentRegistration.csv.gz", oulad::read_registrations);
    assert_eq!((courses.len(), people.len(), registrations.len()), (22, 28_785, 32_593));

    let bench = Bench::new(ALL).await;
    let mut imports = vec![ImportRoster { courses, ..ImportRoster::default() }];
    imports
        .extend(people.chunks(IMPORT_ROWS_MAX).map(|rows| ImportRoster { people: rows.to_vec(), ..ImportRoster::default() }));
    let of = |rows: &[_]| ImportRoster { registrations: rows.to_vec(), ..ImportRoster::default() };
    imports.extend(registrations.chunks(IMPORT_ROWS_MAX).map(of));
    for import in &imports {
        let answer = bench.run(&service(&["roster"]), "import_roster", serde_json::to_value(import).unwrap()).await.unwrap();
        assert_eq!(answer.answer, format!(r#"{{"saved":{},"unchanged":0}}"#, import.rows()));
    }
    let mut reader = bench.site.journal.reader().await.unwrap();
    let sql = "SELECT COUNT(*) AS size FROM registration GROUP BY course_id ORDER BY size DESC LIMIT 1";
    assert_eq!(reader.fetch(sql, &[]).await.unwrap()[0].count("size").unwrap(), 2_498);
}

#[test]
fn a_file_that_is_cut_off_gives_its_rows_and_then_an_error() {
    let Some(folder) = folder() else { return };
    let whole = std::fs::read(folder.join("studentRegistration.csv.gz")).unwrap();
    let cut = GzDecoder::new(whole.as_slice().take(whole.len() as u64 / 2));
    let mut table = oulad::read_registrations("cut", cut);
    let rows: Vec<_> = table.by_ref().collect();
    assert!(rows.last().unwrap().as_ref().unwrap_err().reason.starts_with("the file cannot be read on"));
    assert!(table.summary().rows > 10_000 && table.summary().broken == 1, "{}", table.summary());
}
