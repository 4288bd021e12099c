//! The rules of delivery, driven step by step on a real journal, without sockets or sleeps.

mod admitting;
mod asking;
mod blocked_sockets;
mod following;
mod interleavings;
mod listening;
mod measuring;
mod model;
mod overseeing;
mod polling;
mod reading_frames;
mod returning;
mod revoking;
mod school;
mod signalling;
mod slow_readers;
mod speaking;
mod suspending;
mod threads;
mod viewing;
mod withdrawing;
