//! The rules of grading, on every store.

use super::{FEATURE, POINTS_MAX, event};
use campanile_contract::bench::{Bench, person, service};
use campanile_contract::{Caller, ErrorCode, EventType, Id, Refusal};
use futures_util::future::join_all;
use serde_json::{Value, json};

const CADET: &str = r#"save_cadet {"cadet_id":1,"name":"Grace"}"#;
const DAY: &str = r#"save_training_day {"training_day_id":5,"date":"2026-01-15","title":"Drill"}"#;
const MERIT: &str = r#"add_merit {"cadet_id":1,"type":"merit","points":5,"reason":"Outstanding performance"}"#;
const PRESENT: &str = r#"mark_attendance {"training_day_id":5,"cadet_id":1,"status":"present","time_in":"08:00:00"}"#;
const SCORES: &str = r#"save_exam_scores {"cadet_id":1,"prelim_score":85.5,"midterm_score":90.0,"version":1}"#;
const SHEET: &str = r#"/api/cadets/{cadet_id} {"cadet_id":"1"}"#;
const CHANGES: &str = r#"/api/cadets/{cadet_id}/changes {"cadet_id":"1"}"#;

/// Runs steps in order and looks at the last: the events it caused, and then its answer or refusal. On every store.
async fn check(given: &[&str], expect: &[&str]) {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        check_on(bench, &service(&["grading"]), given, expect).await;
    }
}

/// As [`check`], with the last step asked for by somebody else. On SQLite alone: who may is decided before the store.
async fn check_as(caller: &Caller, given: &[&str], expect: &[&str]) {
    check_on(Bench::new(&[FEATURE]).await, caller, given, expect).await;
}

async fn check_on(mut bench: Bench, caller: &Caller, given: &[&str], expect: &[&str]) {
    let (last, before) = given.split_last().expect("a step");
    for step in before {
        let answer = run(&bench, &service(&["grading"]), step).await;
        assert!(answer.starts_with('{'), "{step}: {answer}");
    }
    bench.new_events().await;
    let answer = run(&bench, caller, last).await;
    let mut outcome = bench.new_events().await;
    outcome.push(answer);
    assert_eq!(outcome, expect, "{given:#?}");
}

/// A step is a command's name or a query's path, and its fields. A refusal that brings what is true now shows its version.
async fn run(bench: &Bench, caller: &Caller, step: &str) -> String {
    try_step(bench, caller, step).await.unwrap_or_else(|refusal| match &refusal.current {
        Some(current) => format!("{}, current version {}", refusal.code, current["version"]),
        None => refusal.to_string(),
    })
}

async fn try_step(bench: &Bench, caller: &Caller, step: &str) -> Result<String, Refusal> {
    let (name, fields) = step.split_once(' ').expect("a name and fields");
    let fields: Value = serde_json::from_str(fields).expect("fields are JSON");
    match name.starts_with('/') {
        true => bench.ask(caller, name, fields).await.map(|answer| answer.to_string()),
        false => bench.run(caller, name, fields).await.map(|outcome| outcome.answer),
    }
}

async fn ask(bench: &Bench, step: &str) -> Value {
    serde_json::from_str(&run(bench, &service(&["grading"]), step).await).unwrap()
}

fn cadet(id: i64, cadet_id: i64) -> Caller {
    let Caller::Person(mut caller) = person(id, "cadet") else { unreachable!("a person is a person") };
    caller.cadet = Some(Id::from(cadet_id));
    Caller::Person(caller)
}

// What the seed prints, word for word.

#[tokio::test]
async fn a_merit_is_told_as_the_seed_prints_it() {
    let day = |day: u32| {
        [
            format!(r#"save_training_day {{"training_day_id":{day},"date":"2026-01-15","title":"Drill"}}"#),
            format!(r#"mark_attendance {{"training_day_id":{day},"cadet_id":1,"status":"present"}}"#),
        ]
    };
    let mut steps = vec![CADET.to_owned(), SCORES.to_owned()];
    steps.extend((1..=15).flat_map(day));
    steps.push(r#"add_merit {"cadet_id":1,"type":"merit","points":20,"reason":""}"#.into());
    steps.push(r#"add_merit {"cadet_id":1,"type":"demerit","points":10,"reason":"Late"}"#.into());
    steps.push(MERIT.into());
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    check(
        &steps,
        &[
            "grade_update cadet:1 {\"cadet_id\":1,\"type\":\"merit\",\"points\":5,\"merit_points\":25,\"demerit_points\":10,\
             \"reason\":\"Outstanding performance\",\"attendance_present\":15,\"prelim_score\":85.5,\"midterm_score\":90.0,\
             \"final_score\":null}",
            r#"{"cadet_id":1,"merit_id":"m-20","version":20,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn attendance_is_told_as_the_seed_prints_it() {
    check(
        &[CADET, DAY, PRESENT],
        &[
            "attendance_update cadet:1 {\"cadet_id\":1,\"training_day_id\":5,\"status\":\"present\",\"attendance_present\":1,\
             \"time_in\":\"08:00:00\",\"time_out\":null}",
            r#"{"training_day_id":5,"cadet_id":1,"version":2,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn exam_scores_are_told_as_the_seed_prints_them() {
    check(
        &[CADET, SCORES, r#"save_exam_scores {"cadet_id":1,"prelim_score":85.5,"final_score":88,"version":2}"#],
        &[
            "exam_score_update cadet:1 {\"cadet_id\":1,\"prelim_score\":85.5,\"midterm_score\":90.0,\"final_score\":88.0,\
             \"changed_scores\":{\"final_score\":88.0}}",
            r#"{"cadet_id":1,"version":3,"changed":true}"#,
        ],
    )
    .await;
}

// The sheet.

#[tokio::test]
async fn a_new_cadet_has_an_empty_sheet() {
    check(&[CADET], &[r#"{"cadet_id":1,"version":1,"changed":true}"#]).await;
    let sheet = json!({
        "cadet_id": 1, "name": "Grace", "merit_points": 0, "demerit_points": 0, "attendance_present": 0, "prelim_score": null,
        "midterm_score": null, "final_score": null, "version": 1, "changed_by": "key:bench",
        "changed_at": "2026-01-01T00:00:00.000Z",
    });
    check(&[CADET, SHEET], &[&sheet.to_string()]).await;
}

#[tokio::test]
async fn the_same_cadet_told_again_is_no_change() {
    check(&[CADET, CADET], &[r#"{"cadet_id":1,"version":1,"changed":false}"#]).await;
    let with_version = CADET.replace('}', r#","version":1}"#);
    check(&[CADET, &with_version], &[r#"{"cadet_id":1,"version":1,"changed":false}"#]).await;
}

#[tokio::test]
async fn an_id_is_one_however_it_is_spelled_and_shown_as_it_was_first() {
    check(
        &[CADET, r#"add_merit {"cadet_id":"1","merit_id":7,"type":"demerit","points":3,"reason":"Late"}"#],
        &[
            "grade_update cadet:1 {\"cadet_id\":1,\"type\":\"demerit\",\"points\":3,\"merit_points\":0,\"demerit_points\":3,\
             \"reason\":\"Late\",\"attendance_present\":0,\"prelim_score\":null,\"midterm_score\":null,\"final_score\":null}",
            r#"{"cadet_id":"1","merit_id":7,"version":2,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_name_is_changed_by_whoever_read_the_sheet_as_it_is() {
    let rename = r#"save_cadet {"cadet_id":1,"name":"Grace H.","version":1}"#;
    check(&[CADET, rename], &[r#"{"cadet_id":1,"version":2,"changed":true}"#]).await;
    check(&[CADET, rename, rename], &["stale_version, current version 2"]).await;
    check(&[CADET, &rename.replace(",\"version\":1", "")], &["stale_version, current version 1"]).await;
    check(&[rename], &["not_found: there is no cadet 1"]).await;
}

// Scores.

#[tokio::test]
async fn of_two_graders_with_one_version_the_late_one_is_told_what_is_true_now() {
    for mut bench in Bench::on_every_store(&[FEATURE]).await {
        let (anna, ben) = (person(10, "training_staff"), person(11, "admin"));
        run(&bench, &anna, CADET).await;
        let first = run(&bench, &anna, r#"save_exam_scores {"cadet_id":1,"prelim_score":70,"version":1}"#).await;
        assert_eq!(first, r#"{"cadet_id":1,"version":2,"changed":true}"#);
        bench.new_events().await;
        let late = r#"save_exam_scores {"cadet_id":1,"prelim_score":80,"version":1}"#;
        let refusal = try_step(&bench, &ben, late).await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::StaleVersion);
        let current = *refusal.current.unwrap();
        assert_eq!((&current["prelim_score"], &current["version"]), (&json!(70.0), &json!(2)));
        assert_eq!((&current["changed_by"], &current["name"]), (&json!("user:10"), &json!("Grace")));
        assert_eq!(current, ask(&bench, SHEET).await, "what the late grader is told is the sheet");
        assert!(bench.new_events().await.is_empty());
        let again = run(&bench, &ben, r#"save_exam_scores {"cadet_id":1,"prelim_score":80,"version":2}"#).await;
        assert_eq!(again, r#"{"cadet_id":1,"version":3,"changed":true}"#);
    }
}

#[tokio::test]
async fn null_clears_a_score_and_what_is_left_out_stays() {
    check(
        &[CADET, SCORES, r#"save_exam_scores {"cadet_id":1,"prelim_score":null,"version":2}"#],
        &[
            "exam_score_update cadet:1 {\"cadet_id\":1,\"prelim_score\":null,\"midterm_score\":90.0,\"final_score\":null,\
             \"changed_scores\":{\"prelim_score\":null}}",
            r#"{"cadet_id":1,"version":3,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn scores_that_are_so_already_are_no_event() {
    let again = SCORES.replace("\"version\":1", "\"version\":2");
    check(&[CADET, SCORES, &again], &[r#"{"cadet_id":1,"version":2,"changed":false}"#]).await;
    check(&[CADET, r#"save_exam_scores {"cadet_id":1,"version":1}"#], &[r#"{"cadet_id":1,"version":1,"changed":false}"#]).await;
}

#[tokio::test]
async fn scores_without_a_version_or_a_cadet_are_refused() {
    check(&[CADET, r#"save_exam_scores {"cadet_id":1,"final_score":1}"#], &["stale_version, current version 1"]).await;
    check(&[SCORES], &["not_found: there is no cadet 1"]).await;
}

#[tokio::test]
async fn a_score_lies_between_0_and_100() {
    let of = |score: &str| SCORES.replace("85.5", score);
    for (score, why) in [
        ("-0.5", "invalid_data: prelim_score: a number from 0 to 100 is needed"),
        ("100.1", "invalid_data: prelim_score: a number from 0 to 100 is needed"),
        (r#""85""#, r#"invalid_data: prelim_score: invalid type: string "85", expected f64"#),
        ("true", "invalid_data: prelim_score: invalid type: boolean `true`, expected f64"),
    ] {
        check_as(&service(&["grading"]), &[CADET, &of(score)], &[why]).await;
    }
}

// Merits.

#[tokio::test]
async fn a_merit_with_an_id_of_the_host_is_added_once() {
    let add = r#"add_merit {"cadet_id":1,"merit_id":7,"type":"merit","points":5,"reason":""}"#;
    check(&[CADET, add, add], &[r#"{"cadet_id":1,"merit_id":7,"version":2,"changed":false}"#]).await;
    check(&[CADET, add, &add.replace('5', "6")], &["stale_version, current version 2"]).await;
}

#[tokio::test]
async fn an_id_that_is_made_here_cannot_be_given() {
    let add = r#"add_merit {"cadet_id":1,"merit_id":"m-2","type":"merit","points":5,"reason":""}"#;
    check_as(&service(&["grading"]), &[add], &["invalid_data: merit_id: ids that begin with m- are made here"]).await;
}

#[tokio::test]
async fn what_is_added_has_no_version_yet() {
    let add = MERIT.replace('}', r#","version":1}"#);
    let expect = "invalid_data: version: what is added is new, so its version is 0 or left out";
    check_as(&service(&["grading"]), &[CADET, &add], &[expect]).await;
}

#[tokio::test]
async fn a_corrected_merit_moves_the_sums() {
    check(
        &[
            CADET,
            MERIT,
            r#"change_merit {"cadet_id":1,"merit_id":"m-2","type":"demerit","points":8,"reason":"Mistaken","version":2}"#,
        ],
        &[
            "grade_update cadet:1 {\"cadet_id\":1,\"type\":\"demerit\",\"points\":8,\"merit_points\":0,\"demerit_points\":8,\
             \"reason\":\"Mistaken\",\"attendance_present\":0,\"prelim_score\":null,\"midterm_score\":null,\"final_score\":null}",
            r#"{"cadet_id":1,"merit_id":"m-2","version":3,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_removed_merit_counts_nothing() {
    check(
        &[CADET, MERIT, r#"remove_merit {"cadet_id":1,"merit_id":"m-2","version":2}"#],
        &[
            "grade_update cadet:1 {\"cadet_id\":1,\"type\":\"merit\",\"points\":0,\"merit_points\":0,\"demerit_points\":0,\
             \"reason\":\"Outstanding performance\",\"attendance_present\":0,\"prelim_score\":null,\"midterm_score\":null,\
             \"final_score\":null}",
            r#"{"cadet_id":1,"merit_id":"m-2","version":3,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_merit_is_changed_by_whoever_read_it_as_it_is() {
    let change = r#"change_merit {"cadet_id":1,"merit_id":"m-2","type":"merit","points":6,"reason":"","version":2}"#;
    let remove = r#"remove_merit {"cadet_id":1,"merit_id":"m-2","version":2}"#;
    check(&[CADET, MERIT, change, change], &["stale_version, current version 3"]).await;
    check(&[CADET, MERIT, change, remove], &["stale_version, current version 3"]).await;
    check(&[CADET, MERIT, &change.replace(",\"version\":2", "")], &["stale_version, current version 2"]).await;
    check(&[CADET, MERIT, remove, change], &["not_found: cadet 1 has no merit m-2"]).await;
    check(&[CADET, MERIT, remove, remove], &["not_found: cadet 1 has no merit m-2"]).await;
    check(&[CADET, change], &["not_found: cadet 1 has no merit m-2"]).await;
    check(&[MERIT], &["not_found: there is no cadet 1"]).await;
    let so_already = r#"change_merit {"cadet_id":1,"merit_id":"m-2","type":"merit","points":6,"reason":"","version":3}"#;
    check(&[CADET, MERIT, change, so_already], &[r#"{"cadet_id":1,"merit_id":"m-2","version":3,"changed":false}"#]).await;
}

#[tokio::test]
async fn a_merit_that_was_removed_and_added_again_is_another_version() {
    let add = r#"add_merit {"cadet_id":1,"merit_id":7,"type":"merit","points":5,"reason":""}"#;
    let remove = r#"remove_merit {"cadet_id":1,"merit_id":7,"version":2}"#;
    check(&[CADET, add, remove, add, remove], &["stale_version, current version 4"]).await;
}

#[tokio::test]
async fn points_are_a_whole_number_in_bounds() {
    let most = POINTS_MAX.to_string();
    let too_many = (POINTS_MAX + 1).to_string();
    check_as(&service(&["grading"]), &[&MERIT.replace('5', &most)], &["not_found: there is no cadet 1"]).await;
    for (points, why) in [
        ("-1", "invalid_data: points: a whole number from 0 to 1000000 is needed"),
        (too_many.as_str(), "invalid_data: points: a whole number from 0 to 1000000 is needed"),
        ("5.5", "invalid_data: points: invalid type: floating point `5.5`, expected i64"),
        ("null", "invalid_data: points: invalid type: null, expected i64"),
    ] {
        check_as(&service(&["grading"]), &[&MERIT.replace('5', points)], &[why]).await;
    }
}

// Attendance.

#[tokio::test]
async fn only_present_counts_as_present() {
    let mark = |status: &str, version: u32| {
        format!(r#"mark_attendance {{"training_day_id":5,"cadet_id":1,"status":"{status}","version":{version}}}"#)
    };
    let event = |status: &str, count: u32| {
        format!(
            "attendance_update cadet:1 {{\"cadet_id\":1,\"training_day_id\":5,\"status\":\"{status}\",\"attendance_present\":\
             {count},\"time_in\":null,\"time_out\":null}}"
        )
    };
    let mut steps = vec![CADET.to_owned(), DAY.to_owned()];
    for (place, (status, count)) in
        [("late", 0), ("present", 1), ("absent", 0), ("present", 1), ("excused", 0)].into_iter().enumerate()
    {
        let read = if place == 0 { 0 } else { u32::try_from(place).unwrap() + 1 };
        steps.push(mark(status, read));
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let answer = format!(r#"{{"training_day_id":5,"cadet_id":1,"version":{},"changed":true}}"#, place + 2);
        check(&steps, &[&event(status, count), &answer]).await;
    }
}

#[tokio::test]
async fn a_mark_is_changed_by_whoever_read_it_as_it_is() {
    let absent = r#"mark_attendance {"training_day_id":5,"cadet_id":1,"status":"absent","version":2}"#;
    check(&[CADET, DAY, PRESENT, PRESENT], &[r#"{"training_day_id":5,"cadet_id":1,"version":2,"changed":false}"#]).await;
    check(&[CADET, DAY, PRESENT, &absent.replace(",\"version\":2", "")], &["stale_version, current version 2"]).await;
    check(&[CADET, DAY, PRESENT, absent, absent], &["stale_version, current version 3"]).await;
    check(&[CADET, DAY, absent], &["not_found: cadet 1 has no mark at training day 5"]).await;
    check(&[CADET, PRESENT], &["not_found: there is no training day 5"]).await;
    check(&[DAY, PRESENT], &["not_found: there is no cadet 1"]).await;
}

#[tokio::test]
async fn a_training_day_is_changed_by_whoever_read_it_as_it_is() {
    let moved = r#"save_training_day {"training_day_id":5,"date":"2026-01-16","title":"Drill","version":1}"#;
    check(&[DAY], &[r#"{"training_day_id":5,"version":1,"changed":true}"#]).await;
    check(&[DAY, DAY], &[r#"{"training_day_id":5,"version":1,"changed":false}"#]).await;
    check(&[DAY, moved], &[r#"{"training_day_id":5,"version":2,"changed":true}"#]).await;
    check(&[DAY, moved, moved], &["stale_version, current version 2"]).await;
    check(&[DAY, moved, DAY], &["stale_version, current version 2"]).await;
    check(&[moved], &["not_found: there is no training day 5"]).await;
}

#[tokio::test]
async fn dates_and_times_are_those_of_calendars_and_clocks() {
    for date in ["2026-02-30", "2026-1-5", "15.01.2026", "", "2026-01-15 ", "2026-01-1é"] {
        let expect = "invalid_data: date: a date is needed, as 2026-01-15";
        check_as(&service(&["grading"]), &[&DAY.replace("2026-01-15", date)], &[expect]).await;
    }
    for time in ["24:00:00", "8:00:00", "08:00", "08:00:00Z", "", "08:00:0é"] {
        let expect = "invalid_data: time_in: a time on the wall is needed, as 08:00:00";
        check_as(&service(&["grading"]), &[&PRESENT.replace("08:00:00", time)], &[expect]).await;
    }
}

#[tokio::test]
async fn the_marks_of_a_day_are_shown_page_by_page() {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        let staff = person(10, "training_staff");
        run(&bench, &staff, DAY).await;
        for id in 1..=3 {
            run(&bench, &staff, &CADET.replace('1', &id.to_string())).await;
            run(&bench, &staff, &PRESENT.replace("\"cadet_id\":1", &format!("\"cadet_id\":{id}"))).await;
        }
        let path = "/api/training-days/{training_day_id}/attendance";
        let page = ask(&bench, &format!(r#"{path} {{"training_day_id":"5","limit":"2"}}"#)).await;
        assert_eq!(page["training_day"]["title"], "Drill");
        assert_eq!(page["attendance"].as_array().unwrap().len(), 2);
        assert_eq!((&page["attendance"][0]["cadet_id"], &page["next"]), (&json!(1), &json!(2)));
        let rest = ask(&bench, &format!(r#"{path} {{"training_day_id":"5","limit":"2","after":"2"}}"#)).await;
        assert_eq!((&rest["attendance"][0]["cadet_id"], &rest["next"]), (&json!(3), &json!(null)));
        let cadets = ask(&bench, r#"/api/cadets {"limit":"2"}"#).await;
        assert_eq!((&cadets["cadets"][1]["cadet_id"], &cadets["next"]), (&json!(2), &json!(2)));
        let rest = ask(&bench, r#"/api/cadets {"limit":"2","after":"2"}"#).await;
        assert_eq!((&rest["cadets"][0]["attendance_present"], &rest["next"]), (&json!(1), &json!(null)));
    }
}

// Who may.

#[tokio::test]
async fn graders_are_staff_and_keys_with_the_scope() {
    let forbidden = "forbidden: this needs an API key with the scope grading, or the role admin or training_staff";
    for caller in [person(10, "cadet"), person(10, "student"), cadet(10, 1), service(&["publish", "roster"])] {
        for step in [CADET, DAY, MERIT, PRESENT, SCORES, r#"remove_merit {"cadet_id":1,"merit_id":"m-2","version":2}"#] {
            check_as(&caller, &[step], &[forbidden]).await;
        }
        let day = r#"/api/training-days/{training_day_id}/attendance {"training_day_id":"5"}"#;
        for step in ["/api/cadets {}", day] {
            check_as(&caller, &[step], &[forbidden]).await;
        }
    }
    for caller in [person(10, "training_staff"), person(10, "admin"), service(&["grading"])] {
        check_as(&caller, &[CADET], &[r#"{"cadet_id":1,"version":1,"changed":true}"#]).await;
    }
}

#[tokio::test]
async fn cadets_look_at_their_own_sheet_and_at_nobody_elses() {
    let merits = r#"/api/cadets/{cadet_id}/merits {"cadet_id":"1"}"#;
    for step in [SHEET, merits, CHANGES] {
        let bench = Bench::new(&[FEATURE]).await;
        run(&bench, &service(&["grading"]), CADET).await;
        assert!(run(&bench, &cadet(10, 1), step).await.starts_with('{'), "{step}");
        assert!(run(&bench, &cadet(10, 2), step).await.starts_with("forbidden: "), "{step}");
        assert!(run(&bench, &person(1, "cadet"), step).await.starts_with("forbidden: "), "a person's id is no cadet's");
    }
    check_as(&cadet(10, 3), &[r#"/api/cadets/{cadet_id} {"cadet_id":"3"}"#], &["not_found: there is no cadet 3"]).await;
}

#[tokio::test]
async fn unknown_fields_are_refused() {
    for (step, name) in [(CADET, "colour"), (MERIT, "cadet_version"), (SCORES, "exam"), (PRESENT, "note"), (DAY, "place")] {
        let step = step.replace('}', &format!(r#","{name}":1}}"#));
        let bench = Bench::new(&[FEATURE]).await;
        let refusal = try_step(&bench, &service(&["grading"]), &step).await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidData);
        assert!(refusal.message.contains(&format!("unknown field `{name}`")), "{refusal}");
    }
}

#[tokio::test]
async fn text_has_bounds() {
    let reason = |length: usize| MERIT.replace("Outstanding performance", &"é".repeat(length));
    let bench = Bench::new(&[FEATURE]).await;
    let grader = service(&["grading"]);
    run(&bench, &grader, CADET).await;
    assert!(run(&bench, &grader, &reason(2_000)).await.starts_with('{'));
    let expect = "invalid_data: reason: a text of at most 2000 characters is needed, not of 2001";
    assert_eq!(run(&bench, &grader, &reason(2_001)).await, expect);
    let name = CADET.replace("Grace", &"x".repeat(201));
    let expect = "invalid_data: name: a text of 1 to 200 characters is needed, not of 201";
    assert_eq!(run(&bench, &grader, &name).await, expect);
}

// The record.

#[tokio::test]
async fn the_record_tells_who_changed_what_and_from_what() {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        let (anna, ben) = (person(10, "training_staff"), person(11, "admin"));
        let change = r#"change_merit {"cadet_id":1,"merit_id":"m-2","type":"merit","points":6,"reason":"x","version":2}"#;
        let remove = r#"remove_merit {"cadet_id":1,"merit_id":"m-2","version":3}"#;
        let scores = SCORES.replace("\"version\":1", "\"version\":4");
        for (caller, step) in [(&anna, CADET), (&ben, MERIT), (&anna, change), (&ben, remove), (&anna, &scores)] {
            let answer = run(&bench, caller, step).await;
            assert!(answer.starts_with('{'), "{step}: {answer}");
        }
        let record = ask(&bench, CHANGES).await;
        let told: Vec<_> = record["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| {
                let points = |row: &Value| row.as_object().map(|row| row.get("points").or(row.get("prelim_score")).cloned());
                let of = |name: &str| change[name].as_str().map(str::to_owned);
                (of("what"), of("entry_id"), of("changed_by"), points(&change["before"]), points(&change["after"]))
            })
            .collect();
        let text = |text: &str| Some(text.to_owned());
        let (anna, ben) = (text("user:10"), text("user:11"));
        assert_eq!(
            told,
            [
                (text("cadet"), None, anna.clone(), None, Some(Some(Value::Null))),
                (text("merit"), text("m-2"), ben.clone(), None, Some(Some(json!(5)))),
                (text("merit"), text("m-2"), anna.clone(), Some(Some(json!(5))), Some(Some(json!(6)))),
                (text("merit"), text("m-2"), ben, Some(Some(json!(6))), None),
                (text("exam_scores"), None, anna, Some(Some(Value::Null)), Some(Some(json!(85.5)))),
            ]
        );
        let page = ask(&bench, r#"/api/cadets/{cadet_id}/changes {"cadet_id":"1","limit":"2"}"#).await;
        let next = page["next"].to_string();
        let step = format!(r#"/api/cadets/{{cadet_id}}/changes {{"cadet_id":"1","limit":"2","after":"{next}"}}"#);
        assert_eq!(ask(&bench, &step).await["changes"][0], record["changes"][2]);
    }
}

#[tokio::test]
async fn a_refused_change_leaves_nothing_behind() {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        let grader = service(&["grading"]);
        for step in [CADET, DAY, MERIT, PRESENT] {
            run(&bench, &grader, step).await;
        }
        let before = (ask(&bench, SHEET).await, ask(&bench, CHANGES).await);
        for late in [
            r#"change_merit {"cadet_id":1,"merit_id":"m-2","type":"merit","points":9,"reason":"","version":1}"#,
            r#"remove_merit {"cadet_id":1,"merit_id":"m-2","version":9}"#,
            r#"mark_attendance {"training_day_id":5,"cadet_id":1,"status":"absent"}"#,
            SCORES,
        ] {
            assert!(run(&bench, &grader, late).await.starts_with("stale_version, "), "{late}");
        }
        assert_eq!((ask(&bench, SHEET).await, ask(&bench, CHANGES).await), before);
    }
}

// Graders at once.

/// Adds, corrects and takes back merits, marks attendance and writes scores, as often as it takes. What was acknowledged is returned.
async fn grade(bench: &Bench, place: usize) -> (i64, i64) {
    let grader = person(100 + i64::try_from(place).unwrap(), "training_staff");
    let added = bench.run(&grader, "add_merit", json!({"cadet_id": 1, "type": "merit", "points": 3, "reason": "a"})).await;
    let added: Value = serde_json::from_str(&added.unwrap().answer).unwrap();
    let fields = json!({
        "cadet_id": 1, "merit_id": added["merit_id"], "version": added["version"], "type": "merit", "points": 5, "reason": "b",
    });
    let changed: Value = serde_json::from_str(&bench.run(&grader, "change_merit", fields).await.unwrap().answer).unwrap();
    let mut merits = 5;
    if place.is_multiple_of(3) {
        let fields = json!({"cadet_id": 1, "merit_id": added["merit_id"], "version": changed["version"]});
        bench.run(&grader, "remove_merit", fields).await.unwrap();
        merits = 0;
    }
    let fields = json!({"training_day_id": place, "date": "2026-01-15", "title": "Drill"});
    bench.run(&grader, "save_training_day", fields).await.unwrap();
    let fields = json!({"training_day_id": place, "cadet_id": 1, "status": "present"});
    bench.run(&grader, "mark_attendance", fields).await.unwrap();
    // One more point than whoever wrote before: a lost update would show in the last score.
    let mut version = 0;
    let mut score = 0.0;
    loop {
        let fields = json!({"cadet_id": 1, "final_score": score, "version": version});
        match bench.run(&grader, "save_exam_scores", fields).await {
            Ok(_) => return (merits, 1),
            Err(refusal) => {
                assert_eq!(refusal.code, ErrorCode::StaleVersion, "{refusal}");
                let current = *refusal.current.unwrap();
                version = current["version"].as_u64().unwrap();
                score = current["final_score"].as_f64().unwrap_or(0.0) + 1.0;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn graders_at_once_lose_nothing() {
    const GRADERS: usize = 24;
    for bench in Bench::on_every_store(&[FEATURE]).await {
        run(&bench, &service(&["grading"]), CADET).await;
        let done = join_all((0..GRADERS).map(|place| grade(&bench, place))).await;
        let sheet = ask(&bench, SHEET).await;
        let removed = GRADERS.div_ceil(3);
        assert_eq!(sheet["merit_points"], done.iter().map(|(merits, _)| merits).sum::<i64>());
        assert_eq!(sheet["attendance_present"], GRADERS);
        assert_eq!(sheet["final_score"].as_f64(), Some(f64::from(u32::try_from(GRADERS).unwrap())));
        // The cadet, and each grader's merit, correction, mark and score, and the removals.
        let changes = 1 + 4 * GRADERS + removed;
        assert_eq!(sheet["version"], changes);
        let record = ask(&bench, r#"/api/cadets/{cadet_id}/changes {"cadet_id":"1","limit":"1000"}"#).await;
        let record = record["changes"].as_array().unwrap();
        assert_eq!(record.len(), changes);
        let versions: Vec<_> = record.iter().filter_map(|change| change["after"]["version"].as_u64()).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "changes are numbered as they happened: {versions:?}");
        let events = bench.site.journal.read(0, 10_000, 10_000).await.unwrap();
        assert_eq!(events.len(), changes - 1, "one event each, but for the cadet");
        let last = events.iter().rfind(|event| &*event.kind == "grade_update").unwrap();
        let told: Value = serde_json::from_str(&last.data).unwrap();
        assert_eq!(told["merit_points"], sheet["merit_points"], "the last event of a cadet tells the sheet as it is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_with_one_version_exactly_one_is_in_time() {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        let grader = service(&["grading"]);
        for step in [CADET, DAY, MERIT] {
            run(&bench, &grader, step).await;
        }
        let attempts = |step: &dyn Fn(usize) -> String| (1..=20).map(step).collect::<Vec<_>>();
        for steps in [
            attempts(&|n| format!(r#"save_exam_scores {{"cadet_id":1,"final_score":{n},"version":2}}"#)),
            attempts(&|n| {
                let fields = format!(r#""type":"merit","points":{},"reason":"","version":2"#, n + 10);
                format!(r#"change_merit {{"cadet_id":1,"merit_id":"m-2",{fields}}}"#)
            }),
            attempts(&|n| {
                let time = format!("{n:02}:00:00");
                format!(r#"mark_attendance {{"training_day_id":5,"cadet_id":1,"status":"present","time_in":"{time}"}}"#)
            }),
            attempts(&|n| format!(r#"save_cadet {{"cadet_id":2,"name":"N{n}"}}"#)),
            attempts(&|n| {
                format!(r#"save_training_day {{"training_day_id":5,"date":"2026-01-15","title":"{n}","version":1}}"#)
            }),
        ] {
            let answers = join_all(steps.iter().map(|step| run(&bench, &grader, step))).await;
            let in_time = answers.iter().filter(|answer| answer.ends_with(r#""changed":true}"#)).count();
            let late = answers.iter().filter(|answer| answer.starts_with("stale_version, current version ")).count();
            assert_eq!((in_time, late), (1, 19), "{answers:#?}");
        }
        let same = r#"add_merit {"cadet_id":1,"merit_id":7,"type":"merit","points":5,"reason":""}"#;
        let answers = join_all((0..20).map(|_| run(&bench, &grader, same))).await;
        assert_eq!(answers.iter().filter(|answer| answer.ends_with(r#""changed":true}"#)).count(), 1, "{answers:#?}");
        assert_eq!(answers.iter().filter(|answer| answer.ends_with(r#""changed":false}"#)).count(), 19, "{answers:#?}");
    }
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_and_counts_once() {
    use campanile_contract::Repeatable;
    for bench in Bench::on_every_store(&[FEATURE]).await {
        run(&bench, &service(&["grading"]), CADET).await;
        let command = *bench.site.registry.command("add_merit").unwrap();
        let fields = json!({"cadet_id": 1, "type": "merit", "points": 5, "reason": ""});
        let mut answers = Vec::new();
        for _ in 0..3 {
            let body = fields.to_string();
            let repeatable = Some(Repeatable { key: "k", route: "merits", body: body.as_bytes() });
            let outcome = bench.site.command(&service(&["grading"]), &command, fields.clone(), repeatable).await.unwrap();
            answers.push(outcome.answer);
        }
        assert_eq!(answers, vec![r#"{"cadet_id":1,"merit_id":"m-2","version":2,"changed":true}"#; 3]);
        assert_eq!(ask(&bench, SHEET).await["merit_points"], 5);
    }
}

// What hosts may publish.

fn check_data(kind: &EventType, data: &str, expect: Result<(), &str>) {
    let given = kind.data.check(data);
    match (&given, expect) {
        (Err(given), Err(expect)) => assert!(given.starts_with(expect), "{data}: {given}"),
        _ => assert_eq!(given.is_ok(), expect.is_ok(), "{data}: {given:?}"),
    }
}

#[test]
fn hosts_publish_any_part_of_the_data_with_fields_of_their_own() {
    for kind in [event::GRADE_UPDATE, event::ATTENDANCE_UPDATE, event::EXAM_SCORE_UPDATE] {
        check_data(&kind, "{}", Ok(()));
        check_data(&kind, r#"{"unit":"B","cadet_id":"x"}"#, Ok(()));
        check_data(&kind, r#"{"cadet_id":1.5}"#, Err("cadet_id: an id is an integer or a text"));
        check_data(&kind, "[]", Err(""));
    }
    let parts = r#"{"type":"merit","points":5,"merit_points":25,"demerit_points":10}"#;
    check_data(&event::GRADE_UPDATE, parts, Ok(()));
    check_data(&event::GRADE_UPDATE, r#"{"points":"5"}"#, Err("points: invalid type: string"));
    check_data(&event::GRADE_UPDATE, r#"{"prelim_score":"85.5"}"#, Err("prelim_score: invalid type: string"));
    check_data(&event::GRADE_UPDATE, r#"{"reason":5}"#, Err("reason: invalid type: integer"));
    check_data(&event::ATTENDANCE_UPDATE, r#"{"status":"present","attendance_present":16,"time_out":null}"#, Ok(()));
    check_data(&event::ATTENDANCE_UPDATE, r#"{"attendance_present":true}"#, Err("attendance_present: invalid type: boolean"));
    check_data(&event::EXAM_SCORE_UPDATE, r#"{"final_score":88,"changed_scores":{"final_score":88.0}}"#, Ok(()));
    check_data(&event::EXAM_SCORE_UPDATE, r#"{"changed_scores":{"final_score":"x"}}"#, Err("changed_scores.final_score: "));
}

#[tokio::test]
async fn what_grading_emits_reads_as_its_own_schema_says() {
    let bench = Bench::new(&[FEATURE]).await;
    let scores = SCORES.replace("\"version\":1", "\"version\":3");
    for step in [CADET, DAY, MERIT, PRESENT, &scores] {
        run(&bench, &service(&["grading"]), step).await;
    }
    let events = bench.site.journal.read(0, 10_000, 10).await.unwrap();
    assert_eq!(events.len(), 3);
    for event in events {
        let declared = bench.site.registry.event_type(&event.kind).unwrap();
        assert_eq!(declared.data.check(&event.data), Ok(()), "{event:?}");
    }
}
