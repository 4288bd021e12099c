//! Requests that the server makes itself: where they may go, how long they take and how much they may bring.
//!
//! Invariant: an address is judged after the name was resolved, and the connection goes to the judged address and no other.

use crate::auth::is_public;
use anyhow::{Context, Result, bail};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Where a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To public addresses over https.
    Public,
    /// Anywhere; over http only to addresses that are not public, because what is sent could be read on the way.
    Anywhere,
}

/// Why nothing came, for the log alone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("the request failed: {0}")]
    Request(String),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer has more than {0} bytes")]
    TooBig(usize),
    #[error("the answer is refused: {0}")]
    Content(String),
}

impl From<reqwest::Error> for Failed {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold a secret, and the innermost cause says the most.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Request(format!("{error}: {cause}"))
    }
}

/// A client for one address: no redirects, no proxies, nothing but what was resolved and judged.
pub(crate) fn client(url: &Url, reach: Reach, timeout: Duration) -> Result<Client> {
    check(url, reach)?;
    let resolver = Arc::new(Judging { rule: Rule::of(url, reach) });
    let client = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(timeout)
        .connect_timeout(timeout)
        .pool_max_idle_per_host(1)
        .dns_resolver(resolver)
        .build();
    client.context("the TLS certificates of this machine cannot be read")
}

/// Reads a good answer whole, up to so many bytes.
pub(crate) async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Failed> {
    if response.status().as_u16() != 200 {
        return Err(Failed::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Failed::TooBig(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What can be said before a name is resolved. An address that stands in the URL itself is resolved by nobody, so it is judged here.
fn check(url: &Url, reach: Reach) -> Result<()> {
    let host = url.host_str().unwrap_or_default();
    match (url.scheme(), reach) {
        ("https", _) | ("http", Reach::Anywhere) if !host.is_empty() => {}
        ("http", Reach::Public) => bail!("{host}: only https is accepted"),
        _ => bail!("it is neither an https nor an http address"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("{host}: no user or password stands in an address");
    }
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(address) if !Rule::of(url, reach).allows(address) => bail!("{host}: {}", Rule::of(url, reach).sentence()),
        _ => Ok(()),
    }
}

/// Which resolved addresses are connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Public,
    NotPublic,
    Any,
}

impl Rule {
    fn of(url: &Url, reach: Reach) -> Self {
        match (reach, url.scheme()) {
            (Reach::Public, _) => Self::Public,
            (Reach::Anywhere, "http") => Self::NotPublic,
            (Reach::Anywhere, _) => Self::Any,
        }
    }

    fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::NotPublic => !is_public(address),
            Self::Any => true,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Public => "it is not an address of the public internet",
            Self::NotPublic => "http is accepted only within a private network; use https",
            Self::Any => "",
        }
    }
}

/// Resolves a name once. One address of a name that may not be reached spoils the name: a rebinding answer mixes them.
struct Judging {
    rule: Rule,
}

impl Resolve for Judging {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.rule;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.iter().any(|address| !rule.allows(address.ip())) {
                return Err(rule.sentence().into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reach, client};
    use reqwest::Url;
    use std::time::Duration;

    fn refusal(url: &str, reach: Reach) -> Option<String> {
        let url = Url::parse(url).unwrap();
        client(&url, reach, Duration::from_secs(2)).err().map(|error| error.to_string())
    }

    #[test]
    fn an_address_in_the_url_is_judged_however_it_is_spelled() {
        for host in
            ["127.0.0.1", "2130706433", "0x7f.1", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:8.8.8.8]", "100.64.0.1"]
        {
            let said = refusal(&format!("https://{host}/keys"), Reach::Public).unwrap();
            assert!(said.contains("public internet"), "{host}: {said}");
            assert_eq!(refusal(&format!("https://{host}/keys"), Reach::Anywhere), None);
        }
        assert_eq!(refusal("https://8.8.8.8/keys", Reach::Public), None);
        assert!(refusal("http://8.8.8.8/keys", Reach::Public).unwrap().contains("https"));
        assert!(refusal("http://8.8.8.8/keys", Reach::Anywhere).unwrap().contains("private network"));
        assert!(refusal("file:///etc/passwd", Reach::Anywhere).is_some());
        assert!(refusal("https://user:word@lms.example/", Reach::Public).is_some());
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let url = Url::parse("https://localhost:9/keys").unwrap();
        let client = client(&url, Reach::Public, Duration::from_secs(2)).unwrap();
        let error = super::Failed::from(client.get(url).send().await.unwrap_err()).to_string();
        assert!(error.contains("public internet"), "{error}");
    }
}
