//! 515 strings that have broken somebody's software: each is stored and told as it came, or refused with `invalid_data`.

use campanile_contract::bench::{Bench, service};
use campanile_contract::{ErrorCode, Id, Line, Refusal, Text};
use campanile_features::ALL;
use campanile_features::roster::csv;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::path::Path;

/// Prints past the test runner, which swallows what passing tests print: the figures are meant to be read.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "vectors: {line}");
}

/// The strings; none, and a line that says so, where the environment does not name the vectors.
fn strings() -> Vec<String> {
    let Ok(folder) = std::env::var("CAMPANILE_VECTORS") else {
        say("skipped: CAMPANILE_VECTORS is not set (naughty-strings)");
        return Vec::new();
    };
    let json = std::fs::read_to_string(Path::new(&folder).join("naughty-strings/blns.json")).unwrap();
    let strings: Vec<String> = serde_json::from_str(&json).unwrap();
    assert!(strings.len() >= 500);
    say(&format!("naughty-strings: {} strings stored and told, on every store", strings.len()));
    strings
}

/// The one decision about a string: whether it can stand in a line.
fn is_line(text: &str) -> bool {
    (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[tokio::test]
async fn a_name_is_told_as_it_came_or_refused() {
    let strings = strings();
    for bench in Bench::on_every_store(ALL).await {
        let admin = service(&["roster"]);
        let save = async |(place, name): (usize, &String)| {
            let fields = json!({"person_id": place, "name": name, "role": "student"});
            bench.run(&admin, "save_person", fields).await.map(|outcome| outcome.events[0].id)
        };
        let answers = join_all(strings.iter().enumerate().map(save)).await;
        let events = bench.site.journal.read(0, 10_000, 10_000).await.unwrap();
        for (name, answer) in strings.iter().zip(answers) {
            let told = answer.map(|id| events[usize::try_from(id - 1).unwrap()].data.to_string());
            check(name, told.map(|data| serde_json::from_str::<Value>(&data).unwrap()["name"].clone()));
        }
        let mut reader = bench.site.journal.reader().await.unwrap();
        let rows = reader.fetch("SELECT person_id, name FROM person", &[]).await.unwrap();
        assert_eq!(rows.len(), strings.iter().filter(|name| is_line(name)).count());
        for row in rows {
            let place: usize = row.text("person_id").unwrap().parse().unwrap();
            assert_eq!(row.text("name").unwrap(), strings[place]);
        }
    }
}

fn check(given: &str, told: Result<Value, Refusal>) {
    match told {
        Ok(told) => assert_eq!(told, given),
        Err(refusal) => {
            assert!(!is_line(given), "{given:?} was refused: {refusal}");
            assert_eq!(refusal.code, ErrorCode::InvalidData, "{given:?}");
            assert!(refusal.message.starts_with("name: "), "{given:?}: {refusal}");
        }
    }
}

#[tokio::test]
async fn an_id_is_the_same_one_everywhere_or_refused() {
    let strings = strings();
    for bench in Bench::on_every_store(ALL).await {
        let admin = service(&["roster"]);
        for course in strings.chunks(600) {
            let (fine, broken): (Vec<_>, Vec<_>) = course.iter().partition(|text| Id::new(text).is_ok());
            let courses: Vec<Value> =
                fine.iter().map(|id| json!({"course_id": id, "title": id.chars().take(200).collect::<String>()})).collect();
            bench.run(&admin, "import_roster", json!({ "courses": courses })).await.unwrap();
            for id in broken {
                let refusal = bench.run(&admin, "save_course", json!({"course_id": id, "title": "A"})).await.unwrap_err();
                assert_eq!(refusal.code, ErrorCode::InvalidData, "{id:?}");
            }
        }
        let events = bench.site.journal.read(0, 10_000, 10_000).await.unwrap();
        for event in &events {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(event.channel.as_str(), format!("course:{}", data["course_id"].as_str().unwrap()));
        }
        let distinct: std::collections::BTreeSet<_> = strings.iter().filter(|text| Id::new(text).is_ok()).collect();
        assert_eq!(events.len(), distinct.len());
    }
}

#[test]
fn a_field_of_a_csv_file_is_read_as_it_was_written_or_refused() {
    let strings = strings();
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(["course_id", "title"]).unwrap();
    for (place, title) in strings.iter().enumerate() {
        writer.write_record([&place.to_string(), title]).unwrap();
    }
    let file = writer.into_inner().unwrap();
    let rows: Vec<_> = csv::read_courses("blns", &file[..]).collect();
    let read = rows.iter().flatten().map(|row| (row.course_id.to_string(), row.title.as_str().to_owned()));
    let fine = strings.iter().enumerate().filter(|(_, title)| Line::<200>::new(title.as_str()).is_ok());
    assert!(read.eq(fine.map(|(place, title)| (place.to_string(), title.clone()))));
    assert!(rows.iter().any(Result::is_err) || strings.is_empty(), "some of them are refused");
}

#[tokio::test]
async fn what_graders_write_is_told_and_recorded_as_it_came_or_refused() {
    let strings = strings();
    for bench in Bench::on_every_store(ALL).await {
        let grader = service(&["grading", "notifications"]);
        bench.run(&grader, "save_cadet", json!({"cadet_id": 1, "name": "Grace"})).await.unwrap();
        for text in &strings {
            let merit = json!({"cadet_id": 1, "type": "merit", "points": 1, "reason": text});
            let message = json!({"user_id": 1, "message": text});
            for (name, fields, field) in [("add_merit", merit, "reason"), ("send_notification", message, "message")] {
                match bench.run(&grader, name, fields).await {
                    Ok(outcome) => {
                        let id = outcome.events[0].id;
                        let events = bench.site.journal.read(id - 1, id, 1).await.unwrap();
                        assert_eq!(serde_json::from_str::<Value>(&events[0].data).unwrap()[field], **text);
                    }
                    Err(refusal) => {
                        assert!(Text::<2_000>::new(text.as_str()).is_err(), "{text:?} was refused: {refusal}");
                        assert_eq!(refusal.code, ErrorCode::InvalidData, "{text:?}");
                        assert!(refusal.message.starts_with(&format!("{field}: ")), "{text:?}: {refusal}");
                    }
                }
            }
        }
        let taken = strings.iter().filter(|text| Text::<2_000>::new(text.as_str()).is_ok()).count();
        let sheet = bench.ask(&grader, "/api/cadets/{cadet_id}", json!({"cadet_id": "1"})).await.unwrap();
        assert_eq!(sheet["merit_points"], taken);
        let mut reader = bench.site.journal.reader().await.unwrap();
        let rows = reader.fetch("SELECT reason FROM merit ORDER BY version", &[]).await.unwrap();
        let kept: Vec<_> = rows.iter().map(|row| row.text("reason").unwrap()).collect();
        assert!(kept.iter().eq(strings.iter().filter(|text| Text::<2_000>::new(text.as_str()).is_ok())));
    }
}
