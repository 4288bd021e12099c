//! Trusted proxies: whose word is taken for where a request came from.
//!
//! Invariant: what a peer that is not on the list says about addresses is never read; what is malformed is not believed.

#[cfg(test)]
mod tests;

use axum::http::{HeaderMap, HeaderName, header};
use std::net::{IpAddr, SocketAddr};

/// `X-Forwarded-For`, as proxies write it.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Hops that are looked at; nobody has more proxies of his own.
const HOPS_MAX: usize = 16;

/// The list is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trusted_proxies `{0}`: an entry is an address or a network, like 10.0.0.5 or 10.0.0.0/8 or fd00::/8")]
pub(crate) struct ProxyError(String);

/// The networks of the operator's own proxies.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<Network>);

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// The client's address, or the peer's when nobody trusted says more.
    pub(crate) address: IpAddr,
    /// Whether a trusted proxy says that the client spoke TLS to it.
    pub(crate) is_https: bool,
}

impl TrustedProxies {
    /// Reads the configured list.
    pub(crate) fn new<S: AsRef<str>>(entries: &[S]) -> Result<Self, ProxyError> {
        let read = |entry: &S| Network::parse(entry.as_ref()).ok_or_else(|| ProxyError(entry.as_ref().to_owned()));
        Ok(Self(entries.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Where a request of this peer with these headers came from.
    pub(crate) fn client_of(&self, peer: SocketAddr, headers: &HeaderMap) -> Client {
        let peer = peer.ip().to_canonical();
        if self.0.is_empty() || !self.holds(peer) {
            return Client { address: peer, is_https: false };
        }
        Client { address: self.told_client(headers).unwrap_or(peer), is_https: is_https(headers) }
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address))
    }

    /// The client as the headers tell. A proxy writes one of the two and may pass the other on as the client sent it, so two
    /// that disagree are not believed.
    fn told_client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let listed = joined(headers, &X_FORWARDED_FOR).map(|list| self.rightmost_stranger(list.rsplit(',').map(read_hop)));
        let forwarded = joined(headers, &header::FORWARDED)
            .map(|list| self.rightmost_stranger(split_quoted(&list, ',')?.into_iter().rev().map(forwarded_for)));
        match (listed, forwarded) {
            (Some(listed), Some(forwarded)) => listed.filter(|_| listed == forwarded),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => None,
        }
    }

    /// The nearest hop that is none of ours: what stands left of it, it may have made up. When all are ours, the farthest.
    fn rightmost_stranger(&self, hops: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut farthest = None;
        for hop in hops.take(HOPS_MAX) {
            let hop = hop?;
            if !self.holds(hop) {
                return Some(hop);
            }
            farthest = Some(hop);
        }
        farthest
    }
}

impl Network {
    fn parse(entry: &str) -> Option<Self> {
        let (address, bits) = match entry.split_once('/') {
            Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
            None => (entry.parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    fn holds(self, address: IpAddr) -> bool {
        let differing = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.bits)
    }
}

/// A header's lines as one list, if it is there. What is not text is there, and malformed.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("unreadable")).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// One hop: an address, maybe with a port, an IPv6 address maybe in brackets.
fn read_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bare =
        text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).and_then(|inner| inner.parse().ok().map(IpAddr::V6));
    let address = text.parse::<IpAddr>().ok().or(bare).or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

/// The `for` of one element (RFC 7239 section 4). `unknown` and obfuscated names are no addresses.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_quoted(element, ';')? {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            let plain = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
            if found.replace(read_hop(plain)?).is_some() {
                return None;
            }
        }
    }
    found
}

/// Splits where no quotation is open. An open quotation at the end, or an escape, which no address needs, is malformed.
fn split_quoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut is_quoted = false;
    if text.contains('\\') {
        return None;
    }
    let parts = text.split(|sign| {
        is_quoted ^= sign == '"';
        sign == separator && !is_quoted
    });
    let parts: Vec<&str> = parts.collect();
    text.matches('"').count().is_multiple_of(2).then_some(parts)
}

/// What the nearest proxy says of how it was spoken to.
fn is_https(headers: &HeaderMap) -> bool {
    let last = |name| joined(headers, name).and_then(|list| list.rsplit(',').next().map(|text| text.trim().to_owned()));
    last(&X_FORWARDED_PROTO).is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}
