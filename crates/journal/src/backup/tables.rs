//! Which tables are ours: those that the migrations make. A platform may keep its own in the same database.

use crate::journal::OWN_MIGRATIONS;
use crate::migrate::Migration;

/// The names of all our tables.
pub(super) fn of(migrations: &[Migration]) -> Vec<String> {
    let all = OWN_MIGRATIONS.iter().chain(migrations);
    let made = all.flat_map(|migration| migration.sql.split("CREATE TABLE ").skip(1));
    let named = made.filter_map(|rest| rest.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_')).next());
    std::iter::once("migration").chain(named).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::migrate::Migration;

    #[test]
    fn the_tables_of_all_migrations_are_named() {
        let note =
            Migration { feature: "note", number: 1, sql: "CREATE TABLE note (id BIGKEY);\nCREATE TABLE note_2(id BIGKEY)" };
        let names = of(&[note]);
        for name in ["migration", "log_head", "event", "job", "schedule", "sync_events", "sync_row", "note", "note_2"] {
            assert!(names.iter().any(|known| known == name), "{name} is missing in {names:?}");
        }
    }
}
