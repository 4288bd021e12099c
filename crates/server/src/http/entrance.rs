//! What every request brings: its credential, its cursor, and what it wants to read.

use crate::app::App;
use crate::auth::{Carriers, cookie_value};
use crate::gate::{Standing, TooMany};
use crate::http::Peer;
use crate::http::around::{Told, cookie_allowed, origin_allowed};
use crate::http::problem::Problem;
use crate::measures::RestCaller;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use campanile_live::{Connect, Transport};
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Caller, Channel, Cursor, Dialect, ErrorCode, Refusal};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// The longest name of a client instance, in bytes.
const CLIENT_BYTES_MAX: usize = 128;

/// A request's query, decoded.
pub(crate) struct Asked {
    query: HashMap<String, String>,
    last_event_id: Option<String>,
    pub(crate) address: IpAddr,
}

impl Asked {
    /// Reads the query.
    pub(crate) fn of(parts: &Parts) -> Result<Self, Refusal> {
        let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri)
            .map_err(|_| Refusal::new(ErrorCode::InvalidData, "the query is not percent-encoded UTF-8"))?;
        let peer = parts.extensions.get::<Peer>();
        Ok(Self {
            query: query.0,
            last_event_id: text(&parts.headers, "last-event-id").map(str::to_owned),
            address: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.client),
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where to resume. An EventSource's own `Last-Event-ID` is newer than the address it was made with.
    pub(crate) fn since(&self) -> Result<Option<Cursor>, Refusal> {
        let given = self.last_event_id.as_deref().filter(|id| !id.is_empty()).or_else(|| self.get("since"));
        given.map(Cursor::parse).transpose().map_err(|error| Refusal::new(ErrorCode::InvalidCursor, error.to_string()))
    }

    pub(crate) fn epoch(&self) -> Result<Option<u64>, Refusal> {
        let invalid = |_| Refusal::new(ErrorCode::InvalidCursor, "epoch is a number");
        self.get("epoch").map(str::parse).transpose().map_err(invalid)
    }

    pub(crate) fn client(&self) -> Result<Option<Box<str>>, Refusal> {
        match self.get("client") {
            Some(client) if client.len() > CLIENT_BYTES_MAX => {
                Err(Refusal::new(ErrorCode::InvalidData, format!("client has at most {CLIENT_BYTES_MAX} bytes")))
            }
            client => Ok(client.map(Box::from)),
        }
    }

    pub(crate) fn only(&self, app: &App) -> Result<Option<Vec<Channel>>, Refusal> {
        let read = |list: &str| list.split(',').map(|channel| app.site.registry.channel(channel)).collect();
        self.get("channels").map(read).transpose()
    }

    /// The request for a connection.
    pub(crate) fn connect(&self, app: &App, caller: PersonCaller, transport: Transport) -> Result<Connect, Refusal> {
        Ok(Connect {
            caller,
            since: self.since()?,
            epoch: self.epoch()?,
            client: self.client()?,
            only: self.only(app)?,
            address: self.address,
            transport,
            dialect: Dialect::default(),
        })
    }
}

/// The caller of a request, whatever it wants.
pub(crate) async fn caller(app: &App, parts: &Parts, asked: &Asked) -> Result<Caller, Refusal> {
    if !origin_allowed(app, &parts.headers) {
        app.identity.count("origin", Some(ErrorCode::OriginNotAllowed));
        return Err(ErrorCode::OriginNotAllowed.into());
    }
    let carriers = Carriers {
        authorization: text(&parts.headers, header::AUTHORIZATION.as_str()),
        subprotocols: text(&parts.headers, header::SEC_WEBSOCKET_PROTOCOL.as_str()),
        ticket: asked.get("ticket"),
        token: asked.get("token"),
        cookie: cookie(app, &parts.headers),
    };
    let found = app.identity.caller(&carriers, &app.node).await;
    if let Ok(Caller::Person(person)) = &found {
        app.telemetry.note_person(&person.id);
    }
    found
}

/// The configured cookie, where a page that may speak to us sent it. Without an Origin nobody knows which page did, and the cookie speaks
/// for nobody: against cross-site requests it is as if it were not there.
fn cookie<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
    let config = app.config();
    let name = &config.auth.cookie.as_ref()?.name;
    let value = text(headers, header::COOKIE.as_str()).and_then(|header| cookie_value(header, name))?;
    cookie_allowed(app, headers).then_some(value)
}

/// The caller of a REST request, under the hourly limits; a request without a valid credential counts for its address.
pub(crate) async fn rest_caller(app: &App, parts: &Parts, asked: &Asked) -> Result<Caller, Problem> {
    match caller(app, parts, asked).await {
        Ok(caller) => {
            let rate = match &caller {
                Caller::Service(service) => app.identity.rate_of(&service.name),
                Caller::Person(_) => None,
            };
            let kind = if rate.is_some() { RestCaller::Service } else { RestCaller::Person };
            let admitted = app.gate.admit(&caller, rate);
            count(app, kind, &admitted);
            judged(parts, admitted)?;
            Ok(caller)
        }
        Err(refusal) => {
            let admitted = app.gate.admit_anonymous(asked.address);
            count(app, RestCaller::Anonymous, &admitted);
            judged(parts, admitted)?;
            Err(refusal.into())
        }
    }
}

fn count(app: &App, caller: RestCaller, admitted: &Result<Standing, TooMany>) {
    if admitted.is_err() {
        app.measures.rest_refused(caller);
    }
}

/// Notes where the caller stands, so that the answer can tell, whatever it will be.
pub(crate) fn judged(parts: &Parts, admitted: Result<Standing, TooMany>) -> Result<(), Problem> {
    let standing = admitted.as_ref().map_or_else(|too_many| too_many.standing, |standing| *standing);
    if let Some(told) = parts.extensions.get::<Told>() {
        told.note(standing);
    }
    admitted.map(|_| ()).map_err(Problem::too_many)
}

/// The person who wants to read in real time. Services publish; they have no inbox.
pub(crate) async fn reader(app: &App, parts: &Parts, asked: &Asked) -> Result<PersonCaller, Refusal> {
    match caller(app, parts, asked).await? {
        Caller::Person(person) => Ok(person),
        Caller::Service(_) => Err(Refusal::new(ErrorCode::Forbidden, "an API key has no inbox; connect with a person's token")),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
