//! The bytes on their way into one socket: shared frames, written many at once.

use super::stream::Stream;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// Frames of one write.
const SLICES_MAX: usize = 64;

/// Waiting frames beyond which pings go unanswered.
const PONG_FRAMES_MAX: usize = 64;

/// Frames that wait for the socket. The session is asked for more only when it is empty, so its size is one page.
#[derive(Default)]
pub(crate) struct Outbox {
    frames: VecDeque<Bytes>,
}

impl Outbox {
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.frames.push_back(frame);
    }

    /// Answers a ping, unless so much waits already that the pong would only add to it: RFC 6455 5.5.3 asks for the latest alone.
    pub(crate) fn push_pong(&mut self, frame: Bytes) {
        if self.frames.len() < PONG_FRAMES_MAX {
            self.frames.push_back(frame);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes what the socket takes now; answers whether it took anything.
    pub(crate) fn write_into(&mut self, stream: &mut Stream) -> io::Result<bool> {
        let mut progressed = stream.send()?;
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.frames.len().min(SLICES_MAX);
            for (slice, frame) in slices.iter_mut().zip(&self.frames) {
                *slice = IoSlice::new(frame);
            }
            match stream.try_write(&slices[..count])? {
                0 => return Ok(progressed),
                written => self.advance(written),
            }
            progressed |= stream.sends_at_once() || stream.send()?;
        }
        // An idle connection keeps no memory.
        self.frames = VecDeque::new();
        Ok(progressed)
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(frame) = self.frames.front_mut() {
            if written < frame.len() {
                frame.advance(written);
                return;
            }
            written -= frame.len();
            self.frames.pop_front();
        }
    }
}
