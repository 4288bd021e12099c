//! Rules of reading rosters from CSV.

use super::table::ROW_BYTES_MAX;
use super::{RowError, Table, line, oneroster, oulad, read_courses, read_people, read_registrations};
use proptest::prelude::*;
use serde::Serialize;
use std::hash::Hash;
use std::io::{self, Read};

/// Reads a table: each good row as JSON, each broken one as `file:line: reason`, and then the summary.
fn check<R: Read, Row: Hash + Serialize>(mut table: Table<R, Row>, expect: &[&str]) {
    let mut read: Vec<String> = table.by_ref().map(shown).collect();
    read.push(table.summary().to_string());
    assert_eq!(read, expect);
}

fn shown<Row: Serialize>(row: Result<Row, RowError>) -> String {
    match row {
        Ok(row) => serde_json::to_string(&row).unwrap(),
        Err(error) => error.to_string(),
    }
}

fn check_courses(given: impl AsRef<[u8]>, expect: &[&str]) {
    check(read_courses("c", given.as_ref()), expect);
}

#[test]
fn columns_are_found_by_name_in_any_order() {
    check(
        read_people("p", &b"role,cadet_id,NAME, person_id \nstudent,9,Ada,1\nstudent,,Bob,2\n"[..]),
        &[
            r#"{"person_id":"1","name":"Ada","role":"student","cadet_id":"9"}"#,
            r#"{"person_id":"2","name":"Bob","role":"student","cadet_id":null}"#,
            "p: 2 rows, 0 repeated, 0 broken",
        ],
    );
}

#[test]
fn a_column_that_may_be_missing_is_not_missed() {
    check(
        read_people("p", &b"person_id,name,role\n1,Ada,student\n"[..]),
        &[r#"{"person_id":"1","name":"Ada","role":"student","cadet_id":null}"#, "p: 1 rows, 0 repeated, 0 broken"],
    );
}

#[test]
fn who_is_registered_without_a_role_is_a_student() {
    check(
        read_registrations("r", &b"course_id,person_id,role\n7,1,\n7,2,teacher\n"[..]),
        &[
            r#"{"course_id":"7","person_id":"1","role":"student"}"#,
            r#"{"course_id":"7","person_id":"2","role":"teacher"}"#,
            "r: 2 rows, 0 repeated, 0 broken",
        ],
    );
}

#[test]
fn a_byte_order_mark_and_any_line_end_are_fine_and_lines_are_counted_right() {
    check_courses(
        "\u{feff}course_id,title\r\n7,A\r\n\r\n8\n\n9,C",
        &[
            r#"{"course_id":"7","title":"A"}"#,
            "c:4: 1 columns, where the header row has 2",
            r#"{"course_id":"9","title":"C"}"#,
            "c: 2 rows, 0 repeated, 1 broken",
        ],
    );
}

#[test]
fn quoted_fields_may_hold_commas_and_quotes() {
    check_courses(
        "\"course_id\",\"title\"\n7,\"Sets, \"\"naive\"\"\"\n\"8\",5\" pipes\n9,\"\"\"\"\n",
        &[
            r#"{"course_id":"7","title":"Sets, \"naive\""}"#,
            r#"{"course_id":"8","title":"5\" pipes"}"#,
            r#"{"course_id":"9","title":"\""}"#,
            "c: 3 rows, 0 repeated, 0 broken",
        ],
    );
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_row_only() {
    check_courses(
        "course_id,title\n7,\"Algebra\n8,Biology\n9,\"A\"B\n",
        &[
            "c:2: a quote is not closed on the same line",
            r#"{"course_id":"8","title":"Biology"}"#,
            "c:4: something follows a closing quote; a quote inside of quotes is written twice",
            "c: 1 rows, 0 repeated, 2 broken",
        ],
    );
}

#[test]
fn a_field_that_makes_no_sense_is_refused_by_name_and_the_next_row_goes_on() {
    let long = "x".repeat(201);
    let given = format!("course_id,title\n,A\n7,\n{},A\n7,{long}\n7,a\tb\n7,A,B\n8,B\n", &long[..129]);
    check_courses(
        given,
        &[
            "c:2: course_id: empty",
            "c:3: title: empty",
            "c:4: course_id: an id is 1 to 128 bytes long and holds no control character",
            "c:5: title: a text of 1 to 200 characters is needed, not of 201",
            "c:6: title: a line of text has no control characters",
            "c:7: 3 columns, where the header row has 2",
            r#"{"course_id":"8","title":"B"}"#,
            "c: 1 rows, 0 repeated, 6 broken",
        ],
    );
}

#[test]
fn bytes_that_are_not_utf8_cost_their_own_row_only() {
    check_courses(
        b"course_id,title\n7,A\xff\n8,\x00\n9,C\n",
        &[
            "c:2: not UTF-8 after byte 3 of the line",
            "c:3: title: a line of text has no control characters",
            r#"{"course_id":"9","title":"C"}"#,
            "c: 1 rows, 0 repeated, 2 broken",
        ],
    );
}

#[test]
fn the_same_row_twice_is_one_and_another_one_of_the_same_key_is_refused() {
    check_courses(
        "course_id,title\n7,A\n7,A\n7,B\n",
        &[r#"{"course_id":"7","title":"A"}"#, "c:4: line 2 says something else of the same", "c: 1 rows, 1 repeated, 1 broken"],
    );
}

#[test]
fn unknown_columns_are_told_once_and_not_read() {
    check_courses(
        "mail,course_id,title,\u{1b}[31m\na@b,7,A,x\n",
        &[
            r#"{"course_id":"7","title":"A"}"#,
            "c: 1 rows, 0 repeated, 0 broken; unknown columns, not read: [\"mail\", \"\\u{1b}[31m\"]",
        ],
    );
}

#[test]
fn without_a_usable_header_row_nothing_is_read() {
    let missing = "the header row has no column title; needed, separated by commas: course_id,title";
    for (given, why) in [
        ("", "1: the file is empty: a header row is needed"),
        ("\n\r\n", "3: the file is empty: a header row is needed"),
        ("course_id\n7\n", &*format!("1: {missing}")),
        ("title;course_id\nA;7\n", "1: the header row has no column course_id; needed, separated by commas: course_id,title"),
        ("course_id,title,course_id\n7,A,8\n", "1: the header row has the column course_id twice"),
        ("\"course_id,title\n7,A\n", "1: a quote is not closed on the same line"),
    ] {
        let mut table = read_courses("c", given.as_bytes());
        let read: Vec<String> = table.by_ref().map(shown).collect();
        assert_eq!(read, [format!("c:{why}")], "{given:?}");
    }
}

#[test]
fn a_row_beyond_all_measure_is_refused_without_being_held() {
    let fits = format!("7,{}\n", "x".repeat(ROW_BYTES_MAX - 2));
    let given = format!("course_id,title\n{fits}8,x{fits}9,C\n{}", "x".repeat(ROW_BYTES_MAX * 3));
    check_courses(
        given,
        &[
            "c:2: title: a text of 1 to 200 characters is needed, not of 65534",
            "c:3: the row has more than 65536 bytes",
            r#"{"course_id":"9","title":"C"}"#,
            "c:5: the row has more than 65536 bytes",
            "c: 1 rows, 0 repeated, 3 broken",
        ],
    );
}

/// A disk that breaks.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken disk"))
    }
}

#[test]
fn a_file_that_cannot_be_read_on_gives_its_rows_so_far() {
    check(
        read_courses("c", b"course_id,title\n7,A\n8,".chain(Broken)),
        &[
            r#"{"course_id":"7","title":"A"}"#,
            "c:3: the file cannot be read on: broken disk",
            "c: 1 rows, 0 repeated, 1 broken",
        ],
    );
}

#[test]
fn a_presentation_of_a_module_is_a_course() {
    let given = "\"code_module\",\"code_presentation\",\"module_presentation_length\"\n\"AAA\",\"2013J\",\"268\"\n\"\",\"2013J\",\"1\"\n";
    check(
        oulad::read_courses("o", given.as_bytes()),
        &[
            r#"{"course_id":"AAA-2013J","title":"AAA-2013J (268 days)"}"#,
            "o:3: code_module: empty",
            "o: 1 rows, 0 repeated, 1 broken",
        ],
    );
}

#[test]
fn a_student_of_several_presentations_is_one_person() {
    check(
        oulad::read_people("o", &b"code_module,id_student,region\nAAA,11391,Wales\nBBB,11391,Wales\n"[..]),
        &[
            r#"{"person_id":"11391","name":"Student 11391","role":"student","cadet_id":null}"#,
            "o: 1 rows, 1 repeated, 0 broken",
        ],
    );
}

#[test]
fn who_ever_registered_is_registered() {
    let given =
        "code_module,code_presentation,id_student,date_registration,date_unregistration\nAAA,2013J,1,-9,12\nAAA,2013J,2,?,?\n";
    check(
        oulad::read_registrations("o", given.as_bytes()),
        &[
            r#"{"course_id":"AAA-2013J","person_id":"1","role":"student"}"#,
            r#"{"course_id":"AAA-2013J","person_id":"2","role":"student"}"#,
            "o: 2 rows, 0 repeated, 0 broken",
        ],
    );
}

proptest! {
    #[test]
    fn what_another_make_of_csv_writes_is_read_as_it_was(given in prop::collection::vec("[^\r\n]{0,9}", 1..9)) {
        let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(&given).unwrap();
        let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let read = line::fields(written.trim_end_matches('\n')).unwrap();
        prop_assert_eq!(read, given);
    }

    #[test]
    fn whatever_a_file_holds_every_line_is_a_row_or_an_error(lines in prop::collection::vec("[\"a,7\r\u{feff}ä\0-]{0,12}", 0..20)) {
        let given = format!("course_id,title\n{}", lines.join("\n"));
        let mut table = read_courses("c", given.as_bytes());
        let read = table.by_ref().count() as u64 + table.summary().repeated;
        let blank = lines.iter().filter(|line| line.trim_end_matches('\r').is_empty()).count() as u64;
        prop_assert_eq!(read, lines.len() as u64 - blank);
    }

    #[test]
    fn arbitrary_bytes_never_panic(given in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut table = read_people("p", &given[..]);
        prop_assert!(table.by_ref().count() <= given.len() + 1);
    }
}

// === OneRoster ===

/// The rows of a table in words, and its errors.
fn told<R: Read, Row: Hash>(table: Table<R, Row>, tell: fn(Row) -> String) -> Vec<String> {
    table.map(|row| row.map_or_else(|error| error.to_string(), tell)).collect()
}

#[test]
fn users_of_both_versions_are_read_with_their_standard_columns() {
    let tell = |user: oneroster::User| {
        let role = user.role.as_ref().map_or("–", |role| role.as_str()).to_owned();
        format!("{} {} {role} {:?} {}", user.person_id, user.name.as_str(), user.org_sourced_ids, user.is_shut_out)
    };
    let first = "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,givenName,familyName\n\
        u1,,,true,\"o1,o2\",student,ada,Ada,Lovelace\nu2,tobedeleted,,true,o1,teacher,b,Ben,Bell\n\
        u3,,,true,o1,janitor,c,Cleo,C\nu4,gone,,true,o1,student,d,Dan,D\nu5,,,true,o1,student,e,,E\nu6,,,false,o1,aide,f,Fay,F\nu7,,,1,o1,aide,g,Gus,G\n";
    assert_eq!(
        told(oneroster::read_users("users.csv", first.as_bytes()), tell),
        [
            r#"u1 Ada Lovelace student ["o1", "o2"] false"#,
            r#"u2 Ben Bell teacher ["o1"] true"#,
            "users.csv:4: role: one of administrator, aide, counselor, districtAdministrator, guardian, parent, principal, \
             proctor, relative, siteAdministrator, student, systemAdministrator, teacher is needed",
            "users.csv:5: status: active, tobedeleted or nothing is needed",
            "users.csv:6: givenname: empty",
            r#"u6 Fay F aide ["o1"] true"#,
            "users.csv:8: enableduser: true or false is needed",
        ]
    );
    let second = "sourcedId,status,dateLastModified,enabledUser,username,givenName,familyName,primaryOrgSourcedId,pronouns\n\
        u1,active,2026-01-15,true,ada,Ada,Lovelace,o1,she\n";
    assert_eq!(told(oneroster::read_users("users.csv", second.as_bytes()), tell), ["u1 Ada Lovelace – [] false"]);
}

#[test]
fn classes_become_courses_and_enrollments_registrations() {
    let classes = "sourcedId,status,title,courseSourcedId,schoolSourcedId,metadata.room\nc1,,Algebra 1b,k1,s1,9\nc2,,,k1,s1,\n";
    let tell = |class: oneroster::Class| serde_json::to_string(&class.course).unwrap();
    assert_eq!(
        told(oneroster::read_classes("classes.csv", classes.as_bytes()), tell),
        [r#"{"course_id":"c1","title":"Algebra 1b"}"#, "classes.csv:3: title: empty"]
    );
    let enrollments = "sourcedId,status,classSourcedId,schoolSourcedId,userSourcedId,role\ne1,,c1,s1,u1,student\n\
        e2,,c1,s1,u1,student\ne3,,c1,s1,u1,teacher\ne4,tobedeleted,c1,s1,u2,student\n";
    let tell = |row: oneroster::Enrollment| match row.is_deleted {
        true => format!("withdraw {}", serde_json::to_string(&row.withdrawal()).unwrap()),
        false => serde_json::to_string(&row.registration).unwrap(),
    };
    assert_eq!(
        told(oneroster::read_enrollments("enrollments.csv", enrollments.as_bytes()), tell),
        [
            r#"{"course_id":"c1","person_id":"u1","role":"student"}"#,
            "enrollments.csv:4: line 2 says something else of the same",
            r#"withdraw {"course_id":"c1","person_id":"u2"}"#,
        ]
    );
}
