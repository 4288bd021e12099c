//! Where a client connects to, from which loopback address, and as whom.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::net::{TcpSocket, TcpStream};

/// A connect that takes longer than this is given up.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// All that a connection needs.
#[derive(Clone)]
pub struct Dial {
    pub server: SocketAddr,
    /// Every person has an address of their own, as in real life; also 28,000 ports per address would not do for a million connects.
    pub source: Ipv4Addr,
    pub token: String,
    /// The client instance's name; `None` lets connections of one person live side by side.
    pub client: Option<String>,
    /// A small receive buffer makes a pause in reading felt by the server at once.
    pub receive_buffer_bytes: Option<u32>,
    /// Seconds that a poll may wait.
    pub poll_wait_s: u32,
    /// The WebSocket route.
    pub ws_path: &'static str,
}

/// The WebSocket route that speaks natively.
pub const NATIVE_WS: &str = "/ws";

impl Dial {
    /// Opens the TCP connection.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(SocketAddr::new(self.source.into(), 0))?;
        let stream = tokio::time::timeout(CONNECT_MAX, socket.connect(self.server))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The query string of a streaming connect, with its question mark; empty when nothing is asked.
    pub fn query(&self, since: Option<u64>) -> String {
        let mut query = String::new();
        if let Some(since) = since {
            query.push_str(&format!("?since={since}"));
        }
        if let Some(client) = &self.client {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(&format!("client={client}"));
        }
        query
    }
}

/// The loopback address of the n-th person: 127.16.0.0 and up.
pub fn loopback(n: u32) -> Ipv4Addr {
    let [_, b, c, d] = n.to_be_bytes();
    Ipv4Addr::new(127, 16 + b % 128, c, d)
}
