//! `course_size`: how many people are registered in a course, `{"registered": 31}`.

use campanile_contract::{Effect, Event, Id, JournalError, Reader, View, ViewType};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashMap;

/// For the members of the course.
pub const COURSE_SIZE: ViewType = ViewType { name: "course_size", channel_kind: "course", build };

/// Registered people by course. Only the effects of registrations count: a change of role in a course has none.
struct CourseSize(HashMap<Id, u64>);

impl View for CourseSize {
    fn apply(&mut self, event: &Event) -> Vec<Id> {
        if !matches!(&*event.kind, "registered" | "withdrawn") {
            return Vec::new();
        }
        event.effects.iter().filter_map(|effect| self.count(effect)).collect()
    }

    fn show(&self, key: &Id) -> serde_json::Value {
        serde_json::json!({ "registered": self.0.get(key).copied().unwrap_or(0) })
    }
}

impl CourseSize {
    fn count(&mut self, effect: &Effect) -> Option<Id> {
        let (channel, registers) = match effect {
            Effect::Grant { channel, .. } => (channel, true),
            Effect::Revoke { channel, .. } => (channel, false),
            Effect::SignOut { .. } | Effect::RevokeToken { .. } | Effect::EndSession { .. } => return None,
        };
        let course_id = Id::new(channel.id()).ok().filter(|_| channel.kind() == "course")?;
        let registered = self.0.entry(course_id.clone()).or_default();
        *registered = if registers { *registered + 1 } else { registered.saturating_sub(1) };
        Some(course_id)
    }
}

fn build(reader: &mut Reader) -> BoxFuture<'_, Result<Box<dyn View>, JournalError>> {
    async move {
        let sql = "SELECT course_id, COUNT(*) AS registered FROM registration GROUP BY course_id";
        let mut sizes = HashMap::new();
        for row in reader.fetch(sql, &[]).await? {
            let course_id = Id::new(&row.text("course_id")?).map_err(|error| JournalError::Statement(error.to_string()))?;
            sizes.insert(course_id, row.count("registered")?);
        }
        Ok(Box::new(CourseSize(sizes)) as Box<dyn View>)
    }
    .boxed()
}
