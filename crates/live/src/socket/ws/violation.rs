//! What a client's frames can do wrong, and the close code that each wrong is answered with.

use campanile_wire::CloseReason;

/// Why the frames of a client end its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// RFC 6455, 5.1.
    #[error("a client's frame is not masked")]
    Unmasked,
    /// RFC 6455, 5.2: no extension is negotiated, so that compressed frames are refused here too.
    #[error("a reserved bit is set though no extension was negotiated")]
    ReservedBits,
    /// RFC 6455, 5.2.
    #[error("a reserved opcode")]
    ReservedOpcode,
    /// RFC 6455, 5.5.
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// RFC 6455, 5.5.
    #[error("a control frame is longer than 125 bytes")]
    ControlTooLong,
    /// RFC 6455, 5.4.
    #[error("a continuation frame though no message is open")]
    ContinuationUnexpected,
    /// RFC 6455, 5.4.
    #[error("a new message inside of an unfinished one")]
    ContinuationExpected,
    /// RFC 6455, 5.2: the shortest form of a length must be used.
    #[error("a length is not in its shortest form")]
    LengthNotMinimal,
    /// RFC 6455, 5.2.
    #[error("the highest bit of a 64-bit length is set")]
    LengthOutOfRange,
    /// RFC 6455, 5.5.1: one byte cannot hold a close code.
    #[error("a Close frame with half a code")]
    CloseTruncated,
    /// RFC 6455, 7.4.
    #[error("a close code that must not be sent")]
    CloseCodeNotAllowed,
    /// RFC 6455, 8.1.
    #[error("text that is not UTF-8")]
    InvalidUtf8,
    /// JSON is spoken here, and JSON is text.
    #[error("a binary frame")]
    BinaryNotSupported,
    /// Over [`super::decoder::Limits::message_bytes_max`].
    #[error("a message over the limit")]
    MessageTooBig,
    /// Over [`super::decoder::Limits::fragments_max`].
    #[error("a message in too many fragments")]
    TooManyFragments,
}

impl Violation {
    /// The documented close code and word for it. The RFC's 1009 is not among them: our limits close with 4009.
    pub const fn close_reason(self) -> CloseReason {
        match self {
            Self::InvalidUtf8 => CloseReason::InvalidUtf8,
            Self::BinaryNotSupported => CloseReason::BinaryNotSupported,
            Self::MessageTooBig => CloseReason::MessageTooBig,
            Self::TooManyFragments => CloseReason::TooManyFragments,
            _ => CloseReason::ProtocolError,
        }
    }
}
