//! The Origin allow-list: which web pages may speak to the server through somebody's browser.
//!
//! Invariant: origins are compared whole, as scheme, host and port; there are no suffixes, patterns or wildcards.

/// How the request carries its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// In a header, a subprotocol, the query or a frame: a page had to know it.
    Explicitly,
    /// In a cookie, which a browser adds to what any page sends.
    ByCookie,
}

/// An entry of the list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allowed origin `{entry}`: {why}")]
pub struct OriginError {
    entry: String,
    why: &'static str,
}

/// A parsed origin; the host is in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    /// The given port, or the scheme's default; other schemes than http and https have none.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Exact(Origin),
    /// Any of http and https; without a port, the default one of each.
    Host {
        host: String,
        port: Option<u16>,
    },
    Null,
}

/// The configured allow-list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    entries: Vec<Entry>,
}

impl AllowedOrigins {
    /// Reads the configured list: origins (`https://lms.example:8443`), bare hosts (`lms.example`) and `null`.
    ///
    /// # Errors
    /// Names the first entry that is none of these, and says why.
    pub fn new<S: AsRef<str>>(entries: &[S]) -> Result<Self, OriginError> {
        let read = |entry: &S| read_entry(entry.as_ref()).map_err(|why| OriginError { entry: entry.as_ref().to_owned(), why });
        Ok(Self { entries: entries.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Whether a request with these `Origin` and `Host` headers may come in.
    pub fn allows(&self, origin: Option<&str>, host: Option<&str>, carried: Carried) -> bool {
        let Some(origin) = origin else {
            // No browser leaves it out where it matters: this is a script or a server, which has no cookies of somebody else's.
            return carried == Carried::Explicitly;
        };
        if origin == "null" {
            return self.entries.contains(&Entry::Null);
        }
        let Some(origin) = parse_origin(origin) else { return false };
        is_own(&origin, host) || self.entries.iter().any(|entry| fits(entry, &origin))
    }
}

fn fits(entry: &Entry, origin: &Origin) -> bool {
    match entry {
        Entry::Exact(allowed) => allowed == origin,
        Entry::Host { host, port } => {
            let default = default_port(&origin.scheme);
            default.is_some() && *host == origin.host && origin.port == port.or(default)
        }
        Entry::Null => false,
    }
}

/// Whether the page came from this very server. Its scheme is unknown behind a TLS proxy, so the origin's default port counts.
fn is_own(origin: &Origin, host: Option<&str>) -> bool {
    let Some(default) = default_port(&origin.scheme) else { return false };
    let Some((host, port)) = host.and_then(parse_host) else { return false };
    host == origin.host && origin.port == Some(port.unwrap_or(default))
}

fn read_entry(entry: &str) -> Result<Entry, &'static str> {
    if entry == "null" {
        return Ok(Entry::Null);
    }
    if entry.contains('*') || entry.starts_with('.') {
        return Err("wildcards and suffixes are not supported; list every origin");
    }
    if !entry.is_ascii() {
        return Err("write the host as browsers send it, in ASCII (xn--…)");
    }
    if entry.contains("://") {
        return parse_origin(entry)
            .map(Entry::Exact)
            .ok_or("an origin is scheme://host or scheme://host:port, and nothing after it");
    }
    let (host, port) = parse_host(entry).ok_or("neither an origin (https://lms.example) nor a host (lms.example)")?;
    Ok(Entry::Host { host, port })
}

/// RFC 6454 section 6.2: a serialised origin has neither path, query, fragment nor user.
fn parse_origin(text: &str) -> Option<Origin> {
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(sign));
    if !is_scheme {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let (host, port) = parse_host(authority)?;
    let port = port.or(default_port(&scheme));
    Some(Origin { scheme, host, port })
}

/// A host in lower case and its port, if one is given.
fn parse_host(authority: &str) -> Option<(String, Option<u16>)> {
    let is_ipv6 = authority.starts_with('[');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !is_ipv6 || host.ends_with(']') => (host, Some(read_port(port)?)),
        _ => (authority, None),
    };
    let is_host = if is_ipv6 {
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))?;
        inner.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        !host.is_empty() && host.chars().all(|sign| sign.is_ascii_alphanumeric() || "-._".contains(sign))
    };
    is_host.then(|| (host.to_ascii_lowercase(), port))
}

fn read_port(text: &str) -> Option<u16> {
    // `u16::from_str` takes a plus sign.
    let is_number = text.chars().all(|digit| digit.is_ascii_digit());
    if is_number { text.parse().ok().filter(|port| *port != 0) } else { None }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
