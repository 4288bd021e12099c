//! Close codes of the WebSocket routes, each reason one documented word.

use crate::error_code::ErrorCode;

macro_rules! close_reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $word:literal;)*) => {
        /// Why a connection is closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseReason { $($(#[$doc])* $name,)* }

        impl CloseReason {
            /// Every reason, for the documentation checks.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The WebSocket close code.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The documented word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

impl CloseReason {
    /// The reason that tells a refusal of this code on a WebSocket.
    pub const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NoCredential => Self::NoCredential,
            ErrorCode::ExpiredToken => Self::ExpiredToken,
            ErrorCode::CredentialConflict => Self::CredentialConflict,
            ErrorCode::InvalidToken | ErrorCode::InvalidTicket => Self::InvalidToken,
            ErrorCode::RevokedToken => Self::RevokedToken,
            ErrorCode::AuthTimeout => Self::AuthTimeout,
            ErrorCode::NotApproved => Self::NotApproved,
            ErrorCode::OriginNotAllowed => Self::OriginNotAllowed,
            ErrorCode::AuthUnavailable => Self::AuthUnavailable,
            code if code.status() >= 500 => Self::InternalError,
            _ => Self::Forbidden,
        }
    }
}

close_reasons! {
    /// The same client connected again.
    Replaced = 1000, "replaced";
    /// The drain's grace ran out.
    ServerShutdown = 1001, "server_shutdown";
    /// The frames break RFC 6455.
    ProtocolError = 1002, "protocol_error";
    /// A binary frame where JSON is spoken.
    BinaryNotSupported = 1003, "binary_not_supported";
    /// A text frame that is not UTF-8.
    InvalidUtf8 = 1007, "invalid_utf8";
    /// Our fault.
    InternalError = 4000, "internal_error";
    /// Whoever judges the token cannot be asked just now; come back.
    AuthUnavailable = 4000, "auth_unavailable";
    /// No credential came.
    NoCredential = 4001, "no_credential";
    /// The credential is wrong.
    InvalidToken = 4001, "invalid_token";
    /// The credential ended.
    ExpiredToken = 4001, "expired_token";
    /// Two credentials name different users.
    CredentialConflict = 4001, "credential_conflict";
    /// No `auth` message came in time.
    AuthTimeout = 4001, "auth_timeout";
    /// The token, its user or this session was revoked.
    RevokedToken = 4001, "revoked_token";
    /// Known, but not allowed.
    Forbidden = 4003, "forbidden";
    /// The user is not approved, or not any more. On the seed's route `/ws/updates/` the code is 4001, the only one it defines.
    NotApproved = 4003, "not_approved";
    /// The Origin is not on the allow-list.
    OriginNotAllowed = 4003, "origin_not_allowed";
    /// The client read nothing for too long.
    StoppedReading = 4008, "stopped_reading";
    /// Nothing was heard from the client for too long.
    PongTimeout = 4008, "pong_timeout";
    /// A message over the limit.
    MessageTooBig = 4009, "message_too_big";
    /// A message in too many fragments.
    TooManyFragments = 4009, "too_many_fragments";
    /// This node goes down; come back.
    ServerDraining = 4010, "server_draining";
    /// Too many messages.
    RateLimited = 4029, "rate_limited";
    /// The user or address holds too many connections.
    TooManyConnections = 4029, "too_many_connections";
    /// Admission: come back a little later.
    ServerBusy = 4029, "server_busy";
}
