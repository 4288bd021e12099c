//! Made-up clients: conversations that keep the rules, and such as break one of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Small, so that made-up messages come to lie on both sides of it.
pub(super) const LIMITS: Limits = Limits { message_bytes_max: 1000, fragments_max: 64 };

/// One frame, with everything that a client could get wrong about it.
#[derive(Clone, Debug)]
pub(super) struct ClientFrame {
    pub first: u8,
    pub mask: Option<[u8; 4]>,
    pub length_form: LengthForm,
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LengthForm {
    Shortest,
    SixteenBits,
    SixtyFourBits,
}

impl ClientFrame {
    fn new(first: u8, mask: [u8; 4], payload: &[u8]) -> Self {
        Self { first, mask: Some(mask), length_form: LengthForm::Shortest, payload: payload.to_vec() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mask_bit = if self.mask.is_some() { MASKED } else { 0 };
        let length = self.payload.len();
        let mut bytes = match self.length_form {
            LengthForm::Shortest if length <= 125 => vec![self.first, mask_bit | length as u8],
            LengthForm::Shortest | LengthForm::SixteenBits => {
                [&[self.first, mask_bit | 126], &(length as u16).to_be_bytes()[..]].concat()
            }
            LengthForm::SixtyFourBits => [&[self.first, mask_bit | 127], &(length as u64).to_be_bytes()[..]].concat(),
        };
        let mask = self.mask.unwrap_or_default();
        bytes.extend(self.mask.iter().flatten());
        bytes.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }
}

pub(super) fn bytes_of(frames: &[ClientFrame]) -> Vec<u8> {
    frames.iter().flat_map(ClientFrame::bytes).collect()
}

/// What a client says that keeps every rule, with the messages that it means.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    pub frames: Vec<ClientFrame>,
    pub messages: Vec<Message>,
}

pub(super) fn legal_conversation() -> impl Strategy<Value = Conversation> {
    let exchanges = vec(prop_oneof![4 => said_text(), 1 => said_control()], 0..6);
    (exchanges, proptest::option::of(said_close())).prop_map(|(exchanges, close)| {
        let exchanges = exchanges.into_iter().chain(close);
        let (frames, messages): (Vec<_>, Vec<_>) = exchanges.map(|said| (said.frames, said.messages)).unzip();
        Conversation { frames: frames.concat(), messages: messages.concat() }
    })
}

/// A legal conversation with, most of the time, one thing wrong about it.
pub(super) fn any_conversation() -> impl Strategy<Value = Vec<ClientFrame>> {
    (legal_conversation(), any::<Index>(), any::<Index>(), mischief()).prop_map(|(said, which, other, mischief)| {
        let mut frames = said.frames;
        if !frames.is_empty() {
            let (which, other) = (which.index(frames.len()), other.index(frames.len()));
            mischief.apply(&mut frames, which, other);
        }
        frames
    })
}

#[derive(Clone, Debug)]
enum Mischief {
    None,
    FirstByte(u8),
    Unmasked,
    Length(LengthForm),
    Byte(Index, u8),
    Grown(usize),
    Swapped,
    Dropped,
}

fn mischief() -> impl Strategy<Value = Mischief> {
    prop_oneof![
        1 => Just(Mischief::None),
        // Not binary: that is our own rule, which the oracle does not share.
        4 => any::<u8>().prop_filter("binary", |first| first & 0x0F != BINARY).prop_map(Mischief::FirstByte),
        1 => Just(Mischief::Unmasked),
        1 => prop_oneof![Just(LengthForm::SixteenBits), Just(LengthForm::SixtyFourBits)].prop_map(Mischief::Length),
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mischief::Byte(at, byte)),
        1 => (1..1200_usize).prop_map(Mischief::Grown),
        2 => Just(Mischief::Swapped),
        1 => Just(Mischief::Dropped),
    ]
}

impl Mischief {
    fn apply(self, frames: &mut Vec<ClientFrame>, which: usize, other: usize) {
        let frame = &mut frames[which];
        match self {
            Self::None => {}
            Self::FirstByte(first) => frame.first = first,
            Self::Unmasked => frame.mask = None,
            Self::Length(form) => frame.length_form = form,
            Self::Byte(at, byte) if !frame.payload.is_empty() => {
                let at = at.index(frame.payload.len());
                frame.payload[at] = byte;
            }
            Self::Byte(..) => frame.payload.push(0xFF),
            Self::Grown(by) => frame.payload.extend(std::iter::repeat_n(b'x', by)),
            Self::Swapped => frames.swap(which, other),
            Self::Dropped => drop(frames.remove(which)),
        }
    }
}

/// Short texts of all scripts, and now and then one just below the limit.
pub(super) fn any_text() -> impl Strategy<Value = String> {
    let characters = prop_oneof![any::<char>(), proptest::char::range('a', 'z'), Just('ß'), Just('κ'), Just('🔔')];
    prop_oneof![
        8 => vec(characters, 0..40).prop_map(String::from_iter),
        1 => (120..135_usize).prop_map(|length| "y".repeat(length)),
        1 => (980..=1000_usize).prop_map(|length| "x".repeat(length)),
    ]
}

/// A text message in one to six frames, cut anywhere, also within a character, with control frames between them.
fn said_text() -> impl Strategy<Value = Conversation> {
    let between = proptest::option::weighted(0.3, said_control());
    (any_text(), vec((any::<Index>(), between), 0..6), any::<[u8; 4]>()).prop_map(|(said, cuts, mask)| {
        let mut cuts: Vec<_> = cuts.into_iter().map(|(at, between)| (at.index(said.len() + 1), between)).collect();
        cuts.sort_by_key(|(at, _)| *at);
        let (mut frames, mut messages) = (Vec::new(), Vec::new());
        let (mut from, mut opcode) = (0, TEXT);
        for (at, between) in cuts {
            frames.push(ClientFrame::new(opcode, mask, &said.as_bytes()[from..at]));
            if let Some(between) = between {
                frames.extend(between.frames);
                messages.extend(between.messages);
            }
            (from, opcode) = (at, CONTINUATION);
        }
        frames.push(ClientFrame::new(FIN | opcode, mask, &said.as_bytes()[from..]));
        messages.push(text(&said));
        Conversation { frames, messages }
    })
}

fn said_control() -> impl Strategy<Value = Conversation> {
    (any::<bool>(), vec(any::<u8>(), 0..=125), any::<[u8; 4]>()).prop_map(|(ping, payload, mask)| {
        let frame = ClientFrame::new(FIN | if ping { PING } else { PONG }, mask, &payload);
        let payload = Bytes::from(payload);
        let message = if ping { Message::Ping(payload) } else { Message::Pong(payload) };
        Conversation { frames: vec![frame], messages: vec![message] }
    })
}

pub(super) fn close_code() -> impl Strategy<Value = u16> {
    prop_oneof![1000..=1003_u16, 1007..=1014_u16, 3000..=4999_u16]
}

fn said_close() -> impl Strategy<Value = Conversation> {
    let reason = vec(any::<char>(), 0..30).prop_map(String::from_iter);
    (proptest::option::of((close_code(), reason)), any::<[u8; 4]>()).prop_map(|(close, mask)| {
        let payload = match &close {
            Some((code, reason)) => [&code.to_be_bytes(), reason.as_bytes()].concat(),
            None => Vec::new(),
        };
        let message = Message::Close(close.map(|(code, reason)| CloseFrame { code, reason: reason.into() }));
        Conversation { frames: vec![ClientFrame::new(FIN | CLOSE, mask, &payload)], messages: vec![message] }
    })
}
