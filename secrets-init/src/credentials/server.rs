//! What a program gets that asks: credentials in the format of the SDK's container provider, or a refusal with a code.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use http_server::{Handler, RequestBody};
use process::log_throttle::LogThrottle;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::config::Program;
use super::tokens::Tokens;
use crate::system::now;

/// The SDK gives up after 5 s, and asks twice more.
const WAIT: Duration = Duration::from_secs(3);

/// Room for a whole answer: a buffer that grows leaves a copy behind. A session's token takes 1 to 2 kB.
const ROOM: usize = 8 * 1024;

/// What is there for one program.
pub(super) struct Account {
    /// The newest credentials of its role; none where it has no role.
    pub(super) credentials: Option<watch::Receiver<Option<Credentials>>>,
}

/// Answers programs.
pub(super) struct Broker {
    tokens: Tokens,
    accounts: BTreeMap<Program, Account>,
    throttle: Arc<LogThrottle>,
    /// How long a program is kept waiting for its first credentials.
    wait: Duration,
}

/// Credentials as the SDK reads them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reply<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: String,
}

/// Why a program gets none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Nobody is served at this path.
    UnknownProgram,
    /// Only GET is known.
    Method,
    /// The token is missing, or another program's.
    Token,
    /// No role is set for the program.
    NoRole,
    /// There are no credentials yet, or none that still hold.
    NotYet,
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Refusal::UnknownProgram => (StatusCode::NOT_FOUND, "UnknownProgram", "No program has this path."),
            Refusal::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "Credentials are asked for with GET.")
            }
            Refusal::Token => (StatusCode::FORBIDDEN, "WrongToken", "The token is not that of this program."),
            Refusal::NoRole => (StatusCode::NOT_FOUND, "NoRole", "No role is set for this program."),
            Refusal::NotYet => (
                StatusCode::SERVICE_UNAVAILABLE,
                "NotYet",
                "There are no credentials yet; the log of wardpost-credentials says why.",
            ),
        }
    }

    fn response(self) -> Response<Bytes> {
        let (status, code, message) = self.parts();
        let body = format!(r#"{{"code":"{code}","message":"{message}"}}"#);
        json(status, Bytes::from(body))
    }
}

impl Broker {
    pub(super) fn new(tokens: Tokens, accounts: BTreeMap<Program, Account>) -> Broker {
        Broker { tokens, accounts, throttle: Arc::default(), wait: WAIT }
    }

    /// What was refused and not logged yet; somebody must have it reported now and then.
    pub(super) fn throttle(&self) -> Arc<LogThrottle> {
        Arc::clone(&self.throttle)
    }

    async fn credentials(&self, method: &Method, path: &str, token: &[u8]) -> Result<Credentials, Refusal> {
        let program = Program::of_path(path).ok_or(Refusal::UnknownProgram)?;
        if method != Method::GET {
            return Err(Refusal::Method);
        }
        if !self.tokens.is_of(program, token) {
            if self.throttle.allows("wrong_token", Instant::now()) {
                tracing::warn!(for_program = %program, "somebody asked for the program's credentials without its token, and was refused");
            }
            return Err(Refusal::Token);
        }
        let account = self.accounts.get(&program).and_then(|account| account.credentials.clone());
        let mut newest = account.ok_or(Refusal::NoRole)?;
        let holds = |credentials: &Option<Credentials>| {
            credentials.as_ref().is_some_and(|some| some.expiry().is_some_and(|end| end > now()))
        };
        match timeout(self.wait, newest.wait_for(holds)).await {
            Ok(Ok(found)) => found.clone().ok_or(Refusal::NotYet),
            _ => Err(Refusal::NotYet),
        }
    }
}

impl Handler for Broker {
    #[expect(refining_impl_trait, reason = "the body is whole")]
    async fn answer(&self, request: Request<RequestBody>, _peer: IpAddr) -> Response<Full<Bytes>> {
        let token = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let found = self.credentials(request.method(), request.uri().path(), token).await;
        let body = found.and_then(|credentials| render(&credentials).ok_or(Refusal::NotYet));
        body.map_or_else(Refusal::response, |body| json(StatusCode::OK, body)).map(Full::new)
    }
}

/// What a connection is told for which there is no room.
pub(super) fn no_room() -> Response<Bytes> {
    json(StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(br#"{"code":"Busy","message":"Too many connections."}"#))
}

/// The credentials' text, wiped when the last byte is sent; none for credentials that lack a part.
fn render(credentials: &Credentials) -> Option<Bytes> {
    let reply = Reply {
        access_key_id: credentials.access_key_id(),
        secret_access_key: credentials.secret_access_key(),
        token: credentials.session_token()?,
        expiration: DateTime::<Utc>::from(credentials.expiry()?).to_rfc3339_opts(SecondsFormat::Secs, true),
    };
    let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer(&mut *text, &reply).ok()?;
    Some(Bytes::from_owner(text))
}

fn json(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    struct Stage {
        broker: Broker,
        sender: watch::Sender<Option<Credentials>>,
        folder: tempfile::TempDir,
    }

    impl Stage {
        fn new() -> Stage {
            let folder = tempfile::tempdir().unwrap();
            let tokens = Tokens::keep_or_make(folder.path()).unwrap();
            let (sender, receiver) = watch::channel(None);
            let accounts = BTreeMap::from([
                (Program::LogShipper, Account { credentials: Some(receiver) }),
                (Program::BackupWorker, Account { credentials: None }),
            ]);
            Stage { broker: Broker::new(tokens, accounts), sender, folder }
        }

        fn token(&self, program: Program) -> Vec<u8> {
            std::fs::read(self.folder.path().join(program.name())).unwrap()
        }

        async fn get(&self, path: &str, token: &[u8]) -> Result<Credentials, Refusal> {
            self.broker.credentials(&Method::GET, path, token).await
        }
    }

    fn credentials(seconds: u64) -> Credentials {
        let end = SystemTime::now() + Duration::from_secs(seconds);
        Credentials::new("ASIAEXAMPLE", "secret", Some("session".to_owned()), Some(end), "test")
    }

    #[tokio::test]
    async fn a_token_opens_its_own_path_alone() {
        let stage = Stage::new();
        stage.sender.send_replace(Some(credentials(60)));
        let own = stage.token(Program::LogShipper);
        assert_eq!(stage.get("/log-shipper", &own).await.unwrap().access_key_id(), "ASIAEXAMPLE");
        for (path, token) in [
            ("/backup-worker", own.clone()),
            ("/secrets-init", own.clone()),
            ("/log-shipper", stage.token(Program::BackupWorker)),
            ("/log-shipper", Vec::new()),
        ] {
            assert_eq!(stage.get(path, &token).await.err(), Some(Refusal::Token), "{path}");
        }
        for path in ["/", "/web", "/log-shipper/"] {
            assert_eq!(stage.get(path, &own).await.err(), Some(Refusal::UnknownProgram), "{path}");
        }
        let posted = stage.broker.credentials(&Method::POST, "/log-shipper", &own).await;
        assert_eq!(posted.err(), Some(Refusal::Method));
        let no_role = stage.get("/backup-worker", &stage.token(Program::BackupWorker)).await;
        assert_eq!(no_role.err(), Some(Refusal::NoRole));
    }

    #[tokio::test]
    async fn the_first_credentials_are_waited_for_and_those_that_have_ended_are_none() {
        let mut stage = Stage::new();
        let own = stage.token(Program::LogShipper);
        stage.broker.wait = Duration::from_millis(20);
        assert_eq!(stage.get("/log-shipper", &own).await.err(), Some(Refusal::NotYet));
        stage.sender.send_replace(Some(credentials(0)));
        assert_eq!(stage.get("/log-shipper", &own).await.err(), Some(Refusal::NotYet));
        stage.broker.wait = Duration::from_secs(60);
        // The one that asks is polled first, and finds the old ones.
        let (found, _) =
            tokio::join!(stage.get("/log-shipper", &own), async { stage.sender.send_replace(Some(credentials(60))) });
        assert!(found.is_ok());
    }

    #[test]
    fn a_reply_has_the_names_that_the_sdk_reads() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let some = Credentials::new("ASIA", "se\"cret", Some("to/ken+".to_owned()), Some(end), "test");
        let text = render(&some).unwrap();
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            r#"{"AccessKeyId":"ASIA","SecretAccessKey":"se\"cret","Token":"to/ken+","Expiration":"2023-11-14T22:13:20Z"}"#
        );
        assert_eq!(render(&Credentials::new("ASIA", "secret", None, Some(end), "test")), None);
    }
}
