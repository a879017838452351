//! What somebody is told for whom there is no place: a fixed reply that costs nothing to make.

use std::io::{Read, Write};
use std::net::Shutdown;

use http::{HeaderMap, HeaderValue, header};
use tokio::net::TcpStream;

use crate::security_headers;

const TEXT: &str = "Wardpost is very busy just now. Nothing was changed. Try again in a few seconds.\n";

/// The whole reply.
pub(super) fn reply() -> Vec<u8> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(TEXT.len()));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    security_headers::add(&mut headers, "-");
    let mut reply = b"HTTP/1.1 503 Service Unavailable\r\n".to_vec();
    for (name, value) in &headers {
        reply.extend_from_slice(name.as_str().as_bytes());
        reply.extend_from_slice(b": ");
        reply.extend_from_slice(value.as_bytes());
        reply.extend_from_slice(b"\r\n");
    }
    reply.extend_from_slice(b"\r\n");
    reply.extend_from_slice(TEXT.as_bytes());
    reply
}

/// Sends it and closes, without waiting for anything. Whoever cannot take it sees the connection close.
pub(super) fn send(stream: TcpStream, reply: &[u8]) {
    let Ok(mut stream) = stream.into_std() else { return };
    // What has come and stays unread would make the kernel throw the reply away with the connection.
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write(reply);
    let _ = stream.shutdown(Shutdown::Write);
}
