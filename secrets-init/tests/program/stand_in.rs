//! What stands where AWS would: one small HTTP server of loopback that is both the metadata service and Secrets Manager,
//! and answers as the test tells it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked: the first line, all headers in lower case, and the body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// A status and a body; `None` hangs up without a word.
pub(crate) type Answer = Option<(u16, String)>;

pub(crate) struct StandIn {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl StandIn {
    /// `answer` is told what was asked, and how many requests there were before.
    pub(crate) fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // Each on its own thread: clients open connections that they do not use.
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    let Some(asked) = read(&stream) else { return };
                    let before = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(asked.clone());
                        seen.len() - 1
                    };
                    if let Some((status, body)) = answer(&asked, before) {
                        let length = body.len();
                        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n");
                        let _ = (&stream).write_all(
                            format!("{head}x-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n{body}").as_bytes(),
                        );
                    }
                });
            }
        });
        StandIn { address, asked }
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut headers = String::new();
    while !headers.ends_with("\r\n\r\n") && headers != "\r\n" {
        reader.read_line(&mut headers).ok().filter(|length| *length > 0)?;
    }
    let headers = headers.to_lowercase();
    let length =
        headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line: line.trim().to_owned(), headers, body: String::from_utf8(body).unwrap() })
}

/// Secrets Manager handing out a secret.
pub(crate) fn secret(text: &str, version: &str) -> Answer {
    let reply = serde_json::json!({ "Name": "wardpost/app-secrets", "VersionId": version, "SecretString": text });
    Some((200, reply.to_string()))
}

/// Secrets Manager saying no.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Some((status, serde_json::json!({ "__type": code, "message": message }).to_string()))
}
