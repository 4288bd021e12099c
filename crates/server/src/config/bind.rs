//! Where the server may listen without TLS: where nobody else can reach it, or behind a proxy that speaks TLS for it.

use super::Config;
use anyhow::{Result, bail};

impl Config {
    /// Refuses to carry tokens in the open over a network: beyond this machine it takes TLS, here or at a proxy.
    ///
    /// # Errors
    /// When others can reach the address and neither is configured; the message says what to do.
    pub fn check_bind(&self) -> Result<()> {
        let is_open = !self.listen.ip().to_canonical().is_loopback() && self.tls.is_none() && self.trusted_proxies.is_empty();
        if is_open && !self.insecure_public_bind {
            bail!(
                "others can reach {}, and without TLS everybody on the way reads the tokens: set [tls] certificate_file and key_file, \
                 or trusted_proxies to the addresses of the proxy that speaks TLS for this server, or listen on 127.0.0.1; \
                 --insecure-public-bind starts it nevertheless",
                self.listen
            );
        }
        if is_open {
            tracing::warn!(listen = %self.listen, "plain HTTP where others can reach it: everybody on the way reads the tokens");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn check(listen: &str, rest: &str, is_allowed: bool) {
        let config: Config = toml::from_str(&format!("listen = \"{listen}\"\n{rest}")).unwrap();
        let checked = config.check_bind().map_err(|error| error.to_string());
        assert_eq!(checked.is_ok(), is_allowed, "{listen} {rest}");
        if let Err(sentence) = checked {
            for word in [listen, "certificate_file", "trusted_proxies", "127.0.0.1", "--insecure-public-bind"] {
                assert!(sentence.contains(word), "{sentence}");
            }
        }
    }

    #[test]
    fn plain_http_is_served_on_loopback_alone() {
        for loopback in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            check(loopback, "", true);
        }
        for open in [
            "0.0.0.0:80",
            "[::]:80",
            "10.1.2.3:80",
            "192.168.1.9:80",
            "172.16.0.1:80",
            "169.254.1.1:80",
            "100.64.0.1:80",
            "203.0.113.5:80",
            "[fd00::1]:80",
            "[fe80::1]:80",
            "[2001:db8::1]:80",
            "[::ffff:10.0.0.1]:80",
        ] {
            check(open, "", false);
        }
    }

    #[test]
    fn beyond_loopback_it_takes_tls_a_proxy_or_a_clear_word() {
        check("0.0.0.0:80", "tls = { certificate_file = \"a\", key_file = \"b\" }", true);
        check("0.0.0.0:80", "trusted_proxies = [\"10.0.0.0/8\"]", true);
        check("0.0.0.0:80", "insecure_public_bind = true", true);
        check("0.0.0.0:80", "trusted_proxies = []\ninsecure_public_bind = false", false);
    }
}
