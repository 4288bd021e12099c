//! Error codes: every refusal that a client can meet, with its HTTP status and sentence. PROTOCOL.md lists the same.

macro_rules! error_codes {
    ($($name:ident = $code:literal, $status:literal, $sentence:literal;)*) => {
        /// A documented error code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $sentence] $name,)*
        }

        impl ErrorCode {
            /// Every code, for the documentation checks.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands in answers and frames.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// When it is answered, as one sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

impl ErrorCode {
    /// Whether repeating the same request later can succeed.
    pub const fn is_passing(self) -> bool {
        matches!(self.status(), 429 | 503 | 507)
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

error_codes! {
    MalformedJson = "malformed_json", 400, "the body or frame is not JSON of the expected shape";
    UnknownFrame = "unknown_frame", 400, "a frame's `type` is not one of those in section 3";
    InvalidData = "invalid_data", 422, "a field is missing, unknown, of the wrong type, too long or out of range";
    UnknownEventType = "unknown_event_type", 422, "no feature and no `[[event_type]]` declares this type";
    UnknownChannel = "unknown_channel", 422, "a channel that is not `kind:id` of a known kind";
    WrongChannelKind = "wrong_channel_kind", 422, "the event type belongs to another kind of channel";
    UnknownCommand = "unknown_command", 404, "no feature declares a command of this name";
    UnknownView = "unknown_view", 404, "no feature declares a view of this name";
    NotFound = "not_found", 404, "the route or the row does not exist";
    MethodNotAllowed = "method_not_allowed", 405, "the route exists with another method";
    InvalidCursor = "invalid_cursor", 400, "`since`, `Last-Event-ID` or `last_event_id` is neither an id nor an instant";
    NoCredential = "no_credential", 401, "no credential where one is needed";
    InvalidToken = "invalid_token", 401, "signature, algorithm, issuer, audience, shape or lifetime is wrong";
    ExpiredToken = "expired_token", 401, "the token's `exp` is past";
    InvalidTicket = "invalid_ticket", 401, "the ticket is unknown, used or older than 30 s";
    CredentialConflict = "credential_conflict", 401, "two credentials name different users";
    RevokedToken = "revoked_token", 401, "the token, its user or this session was revoked";
    AuthTimeout = "auth_timeout", 401, "no `auth` message within 5 s";
    Forbidden = "forbidden", 403, "the caller may not do or see this";
    NotApproved = "not_approved", 403, "the user is not approved, or not any more";
    OriginNotAllowed = "origin_not_allowed", 403, "the Origin is not on the allow-list";
    IdempotencyConflict = "idempotency_conflict", 409, "the idempotency key was used with another body";
    StaleVersion = "stale_version", 409, "somebody else changed it meanwhile: `current` is what is true now";
    MessageTooBig = "message_too_big", 413, "over the limit of a message, body or batch";
    RateLimited = "rate_limited", 429, "too many messages or requests";
    TooManyConnections = "too_many_connections", 429, "the user or the address holds too many connections";
    ServerBusy = "server_busy", 503, "admission, or a full queue: come back after `Retry-After`";
    ServerDraining = "server_draining", 503, "this node is going down: come back after `Retry-After`";
    AuthUnavailable = "auth_unavailable", 503, "whoever judges this token cannot be asked just now";
    StoreBusy = "store_busy", 503, "the database is locked by another process; nothing was written";
    StoreFull = "store_full", 507, "the disk or the database is full; nothing was written";
    StoreUnavailable = "store_unavailable", 503, "the database cannot be reached; nothing was written";
    CommitUnknown = "commit_unknown", 503, "the commit's answer was lost: repeat with the same idempotency key";
    CommandTimeout = "command_timeout", 503, "the command ran into its time limit; nothing was written";
    InternalError = "internal_error", 500, "our fault; the log has the request id";
}
