//! The rules of the roster, on every store.

use super::FEATURE;
use campanile_contract::bench::{Bench, person, service};
use campanile_contract::{Caller, Id};
use futures_util::future::join_all;
use serde_json::{Value, json};

const ALGEBRA: &str = r#"save_course {"course_id":7,"title":"Algebra"}"#;
const ADA: &str = r#"save_person {"person_id":1,"name":"Ada","role":"student","cadet_id":9}"#;
const REGISTER: &str = r#"register_person {"course_id":7,"person_id":1}"#;
const WITHDRAW: &str = r#"withdraw_person {"course_id":7,"person_id":1}"#;
const COURSES_OF_ADA: &str = r#"/api/roster/people/{person_id}/courses {"person_id":"1"}"#;

/// Runs steps in order and looks at the last: the events it caused, and then its answer or refusal. On every store.
async fn check(given: &[&str], expect: &[&str]) {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        check_on(bench, &service(&["roster"]), given, expect).await;
    }
}

/// As [`check`], with the last step asked for by somebody else. On SQLite alone: who may is decided before the store.
async fn check_as(caller: &Caller, given: &[&str], expect: &[&str]) {
    check_on(Bench::new(&[FEATURE]).await, caller, given, expect).await;
}

async fn check_on(mut bench: Bench, caller: &Caller, given: &[&str], expect: &[&str]) {
    let mut followed = bench.build_view("course_size").await;
    let (last, before) = given.split_last().expect("a step");
    for step in before {
        let answer = run(&bench, &service(&["roster"]), step).await;
        assert!(answer.starts_with('{'), "{step}: {answer}");
    }
    bench.new_events().await;
    let answer = run(&bench, caller, last).await;
    let mut outcome = bench.new_events().await;
    outcome.push(answer);
    assert_eq!(outcome, expect, "{given:#?}");

    // Whatever happened: a node that followed the log shows what a node that starts now reads from the tables.
    for event in bench.site.journal.read(0, 10_000, 10_000).await.unwrap() {
        followed.apply(&event);
    }
    let rebuilt = bench.build_view("course_size").await;
    assert_eq!(followed.show(&Id::from(7)), rebuilt.show(&Id::from(7)), "{given:#?}");
}

/// A step is a command's name or a query's path, and its fields.
async fn run(bench: &Bench, caller: &Caller, step: &str) -> String {
    let (name, fields) = step.split_once(' ').expect("a name and fields");
    let fields = serde_json::from_str(fields).expect("fields are JSON");
    let answer = match name.starts_with('/') {
        true => bench.ask(caller, name, fields).await.map(|answer| answer.to_string()),
        false => bench.run(caller, name, fields).await.map(|outcome| outcome.answer),
    };
    answer.unwrap_or_else(|refusal| refusal.to_string())
}

#[tokio::test]
async fn a_new_course_is_told_to_the_course() {
    check(&[ALGEBRA], &[r#"course_saved course:7 {"course_id":7,"title":"Algebra"}"#, r#"{"course_id":7,"changed":true}"#])
        .await;
}

#[tokio::test]
async fn a_course_that_is_so_already_is_no_event() {
    check(&[ALGEBRA, ALGEBRA], &[r#"{"course_id":7,"changed":false}"#]).await;
}

#[tokio::test]
async fn an_id_is_one_however_it_is_spelled_and_shown_as_it_was_first() {
    check(
        &[ALGEBRA, r#"save_course {"course_id":"7","title":"Algebra II"}"#],
        &[r#"course_saved course:7 {"course_id":7,"title":"Algebra II"}"#, r#"{"course_id":"7","changed":true}"#],
    )
    .await;
    check(
        &[ALGEBRA, ADA, r#"register_person {"course_id":"7","person_id":"1"}"#],
        &[
            r#"registered user:1 {"course_id":7,"person_id":1,"role":"student"} +1 course:7"#,
            r#"{"course_id":"7","person_id":"1","changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_new_person_may_see_what_their_role_and_cadet_may() {
    check(
        &[ADA],
        &[
            r#"person_saved user:1 {"person_id":1,"name":"Ada","role":"student","cadet_id":9} +1 role:student +1 cadet:9"#,
            r#"{"person_id":1,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn another_name_changes_nothing_that_a_person_may_see() {
    check(
        &[ADA, r#"save_person {"person_id":1,"name":"Ada L.","role":"student","cadet_id":9}"#],
        &[
            r#"person_saved user:1 {"person_id":1,"name":"Ada L.","role":"student","cadet_id":9}"#,
            r#"{"person_id":1,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn another_role_or_cadet_ends_what_the_old_one_could_see() {
    check(
        &[ADA, r#"save_person {"person_id":1,"name":"Ada","role":"admin","cadet_id":10}"#],
        &[
            "person_saved user:1 {\"person_id\":1,\"name\":\"Ada\",\"role\":\"admin\",\"cadet_id\":10} \
             -1 role:student +1 role:admin -1 cadet:9 +1 cadet:10",
            r#"{"person_id":1,"changed":true}"#,
        ],
    )
    .await;
    check(
        &[ADA, r#"save_person {"person_id":1,"name":"Ada","role":"student"}"#],
        &[
            r#"person_saved user:1 {"person_id":1,"name":"Ada","role":"student","cadet_id":null} -1 cadet:9"#,
            r#"{"person_id":1,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn what_ended_at_one_change_does_not_end_again_at_the_next() {
    check(
        &[
            ADA,
            r#"save_person {"person_id":1,"name":"Ada","role":"admin"}"#,
            r#"save_person {"person_id":1,"name":"Ada L.","role":"admin"}"#,
        ],
        &[
            r#"person_saved user:1 {"person_id":1,"name":"Ada L.","role":"admin","cadet_id":null}"#,
            r#"{"person_id":1,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_person_who_is_so_already_is_no_event() {
    check(&[ADA, &ADA.replace("9", r#""9""#)], &[r#"{"person_id":1,"changed":false}"#]).await;
}

#[tokio::test]
async fn a_registration_opens_the_course() {
    check(
        &[ALGEBRA, ADA, REGISTER],
        &[
            r#"registered user:1 {"course_id":7,"person_id":1,"role":"student"} +1 course:7"#,
            r#"{"course_id":7,"person_id":1,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn registering_twice_is_one_event() {
    check(&[ALGEBRA, ADA, REGISTER, REGISTER], &[r#"{"course_id":7,"person_id":1,"changed":false}"#]).await;
}

#[tokio::test]
async fn another_role_in_the_course_opens_nothing_anew() {
    check(
        &[ALGEBRA, ADA, REGISTER, r#"register_person {"course_id":7,"person_id":1,"role":"teacher"}"#],
        &[
            r#"registered user:1 {"course_id":7,"person_id":1,"role":"teacher"}"#,
            r#"{"course_id":7,"person_id":1,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn only_people_and_courses_of_the_roster_can_be_registered() {
    check(&[ADA, REGISTER], &["not_found: the roster knows no course 7"]).await;
    check(&[ALGEBRA, REGISTER], &["not_found: the roster knows no person 1"]).await;
}

#[tokio::test]
async fn a_withdrawal_closes_the_course() {
    check(
        &[ALGEBRA, ADA, REGISTER, WITHDRAW],
        &[r#"withdrawn user:1 {"course_id":7,"person_id":1} -1 course:7"#, r#"{"course_id":7,"person_id":1,"changed":true}"#],
    )
    .await;
}

#[tokio::test]
async fn who_is_not_registered_is_not_withdrawn() {
    let unchanged = &[r#"{"course_id":7,"person_id":1,"changed":false}"#];
    check(&[WITHDRAW], unchanged).await;
    check(&[ALGEBRA, ADA, WITHDRAW], unchanged).await;
    check(&[ALGEBRA, ADA, REGISTER, WITHDRAW, WITHDRAW], unchanged).await;
}

#[tokio::test]
async fn who_comes_back_is_let_in_again() {
    check(
        &[ALGEBRA, ADA, REGISTER, WITHDRAW, REGISTER],
        &[
            r#"registered user:1 {"course_id":7,"person_id":1,"role":"student"} +1 course:7"#,
            r#"{"course_id":7,"person_id":1,"changed":true}"#,
        ],
    )
    .await;
}

/// Fields of an import that makes course 7, person 1 and their registration.
const ALL_OF_ADA: &str = r#"import_roster {
    "courses": [{"course_id":7,"title":"Algebra"}],
    "people": [{"person_id":1,"name":"Ada","role":"student"}],
    "registrations": [{"course_id":7,"person_id":1}]}"#;

#[tokio::test]
async fn an_import_makes_courses_and_people_before_it_registers() {
    check(
        &[ALL_OF_ADA],
        &[
            r#"course_saved course:7 {"course_id":7,"title":"Algebra"}"#,
            r#"person_saved user:1 {"person_id":1,"name":"Ada","role":"student","cadet_id":null} +1 role:student"#,
            r#"registered user:1 {"course_id":7,"person_id":1,"role":"student"} +1 course:7"#,
            r#"{"saved":3,"unchanged":0}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn importing_the_same_again_changes_nothing() {
    check(&[ALL_OF_ADA, ALL_OF_ADA], &[r#"{"saved":0,"unchanged":3}"#]).await;
}

#[tokio::test]
async fn an_import_withdraws_last() {
    check(
        &[ALGEBRA, ADA, &format!("import_roster {{\"withdrawals\":[{0}],\"registrations\":[{0}]}}", &WITHDRAW[16..])],
        &[
            r#"registered user:1 {"course_id":7,"person_id":1,"role":"student"} +1 course:7"#,
            r#"withdrawn user:1 {"course_id":7,"person_id":1} -1 course:7"#,
            r#"{"saved":2,"unchanged":0}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_names_the_row_that_was_refused() {
    let import = r#"import_roster {"courses":[{"course_id":8,"title":"Biology"}],
        "registrations":[{"course_id":7,"person_id":1},{"course_id":7,"person_id":0}]}"#;
    check(&[ALGEBRA, ADA, import], &["not_found: registrations[1]: the roster knows no person 0"]).await;
    let import =
        r#"import_roster {"people":[{"person_id":1,"name":"Ada","role":"student"},{"person_id":2,"name":"","role":"x"}]}"#;
    check(&[import], &["invalid_data: people[1].name: a text of 1 to 200 characters is needed, not of 0"]).await;
}

#[tokio::test]
async fn of_two_rows_about_the_same_the_later_one_wins() {
    check(
        &[r#"import_roster {"courses":[{"course_id":7,"title":"B"},{"course_id":6,"title":"C"},{"course_id":"7","title":"A"}]}"#],
        &[
            r#"course_saved course:6 {"course_id":6,"title":"C"}"#,
            r#"course_saved course:7 {"course_id":7,"title":"B"}"#,
            r#"course_saved course:7 {"course_id":7,"title":"A"}"#,
            r#"{"saved":3,"unchanged":0}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn an_import_has_at_most_1000_rows() {
    let import = |rows: usize| {
        let rows: Vec<Value> = (0..rows).map(|id| json!({"course_id": id, "person_id": 1})).collect();
        format!("import_roster {}", json!({ "withdrawals": rows }))
    };
    check(&[&import(1_000)], &[r#"{"saved":0,"unchanged":1000}"#]).await;
    check(&[&import(1_001)], &["message_too_big: an import has at most 1000 rows, not 1001"]).await;
}

#[tokio::test]
async fn only_roster_keys_and_admins_manage_the_roster() {
    let refused = "forbidden: this needs an API key with the scope roster, or the role admin";
    for stranger in [service(&["publish"]), person(1, "student")] {
        for step in [ALGEBRA, ADA, REGISTER, WITHDRAW, ALL_OF_ADA] {
            check_as(&stranger, &[step], &[refused]).await;
        }
    }
    check_as(&person(3, "admin"), &[ALGEBRA, ADA, WITHDRAW], &[r#"{"course_id":7,"person_id":1,"changed":false}"#]).await;
}

#[tokio::test]
async fn a_person_may_ask_for_their_own_courses_only() {
    let courses = &[r#"{"courses":[{"course_id":7,"role":"student"}]}"#];
    for caller in [person(1, "student"), person(2, "admin"), service(&["roster"])] {
        check_as(&caller, &[ALGEBRA, ADA, REGISTER, COURSES_OF_ADA], courses).await;
    }
    let refused = "forbidden: this needs an API key with the scope roster, or the role admin";
    check_as(&person(2, "student"), &[ALGEBRA, ADA, REGISTER, COURSES_OF_ADA], &[refused]).await;
}

#[tokio::test]
async fn who_is_registered_nowhere_has_no_courses() {
    check(&[ALGEBRA, ADA, REGISTER, WITHDRAW, COURSES_OF_ADA], &[r#"{"courses":[]}"#]).await;
    check(&[COURSES_OF_ADA], &[r#"{"courses":[]}"#]).await;
}

#[tokio::test]
async fn a_field_that_is_unknown_or_makes_no_sense_is_refused_by_name() {
    for (step, why) in [
        (r#"save_course {"course_id":7,"title":"A","more":1}"#, "more: unknown field `more`"),
        (r#"save_course {"course_id":7}"#, "missing field `title`"),
        (r#"save_course {"course_id":1.5,"title":"A"}"#, "course_id: an id is an integer or a text of 1 to 128 bytes"),
        (r#"save_person {"person_id":1,"name":"A\u0000","role":"x"}"#, "name: a line of text has no control characters"),
        (r#"save_person {"person_id":1,"name":"A","role":"\n"}"#, "role: a role is a text of 1 to 128 bytes"),
        (r#"register_person {"course_id":7,"person_id":""}"#, "person_id: an id is an integer or a text"),
    ] {
        let bench = Bench::new(&[FEATURE]).await;
        let answer = run(&bench, &service(&["roster"]), step).await;
        assert!(answer.starts_with(&format!("invalid_data: {why}")), "{step}: {answer}");
    }
}

#[tokio::test]
async fn the_size_of_a_course_is_how_many_are_registered() {
    let bench = Bench::new(&[FEATURE]).await;
    for step in [ALL_OF_ADA, r#"save_person {"person_id":2,"name":"Bob","role":"student"}"#] {
        run(&bench, &service(&["roster"]), step).await;
    }
    let mut size = bench.build_view("course_size").await;
    assert_eq!(size.show(&Id::from(7)), json!({"registered": 1}));
    let seen = bench.site.journal.head().await.unwrap().id;
    run(&bench, &service(&["roster"]), r#"register_person {"course_id":7,"person_id":2}"#).await;
    run(&bench, &service(&["roster"]), r#"register_person {"course_id":7,"person_id":2,"role":"teacher"}"#).await;
    let events = bench.site.journal.read(seen, 10_000, 10).await.unwrap();
    let changed: Vec<Vec<Id>> = events.iter().map(|event| size.apply(event)).collect();
    assert_eq!(changed, [vec![Id::from(7)], vec![]], "readers of the course are shown the new size, and only that");
    assert_eq!(size.show(&Id::from(7)), json!({"registered": 2}));
    assert_eq!(size.show(&Id::from(8)), json!({"registered": 0}));
}

/// Many callers at once, half of them registering, half withdrawing: the log says each change once, in an order that can have been.
#[tokio::test(flavor = "multi_thread")]
async fn callers_at_once_are_told_the_truth() {
    for mut bench in Bench::on_every_store(&[FEATURE]).await {
        let admin = service(&["roster"]);
        run(&bench, &admin, ALGEBRA).await;
        run(&bench, &admin, ADA).await;
        bench.new_events().await;
        let answers = join_all((0..100).map(|place| run(&bench, &admin, [REGISTER, WITHDRAW][place % 2]))).await;
        let changes = answers.iter().filter(|answer| answer.contains(r#""changed":true"#)).count();
        let events = bench.new_events().await;
        assert!(changes > 1, "nothing met: {answers:?}");
        assert_eq!(events.len(), changes, "{answers:?}");
        for (place, event) in events.iter().enumerate() {
            let expect = ["registered user:1", "withdrawn user:1"][place % 2];
            assert!(event.starts_with(expect), "{place}: {events:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_saved_at_once_leave_exactly_one_of_them_open() {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        let admin = service(&["roster"]);
        let save = |place: u32| format!(r#"save_person {{"person_id":1,"name":"Ada","role":"r{}"}}"#, place % 5);
        let steps: Vec<String> = (0..50).map(save).collect();
        let answers = join_all(steps.iter().map(|step| run(&bench, &admin, step))).await;
        assert!(answers.iter().all(|answer| answer.starts_with('{')), "{answers:?}");
        let snapshot = bench.site.journal.snapshot().await.unwrap();
        let open: Vec<_> = snapshot.memberships.iter().filter(|membership| membership.revoked_id.is_none()).collect();
        let events = bench.site.journal.read(0, 10_000, 10_000).await.unwrap();
        let last: Value = serde_json::from_str(&events.last().unwrap().data).unwrap();
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!(open[0].channel, format!("role:{}", last["role"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn hosts_publish_announcements_and_progress_with_fields_of_their_own() {
    let bench = Bench::new(&[FEATURE]).await;
    for (kind, data, expect) in [
        ("announcement", r#"{"title":"Hi","body":"","pinned":true}"#, Ok(())),
        ("announcement", r#"{"title":"Hi"}"#, Err("missing field `body`")),
        ("announcement", r#"{"title":"","body":""}"#, Err("title: a text of 1 to 200 characters")),
        ("progress_update", r#"{"course_id":7,"percent":33.3}"#, Ok(())),
        (
            "progress_update",
            r#"{"course_id":7,"lesson_id":"l","percent":100,"completed":true,"updated_at":"2026-01-15T10:30:00Z","x":1}"#,
            Ok(()),
        ),
        ("progress_update", r#"{"course_id":7,"percent":101}"#, Err("percent: a number from 0 to 100")),
        ("progress_update", r#"{"course_id":7,"percent":1,"updated_at":"today"}"#, Err("updated_at: an ISO 8601 instant")),
        ("progress_update", r#"{"percent":1}"#, Err("missing field `course_id`")),
    ] {
        let given = bench.site.registry.event_type(kind).unwrap().data.check(data);
        match (&given, expect) {
            (Err(given), Err(expect)) => assert!(given.starts_with(expect), "{data}: {given}"),
            _ => assert_eq!(given.is_ok(), expect.is_ok(), "{data}: {given:?}"),
        }
    }
}

#[tokio::test]
async fn what_the_roster_emits_reads_as_its_own_schema_says() {
    let bench = Bench::new(&[FEATURE]).await;
    for step in [ALGEBRA, ADA, REGISTER, WITHDRAW] {
        run(&bench, &service(&["roster"]), step).await;
    }
    let events = bench.site.journal.read(0, 10_000, 10).await.unwrap();
    assert_eq!(events.len(), 4);
    for event in events {
        let declared = bench.site.registry.event_type(&event.kind).unwrap();
        assert_eq!(declared.data.check(&event.data), Ok(()), "{event:?}");
    }
}

const UNAPPROVE: &str = r#"unapprove_person {"person_id":1}"#;
const APPROVE: &str = r#"approve_person {"person_id":1}"#;
const SHOW_ADA: &str = r#"/api/roster/people/{person_id} {"person_id":"1"}"#;

#[tokio::test]
async fn a_person_without_approval_is_suspended_until_it_is_given_again() {
    check(
        &[ADA, UNAPPROVE],
        &[
            r#"person_unapproved user:1 {"person_id":1} +1 suspended:1"#,
            r#"{"person_id":1,"is_approved":false,"changed":true}"#,
        ],
    )
    .await;
    check(
        &[ADA, UNAPPROVE, APPROVE],
        &[r#"person_approved user:1 {"person_id":1} -1 suspended:1"#, r#"{"person_id":1,"is_approved":true,"changed":true}"#],
    )
    .await;
}

#[tokio::test]
async fn an_approval_that_is_so_already_is_no_event() {
    check(&[ADA, APPROVE], &[r#"{"person_id":1,"is_approved":true,"changed":false}"#]).await;
    check(&[ADA, UNAPPROVE, UNAPPROVE], &[r#"{"person_id":1,"is_approved":false,"changed":false}"#]).await;
}

#[tokio::test]
async fn only_people_of_the_roster_can_be_approved() {
    check(&[APPROVE], &["not_found: the roster knows no person 1"]).await;
    check(&[UNAPPROVE], &["not_found: the roster knows no person 1"]).await;
}

#[tokio::test]
async fn saving_a_person_can_change_their_approval_alone() {
    let suspended = ADA.replace("\"cadet_id\":9", "\"cadet_id\":9,\"is_approved\":false");
    let unapproved = r#"person_unapproved user:1 {"person_id":1} +1 suspended:1"#;
    check(&[ADA, &suspended], &[unapproved, r#"{"person_id":1,"changed":true}"#]).await;
    check(&[ADA, &suspended, &suspended], &[r#"{"person_id":1,"changed":false}"#]).await;
    check(&[ADA, &suspended, ADA], &[r#"{"person_id":1,"changed":false}"#]).await;
    let saved = r#"person_saved user:1 {"person_id":1,"name":"Ada","role":"student","cadet_id":9} +1 role:student +1 cadet:9"#;
    check(&[&suspended], &[unapproved, saved, r#"{"person_id":1,"changed":true}"#]).await;
    check(
        &[&suspended, &ADA.replace("Ada", "Ada L.")],
        &[
            r#"person_saved user:1 {"person_id":1,"name":"Ada L.","role":"student","cadet_id":9}"#,
            r#"{"person_id":1,"changed":true}"#,
        ],
    )
    .await;
    check(
        &[&suspended, &ADA.replace("\"cadet_id\":9", "\"is_approved\":true")],
        &[
            r#"person_approved user:1 {"person_id":1} -1 suspended:1"#,
            r#"person_saved user:1 {"person_id":1,"name":"Ada","role":"student","cadet_id":null} -1 cadet:9"#,
            r#"{"person_id":1,"changed":true}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_person_is_shown_as_the_roster_holds_them() {
    let ada = |is_approved: bool| {
        json!({"person_id": 1, "name": "Ada", "role": "student", "cadet_id": 9, "is_approved": is_approved}).to_string()
    };
    check(&[ADA, SHOW_ADA], &[&ada(true)]).await;
    check(&[ADA, UNAPPROVE, SHOW_ADA], &[&ada(false)]).await;
    check(&[SHOW_ADA], &["not_found: the roster knows no person 1"]).await;
}

#[tokio::test]
async fn people_are_listed_page_by_page_and_by_approval() {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        let admin = service(&["roster"]);
        for id in 1..=5 {
            let saved = json!({"person_id": id, "name": "P", "role": "student", "is_approved": id % 2 == 1});
            bench.run(&admin, "save_person", saved).await.unwrap();
        }
        for (asked, ids, next) in [
            (json!({}), vec![1, 2, 3, 4, 5], json!(null)),
            (json!({"limit": "2"}), vec![1, 2], json!(2)),
            (json!({"limit": "2", "after": "4"}), vec![5], json!(null)),
            (json!({"is_approved": "true"}), vec![1, 3, 5], json!(null)),
            (json!({"is_approved": "false", "limit": "1", "after": "2"}), vec![4], json!(4)),
        ] {
            let page = bench.ask(&admin, "/api/roster/people", asked.clone()).await.unwrap();
            let given: Vec<_> =
                page["people"].as_array().unwrap().iter().map(|row| row["person_id"].as_i64().unwrap()).collect();
            assert_eq!((given, &page["next"]), (ids, &next), "{asked}");
        }
        for asked in [json!({"limit": "0"}), json!({"limit": "1001"}), json!({"is_approved": "yes"}), json!({"x": "1"})] {
            let refusal = bench.ask(&admin, "/api/roster/people", asked.clone()).await.unwrap_err();
            assert_eq!(refusal.code, campanile_contract::ErrorCode::InvalidData, "{asked}");
        }
    }
}

#[tokio::test]
async fn who_may_not_manage_the_roster_sees_their_own_row_alone() {
    let forbidden = "forbidden: this needs an API key with the scope roster, or the role admin";
    for step in [APPROVE, UNAPPROVE, "/api/roster/people {}"] {
        check_as(&person(1, "teacher"), &[ADA, step], &[forbidden]).await;
    }
    check_as(&person(2, "teacher"), &[ADA, SHOW_ADA], &[forbidden]).await;
    let ada = json!({"person_id": 1, "name": "Ada", "role": "student", "cadet_id": 9, "is_approved": true}).to_string();
    check_as(&person(1, "student"), &[ADA, SHOW_ADA], &[&ada]).await;
}
