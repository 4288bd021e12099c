//! `revoke_access`: nothing that was issued before this event's instant, or that shows this token, is served any more.

use super::event::{self, SessionEnded, SignedOut, TokenRevoked};
use campanile_contract::{Caller, Channel, Command, Ctx, Effect, ErrorCode, Id, Line, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ends exactly one of the three.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeAccess {
    /// Everything that this person was issued up to now.
    pub user_id: Option<Id>,
    /// One token: its `jti`, or the hash that stands for it.
    pub token_id: Option<Line<255>>,
    /// One connection, as `connection_established` named it; its token stays good.
    pub connection: Option<Line<64>>,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevokedAnswer {
    /// What was ended: `user`, `token` or `connection`.
    revoked: &'static str,
}

impl RevokeAccess {
    /// Whose it must be: anybody's for whoever manages access, else the caller's own.
    fn owner(caller: &Caller) -> Option<Id> {
        match caller {
            Caller::Person(person) if !manages(caller) => Some(person.id.clone()),
            _ => None,
        }
    }
}

/// API keys with the scope `admin`, and people with the role `admin`.
fn manages(caller: &Caller) -> bool {
    caller.has_scope("admin") || caller.has_role("admin")
}

impl Command for RevokeAccess {
    const NAME: &'static str = "revoke_access";
    type Answer = RevokedAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        let is_own = match caller {
            Caller::Person(person) => match (&self.user_id, &self.token_id) {
                (Some(user_id), _) => *user_id == person.id,
                (None, Some(token_id)) => person.token_id.as_deref() == Some(token_id.as_str()),
                // A connection of somebody else is not found by the nodes, and stays open.
                (None, None) => true,
            },
            Caller::Service(_) => false,
        };
        match is_own || manages(caller) {
            true => Ok(()),
            false => Err(Refusal::new(
                ErrorCode::Forbidden,
                "this needs an API key with the scope admin, the role admin, or your own token",
            )),
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        let given = [self.user_id.is_some(), self.token_id.is_some(), self.connection.is_some()];
        match given.into_iter().filter(|is_given| *is_given).count() {
            1 => Ok(()),
            _ => Err(Refusal::new(ErrorCode::InvalidData, "give exactly one of user_id, token_id and connection")),
        }
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<RevokedAnswer, UnitError> {
        let person = Self::owner(ctx.caller());
        if let Some(user_id) = &self.user_id {
            let effect = Effect::SignOut { person: user_id.clone() };
            let data = SignedOut { user_id: user_id.clone() };
            ctx.emit_with(&event::SIGNED_OUT, Channel::user(user_id), &data, vec![effect]);
            return Ok(RevokedAnswer { revoked: "user" });
        }
        if let Some(token_id) = &self.token_id {
            let effect = Effect::RevokeToken { token_id: token_id.as_str().into(), person };
            let data = TokenRevoked { token_id: token_id.clone() };
            ctx.emit_with(&event::TOKEN_REVOKED, channel("tokens"), &data, vec![effect]);
            return Ok(RevokedAnswer { revoked: "token" });
        }
        if let Some(connection) = &self.connection {
            let effect = Effect::EndSession { connection: connection.as_str().into(), person };
            let data = SessionEnded { connection: connection.clone() };
            ctx.emit_with(&event::SESSION_ENDED, channel("sessions"), &data, vec![effect]);
        }
        Ok(RevokedAnswer { revoked: "connection" })
    }
}

fn channel(id: &str) -> Channel {
    Channel::new("access", &Id::new(id).expect("a plain word is an id"))
}
