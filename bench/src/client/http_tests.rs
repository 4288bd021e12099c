//! What the HTTP reader understands, whole and in pieces.

use super::*;

fn decode(input: &[u8], piece: usize) -> io::Result<Option<(u16, Vec<u8>)>> {
    let mut inbox = Vec::new();
    for bytes in input.chunks(piece) {
        inbox.extend_from_slice(bytes);
        if let Some((response, used)) = parse_response(&inbox)? {
            assert_eq!(used, inbox.len(), "the answer is taken whole, and no more");
            return Ok(Some((response.head.status, response.body)));
        }
    }
    Ok(None)
}

fn check(input: &str, expect: Option<(u16, &str)>) {
    for piece in [1, 2, 3, 7, input.len()] {
        let read = decode(input.as_bytes(), piece).unwrap();
        let read = read.as_ref().map(|(status, body)| (*status, std::str::from_utf8(body).unwrap()));
        assert_eq!(read, expect, "in pieces of {piece}");
    }
}

#[test]
fn a_body_with_a_length_ends_with_its_last_byte() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some((200, "hello")));
    check("HTTP/1.1 201 Created\r\ncontent-length:0\r\n\r\n", Some((201, "")));
    check("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", None);
}

#[test]
fn chunks_are_joined_and_extensions_and_trailers_are_skipped() {
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Some((200, "hello")));
    let long = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1A;x=y\r\n{}\r\n2\r\n\r\n\r\n0\r\nA: b\r\n\r\n",
        "z".repeat(26)
    );
    check(&long, Some((200, &format!("{}\r\n", "z".repeat(26)))));
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", None);
}

#[test]
fn a_status_without_a_body_has_none() {
    check("HTTP/1.1 204 No Content\r\n\r\n", Some((204, "")));
}

#[test]
fn headers_are_found_whatever_their_case() {
    let (head, used) = parse_head(b"HTTP/1.1 503 x\r\nRETRY-after:  2 \r\n\r\nrest").unwrap().unwrap();
    assert_eq!(head.retry_after(), Some(std::time::Duration::from_secs(2)));
    assert_eq!(used, 36);
}

#[test]
fn nonsense_is_an_error_and_never_an_answer() {
    assert!(parse_head(b"SSH-2.0-x\r\n\r\n").is_err());
    assert!(decode(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 64).is_err());
    assert!(decode(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 64).is_err());
    assert!(parse_head(&vec![b'a'; HEAD_BYTES_MAX + 1]).is_err());
}
