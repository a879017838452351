//! What somebody is told for whom there is no room: a fixed reply that costs nothing to make.

use std::io::{Read, Write};
use std::net::Shutdown;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use tokio::net::TcpStream;

/// The whole reply, as it is sent.
pub(crate) fn to_bytes(refusal: Response<Bytes>) -> Vec<u8> {
    let (mut head, body) = refusal.into_parts();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut reply = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        reply.extend_from_slice(name.as_str().as_bytes());
        reply.extend_from_slice(b": ");
        reply.extend_from_slice(value.as_bytes());
        reply.extend_from_slice(b"\r\n");
    }
    reply.extend_from_slice(b"\r\n");
    reply.extend_from_slice(&body);
    reply
}

/// Sends it and closes, without waiting for anything. Who cannot take it sees the connection close.
pub(crate) fn send(stream: TcpStream, reply: &[u8]) {
    let Ok(mut stream) = stream.into_std() else { return };
    // What has come and stays unread would make the kernel throw the reply away with the connection.
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write(reply);
    let _ = stream.shutdown(Shutdown::Write);
}
