//! An event on its way to many readers: encoded once per transport, then shared by reference.

use crate::socket::ws::frame;
use bytes::{BufMut, Bytes, BytesMut};
use campanile_contract::Registry;
use campanile_wire::Event;
use campanile_wire::frame::{event_json, event_json_with_id};
use std::sync::OnceLock;

/// A committed event and its encodings, each made when first asked for.
pub struct Delivery {
    /// The event.
    pub event: Event,
    /// The name under which the event stream shows the channel's id.
    id_name: Option<&'static str>,
    json: OnceLock<Bytes>,
    ws: OnceLock<Bytes>,
    sse: OnceLock<Bytes>,
}

impl Delivery {
    pub(crate) fn new(event: Event, registry: &Registry) -> Self {
        let id_name = registry.id_name(event.channel.kind());
        Self { event, id_name, json: OnceLock::new(), ws: OnceLock::new(), sse: OnceLock::new() }
    }

    /// The native JSON.
    pub fn json(&self) -> &Bytes {
        self.json.get_or_init(|| event_json(&self.event).into())
    }

    /// A whole WebSocket frame.
    pub(crate) fn ws(&self) -> &Bytes {
        self.ws.get_or_init(|| frame::text(event_json(&self.event).as_bytes()))
    }

    /// A whole SSE block. Data is one line: publishing turned line ends into spaces, and JSON escapes them inside texts.
    pub(crate) fn sse(&self) -> &Bytes {
        self.sse.get_or_init(|| {
            let json = match self.id_name {
                Some(name) => event_json_with_id(&self.event, name),
                None => event_json(&self.event),
            };
            let mut block = BytesMut::with_capacity(json.len() + 40);
            block.put_slice(format!("id: {}\ndata: ", self.event.id).as_bytes());
            block.put_slice(json.as_bytes());
            block.put_slice(b"\n\n");
            block.freeze()
        })
    }
}
