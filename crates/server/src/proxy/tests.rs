//! Where requests came from, by table.

use super::TrustedProxies;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

const TRUSTED: [&str; 4] = ["10.0.0.0/8", "127.0.0.1", "fd00::/8", "192.0.2.7/32"];

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let read = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    lines.iter().map(read).collect()
}

fn check(peer: &str, lines: &[(&str, &str)], expect: &str) {
    let client = TrustedProxies::new(&TRUSTED).unwrap().client_of(peer.parse().unwrap(), &headers(lines));
    assert_eq!(client.address.to_string(), expect, "{peer} {lines:?}");
}

proptest! {
    #[test]
    fn whatever_a_list_says_the_client_is_the_peer_or_stands_in_it(
        listed in "[0-9a-f:., ]{0,60}|.{0,40}",
        forwarded in "(for=|proto=|[0-9a-f:.,;\"= \\[\\]]){0,40}|.{0,40}",
    ) {
        let trusted = TrustedProxies::new(&TRUSTED).unwrap();
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut given = HeaderMap::new();
        for (name, value) in [(XFF, &listed), ("forwarded", &forwarded)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                given.append(HeaderName::from_static(name), value);
            }
        }
        let client = trusted.client_of(peer, &given).address;
        let told = [&listed, &forwarded].into_iter().flat_map(|text| text.split([',', ';', '=', '"', ' ', '[', ']']));
        let mut told = told.filter_map(|word| word.parse().ok().or_else(|| Some(word.parse::<SocketAddr>().ok()?.ip())));
        prop_assert!(client == peer.ip() || told.any(|address: IpAddr| address.to_canonical() == client));
    }
}

const XFF: &str = "x-forwarded-for";

#[test]
fn without_the_word_of_a_trusted_peer_the_peer_is_the_client() {
    check("203.0.113.9:4000", &[], "203.0.113.9");
    check("203.0.113.9:4000", &[(XFF, "198.51.100.1")], "203.0.113.9");
    check("203.0.113.9:4000", &[("forwarded", "for=198.51.100.1")], "203.0.113.9");
    check("[2001:db8::9]:4000", &[(XFF, "198.51.100.1")], "2001:db8::9");
    check("192.0.2.8:1", &[(XFF, "198.51.100.1")], "192.0.2.8");
    check("127.0.0.1:4000", &[], "127.0.0.1");
    let nobody = TrustedProxies::default().client_of("127.0.0.1:1".parse().unwrap(), &headers(&[(XFF, "198.51.100.1")]));
    assert_eq!(nobody.address.to_string(), "127.0.0.1");
}

#[test]
fn the_rightmost_hop_that_is_not_ours_is_the_client() {
    check("10.1.2.3:4000", &[(XFF, "198.51.100.1")], "198.51.100.1");
    check("10.1.2.3:4000", &[(XFF, " 198.51.100.1 ,10.9.9.9")], "198.51.100.1");
    check("10.1.2.3:4000", &[(XFF, "198.51.100.1, 10.9.9.9"), (XFF, "192.0.2.7")], "198.51.100.1");
    check("[::ffff:10.1.2.3]:4000", &[(XFF, "198.51.100.1")], "198.51.100.1");
    check("[fd12::1]:4000", &[(XFF, "2001:db8::5")], "2001:db8::5");
    // Only our own proxies: a request of one of them.
    check("10.1.2.3:4000", &[(XFF, "10.0.0.1, 10.0.0.2")], "10.0.0.1");
}

#[test]
fn what_a_client_made_up_left_of_itself_is_not_read() {
    check("127.0.0.1:4000", &[(XFF, "1.1.1.1, 198.51.100.1")], "198.51.100.1");
    check("127.0.0.1:4000", &[(XFF, "1.1.1.1, garbage, 198.51.100.1, 10.0.0.1")], "198.51.100.1");
    check("127.0.0.1:4000", &[(XFF, "127.0.0.1"), (XFF, "198.51.100.1")], "198.51.100.1");
    check("127.0.0.1:4000", &[("forwarded", "for=1.1.1.1, for=198.51.100.1;proto=https;by=10.0.0.1")], "198.51.100.1");
    let chain = "10.0.0.1,".repeat(100) + "10.0.0.1";
    check("127.0.0.1:4000", &[(XFF, &format!("1.1.1.1,{chain}"))], "10.0.0.1");
}

#[test]
fn ports_and_brackets_are_understood() {
    check("127.0.0.1:4000", &[(XFF, "198.51.100.1:9000")], "198.51.100.1");
    check("127.0.0.1:4000", &[(XFF, "[2001:db8::5]:9000")], "2001:db8::5");
    check("127.0.0.1:4000", &[(XFF, "[2001:db8::5]")], "2001:db8::5");
    check("127.0.0.1:4000", &[(XFF, "::ffff:198.51.100.1")], "198.51.100.1");
    check("127.0.0.1:4000", &[("forwarded", "For=\"[2001:db8::5]:4711\"")], "2001:db8::5");
    check("127.0.0.1:4000", &[("forwarded", "proto=http;for=\"198.51.100.1:80\";host=\"a,b;c\"")], "198.51.100.1");
}

#[test]
fn what_is_malformed_is_not_believed() {
    for list in [
        "",
        " ",
        ",",
        "garbage",
        "198.51.100.1, garbage",
        "198.51.100.1,",
        "unknown",
        "_hidden",
        "198.51.100.1:99999",
        "198.51.100",
        "[198.51.100.1]",
        "[::1",
        "2001:db8::5]:1",
        "198.51.100.1 10.0.0.1",
        "0x7f.1",
        "\u{00e9}",
        "fe80::1%eth0",
        "localhost",
        "198.51.100.1;",
        "\"198.51.100.1\"",
    ] {
        check("127.0.0.1:4000", &[(XFF, list)], "127.0.0.1");
    }
    for list in [
        "",
        "for",
        "for=",
        "for=unknown",
        "for=_hidden",
        "for=\"198.51.100.1",
        "for=198.51.100.1\"",
        "for=\"\\198.51.100.1\"",
        "by=198.51.100.1",
        "for=198.51.100.1, proto=https",
        "for=198.51.100.1;for=203.0.113.1",
        "198.51.100.1",
        "for =198.51.100.1",
        "for=198.51.100.1,",
    ] {
        check("127.0.0.1:4000", &[("forwarded", list)], "127.0.0.1");
    }
}

#[test]
fn two_headers_that_disagree_are_not_believed() {
    let told = |listed, forwarded| [(XFF, listed), ("forwarded", forwarded)];
    check("127.0.0.1:4000", &told("198.51.100.1", "for=198.51.100.1"), "198.51.100.1");
    check("127.0.0.1:4000", &told("198.51.100.1", "for=203.0.113.1"), "127.0.0.1");
    check("127.0.0.1:4000", &told("garbage", "for=203.0.113.1"), "127.0.0.1");
    check("127.0.0.1:4000", &told("198.51.100.1", "for=unknown"), "127.0.0.1");
}

#[test]
fn the_nearest_proxy_says_whether_it_was_spoken_to_over_tls() {
    let is_https = |peer: &str, proto: &str| {
        let trusted = TrustedProxies::new(&TRUSTED).unwrap();
        trusted.client_of(peer.parse().unwrap(), &headers(&[("x-forwarded-proto", proto)])).is_https
    };
    assert!(is_https("127.0.0.1:1", "https") && is_https("127.0.0.1:1", "HTTPS") && is_https("10.0.0.1:1", "http, https"));
    assert!(
        !is_https("127.0.0.1:1", "http") && !is_https("127.0.0.1:1", "https, http") && !is_https("127.0.0.1:1", "\u{fffd}")
    );
    assert!(!is_https("203.0.113.9:1", "https"), "a stranger's word");
}

#[test]
fn an_entry_that_is_no_network_is_refused() {
    for entry in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "lms.example", "*", "10.0.0.0/8/8"] {
        assert!(TrustedProxies::new(&[entry]).is_err(), "{entry}");
    }
    for entry in ["0.0.0.0/0", "::/0", "10.1.2.3/8", "::1"] {
        assert!(TrustedProxies::new(&[entry]).is_ok(), "{entry}");
    }
}
