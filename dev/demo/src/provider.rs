//! The provider itself: its life from start to stop, and the table of its endpoints.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::flood::Body;
use crate::grants::Grants;
use crate::keys::{Key, KeyRing};
use crate::misbehaviour::Misbehaviour;
use crate::people::{DemoPerson, UnknownPerson};
use crate::reply::{self, Reply};
use crate::state::{Changeable, Client, Requests, State};
use crate::{authorize, control, page, token_endpoint};

/// How long a slow endpoint takes: longer than anybody should wait for a provider.
pub(crate) const SLOW: Duration = Duration::from_secs(30);

/// No request of the protocol comes near this.
const BODY_LIMIT: usize = 64 * 1024;

/// What a provider is started with.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// Where to listen: a loopback address, port 0 for any free port.
    pub listen: SocketAddr,
    /// The one client that is registered.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where the browser may be sent back to. Compared exactly; [`Provider::allow_redirect`] adds to them later.
    pub redirect_uris: Vec<String>,
    /// Who can sign in.
    pub people: Vec<DemoPerson>,
    /// What it calls itself and bases every endpoint on; without one, the address that it listens on.
    pub issuer: Option<String>,
    /// `GET /authorize?...&login_hint=EMAIL` (or a person's id) signs that person in without showing the page.
    pub auto_login: bool,
}

impl ProviderOptions {
    /// Everybody of the demo, on any free port of 127.0.0.1, with no address to return to yet.
    #[must_use]
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> ProviderOptions {
        ProviderOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            redirect_uris: Vec::new(),
            people: DemoPerson::everyone(),
            issuer: None,
            auto_login: false,
        }
    }
}

/// A running provider. Dropping it ends it and every connection it has.
pub struct Provider {
    state: Arc<State>,
    address: SocketAddr,
    server: JoinSet<()>,
}

impl Provider {
    /// Binds, makes the first key and serves. It takes connections once this returns.
    ///
    /// # Errors
    /// The address is not a loopback address or cannot be bound, or there are no random numbers for a key.
    pub async fn start(options: ProviderOptions) -> io::Result<Provider> {
        if !options.listen.ip().is_loopback() {
            let why = format!("{}: a provider without passwords listens on loopback only", options.listen);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let issuer = options.issuer.unwrap_or_else(|| format!("http://{address}"));
        let changeable = Changeable {
            misbehaviour: Misbehaviour::None,
            rotation_due: false,
            people: options.people,
            redirect_uris: options.redirect_uris.into_iter().collect(),
            grants: Grants::default(),
            keys: KeyRing::new(Key::generate().await?),
        };
        let client = Client { id: options.client_id, secret: options.client_secret };
        let state = Arc::new(State::new(issuer, client, options.auto_login, changeable));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&state)));
        Ok(Provider { state, address, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The issuer, which is also the base of every endpoint: `http://127.0.0.1:PORT` unless the options name another.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.state.issuer.clone()
    }

    /// Does wrong in this way from the next request on, until told otherwise.
    pub fn script(&self, misbehaviour: Misbehaviour) {
        self.state.script(misbehaviour);
    }

    /// Registers one more address to which the browser may be sent back.
    pub fn allow_redirect(&self, uri: impl Into<String>) {
        self.state.changeable().redirect_uris.insert(uri.into());
    }

    /// Who can sign in, as they are now.
    #[must_use]
    pub fn people(&self) -> Vec<DemoPerson> {
        self.state.changeable().people.clone()
    }

    /// The person with this id has another address and name from now on; the subject stays.
    ///
    /// # Errors
    /// There is no such person.
    pub fn rename(&self, person: &str, email: &str, name: &str) -> Result<(), UnknownPerson> {
        self.state.rename(person, Some(email), Some(name))
    }

    /// How often each endpoint was asked so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.state.counters.so_far()
    }

    /// Stops listening and drops every connection. The port is free when this returns.
    pub async fn stop(mut self) {
        self.server.shutdown().await;
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, Arc::clone(&state)));
                }
                // Out of descriptors, most likely: wait for a connection to end, or a moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    // The other side went away or spoke no HTTP; in a demo there is nobody to tell.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// The endpoints. A path answers the methods listed and no others.
const ENDPOINTS: [(&str, &[Method], Endpoint); 7] = [
    ("/.well-known/openid-configuration", &[Method::GET], Endpoint::Discovery),
    ("/jwks", &[Method::GET], Endpoint::Jwks),
    ("/authorize", &[Method::GET, Method::POST], Endpoint::Authorize),
    ("/token", &[Method::POST], Endpoint::Token),
    ("/style.css", &[Method::GET], Endpoint::Style),
    ("/script", &[Method::GET, Method::POST], Endpoint::Script),
    ("/people", &[Method::POST], Endpoint::People),
];

#[derive(Clone, Copy)]
enum Endpoint {
    Discovery,
    Jwks,
    Authorize,
    Token,
    Style,
    Script,
    People,
}

async fn answer(state: &State, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Some((_, methods, endpoint)) = ENDPOINTS.iter().find(|(path, ..)| *path == parts.uri.path()) else {
        return reply::text(StatusCode::NOT_FOUND, "The demo's sign-in provider has nothing here.\n");
    };
    if !methods.contains(&parts.method) {
        return method_not_allowed(methods);
    }
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => {
            return reply::text(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large, or was cut off.\n");
        }
    };
    let posted = parts.method == Method::POST;
    match endpoint {
        Endpoint::Discovery => discovery(state).await,
        Endpoint::Jwks => jwks(state),
        Endpoint::Authorize => {
            let query = Bytes::copy_from_slice(parts.uri.query().unwrap_or_default().as_bytes());
            authorize::answer(state, &parts.method, if posted { &body } else { &query })
        }
        Endpoint::Token => token_endpoint::answer(state, &parts.headers, &body).await,
        Endpoint::Style => reply::of(StatusCode::OK, "text/css; charset=utf-8", page::STYLE),
        Endpoint::Script if posted => control::script(state, &parts.headers, &body),
        Endpoint::Script => control::tell(state),
        Endpoint::People => control::rename(state, &parts.headers, &body),
    }
}

fn method_not_allowed(methods: &[Method]) -> Reply {
    let allowed = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let mut refusal = reply::text(StatusCode::METHOD_NOT_ALLOWED, format!("This address takes {allowed}.\n"));
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        refusal.headers_mut().insert(ALLOW, allowed);
    }
    refusal
}

async fn discovery(state: &State) -> Reply {
    state.counters.discovery.fetch_add(1, Ordering::Relaxed);
    let document = document(&state.issuer);
    match state.misbehaviour() {
        Misbehaviour::Discovery500 => {
            reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The provider was told to fail.\n")
        }
        Misbehaviour::MalformedDiscovery => reply::broken_json(&document),
        Misbehaviour::HugeReply => reply::huge(),
        Misbehaviour::SlowDiscovery => {
            tokio::time::sleep(SLOW).await;
            reply::json(StatusCode::OK, &document)
        }
        _ => reply::json(StatusCode::OK, &document),
    }
}

fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "claims_supported": [
            "iss", "aud", "azp", "sub", "iat", "exp", "nonce", "at_hash", "name", "email", "email_verified", "hd",
        ],
        "code_challenge_methods_supported": ["S256"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    })
}

fn jwks(state: &State) -> Reply {
    state.counters.jwks.fetch_add(1, Ordering::Relaxed);
    match state.misbehaviour() {
        Misbehaviour::Jwks500 => reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The provider was told to fail.\n"),
        Misbehaviour::HugeReply => reply::huge(),
        _ => reply::json(StatusCode::OK, &state.changeable().keys.jwks()),
    }
}
