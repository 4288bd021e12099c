//! The school of a load run: people in courses, and announcements to them.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Result, bail};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::time::Instant;

use super::meter::Meter;
use crate::{
    mark::mark,
    place::Place,
    service::{Request, Service, Settled},
};

/// People of one import request; each makes two rows of the 1,000 that are allowed.
const PEOPLE_PER_REQUEST: u32 = 400;
/// How long deliveries are waited for after the last publish.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Imports `people` people, `load-0` and up, spread over `courses` courses.
pub async fn register(place: &Place, people: u32, courses: u32) -> Result<()> {
    let run = std::process::id();
    let mut service = service(place);
    let titles: Vec<_> =
        (0..courses).map(|n| json!({ "course_id": format!("load-{n}"), "title": format!("Load {n}") })).collect();
    import(&mut service, format!("load-{run}-courses"), &json!({ "courses": titles })).await?;
    for first in (0..people).step_by(PEOPLE_PER_REQUEST as usize) {
        let range = first..(first + PEOPLE_PER_REQUEST).min(people);
        let persons: Vec<_> = range
            .clone()
            .map(|n| json!({ "person_id": format!("load-{n}"), "name": format!("Load {n}"), "role": "student" }))
            .collect();
        let registrations: Vec<_> = range
            .map(|n| json!({ "course_id": format!("load-{}", n % courses.max(1)), "person_id": format!("load-{n}"), "role": "student" }))
            .collect();
        import(&mut service, format!("load-{run}-{first}"), &json!({ "people": persons, "registrations": registrations }))
            .await?;
    }
    Ok(())
}

async fn import(service: &mut Service, idempotency_key: String, body: &serde_json::Value) -> Result<()> {
    let request = Request { line: "POST /api/roster/import".to_owned(), idempotency_key, body: Some(body.to_string()) };
    settle(service, &request).await
}

async fn settle(service: &mut Service, request: &Request) -> Result<()> {
    match service.settle(request, &mut StdRng::seed_from_u64(1)).await {
        Settled::Acked { .. } => Ok(()),
        Settled::Refused { status, code, .. } => bail!("{} was refused with {status} {code}", request.line),
        Settled::Unsettled(why) => bail!("{} was never settled: {why}", request.line),
    }
}

/// Publishes at a rate for a time, one after the other, and then waits for the last deliveries. Says how many it published.
pub async fn publish(place: &Place, meter: &Meter, courses: u32, rate: f64, body_bytes: usize, time: Duration) -> Result<u64> {
    let (start, mut service, mut published) = (Instant::now(), service(place), 0);
    if rate <= 0.0 {
        tokio::time::sleep(time).await;
        return Ok(0);
    }
    let body = "x".repeat(body_bytes);
    while start.elapsed() < time {
        tokio::time::sleep_until(start + Duration::from_secs_f64(published as f64 / rate)).await;
        let channel = format!("course:load-{}", rand::rng().random_range(0..courses.max(1)));
        let data = json!({ "title": format!("Load {published}"), "body": body }).to_string();
        let text = format!(r#"{{"type":"announcement","channel":"{channel}","data":{data}}}"#);
        let key = format!("load-{}-publish-{published}", std::process::id());
        meter.note_sent(mark("announcement", &channel, &data));
        settle(&mut service, &Request { line: "POST /api/events".to_owned(), idempotency_key: key, body: Some(text) }).await?;
        published += 1;
    }
    tokio::time::sleep(AFTERMATH).await;
    Ok(published)
}

fn service(place: &Place) -> Service {
    Service::new(place.address, Ipv4Addr::new(127, 201, 0, 1), &place.keys.api_key)
}
