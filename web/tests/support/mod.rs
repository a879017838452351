//! A whole site in this process, over a temporary database and a real OpenID provider.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use demo::{Provider, ProviderOptions};
use http_server::Bounds;
use process::{Settings, Shutdown};
use store::{
    Actor, Body, Client, DatabaseKey, IdempotencyKey, Identity, IfMissing, ListQuery, Location, NewMessage,
    SessionToken, SignIn, Store, Subject, TeamId, TeamName, TeamNamed, Timestamp,
};
use tempfile::TempDir;
use testkit::{Http, Launch, MovableClock, SOON};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wardpost_web::app::site::Site;
use wardpost_web::config;
use wardpost_web::whole_site::WholeSite;
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// A new one for each run of the tests.
pub static KEY: LazyLock<String> = LazyLock::new(|| {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("randomness");
    hex::encode(bytes)
});
pub const LIMITS: [&str; 5] = [
    "WARDPOST_LIMIT_DRAFT_PER_MINUTE",
    "WARDPOST_LIMIT_EXPORT_PER_MINUTE",
    "WARDPOST_LIMIT_REQUESTS_PER_SECOND",
    "WARDPOST_LIMIT_SEND_PER_MINUTE",
    "WARDPOST_LIMIT_SIGN_IN_PER_MINUTE",
];
/// What cookies are called at an address that is http on loopback, as those of these tests are.
pub const SESSION_COOKIE: &str = "wardpost";
pub const PRE_SESSION_COOKIE: &str = "wardpost-pre-session";
pub const SIGN_IN_COOKIE: &str = "wardpost-signin";
/// The address of a site behind an edge that speaks TLS; for WARDPOST_PUBLIC_URL.
pub const EDGE: &str = "https://messages.clinic.example";
pub const IDLE: Duration = Duration::from_secs(24 * 60);
const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The site, its provider and its database; all of it goes when this is dropped.
pub struct Clinic {
    pub url: String,
    pub site: Arc<Site>,
    pub whole: Arc<WholeSite>,
    pub store: Store,
    /// The clock of the site and its database.
    pub clock: MovableClock,
    pub provider: Provider,
    pub folder: TempDir,
    trigger: process::shutdown::ShutdownTrigger,
    server: JoinHandle<()>,
    work: JoinHandle<()>,
}

/// A member with a live session, and a browser that has its cookie.
pub struct SignedIn {
    pub http: Http,
    pub actor: Actor,
    pub csrf: String,
    pub token: String,
}

impl Clinic {
    pub async fn open() -> Self {
        Self::open_with(WholeSite::routes).await
    }

    /// A site that answers with other routes.
    pub async fn open_with(routes: impl FnOnce(&WholeSite) -> BoxedFilter<(Response,)>) -> Self {
        // Every test comes from one address, and most are about something else.
        Self::open_limited(&LIMITS.map(|name| (name, "1000000")), routes).await
    }

    /// A site with these limits; what is not named is as it is when nobody sets it.
    pub async fn open_limited(
        limits: &[(&str, &str)],
        routes: impl FnOnce(&WholeSite) -> BoxedFilter<(Response,)>,
    ) -> Self {
        Self::open_bounded(limits, Bounds::default(), routes).await
    }

    /// A site with few connections or short timeouts, and these settings.
    pub async fn open_bounded(
        limits: &[(&str, &str)],
        bounds: Bounds,
        routes: impl FnOnce(&WholeSite) -> BoxedFilter<(Response,)>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = TcpListener::bind((IP, 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut options = ProviderOptions::new("client", "secret of the client");
        options.auto_login = true;
        options.redirect_uris = [&url, EDGE].map(|site| format!("{site}/sign-in/callback")).to_vec();
        let provider = Provider::start(options).await.expect("a provider");

        let database = folder.path().join("wardpost.db");
        let settings = [
            ("WARDPOST_DB", database.to_str().expect("UTF-8")),
            ("WARDPOST_PUBLIC_URL", url.as_str()),
            ("WARDPOST_OIDC_ISSUER", &provider.issuer()),
            ("WARDPOST_STAFF_DOMAINS", "clinic.example"),
            ("GOOGLE_CLIENT_ID", "client"),
            ("GOOGLE_CLIENT_SECRET", "secret of the client"),
            ("APP_SECRET", "an app secret that is at least 32 bytes long"),
            ("DB_ENCRYPTION_KEY", &KEY),
        ];
        let settings = settings.iter().chain(limits).map(|(name, value)| (name.into(), value.into()));
        let (config, _) = config::read(Settings::from_parts(settings, None)).expect("good settings");

        let (location, clock) = (Location::file(&database, &key()), MovableClock::default());
        let store = Store::open_with(&location, IfMissing::Create, clock.environment()).await.expect("a database");
        let (trigger, shutdown) = Shutdown::by_hand();
        let whole = Arc::new(WholeSite::build(config, store.clone(), shutdown).expect("a site"));
        let (serving, working, routes) = (Arc::clone(&whole), Arc::clone(&whole), routes(&whole));
        Self {
            server: tokio::spawn(async move { serving.serve(listener, routes, bounds).await }),
            work: tokio::spawn(async move { working.features.work().await }),
            url,
            site: Arc::clone(&whole.site),
            whole,
            store,
            clock,
            provider,
            folder,
            trigger,
        }
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("wardpost.db")
    }

    /// What a request's Host header says.
    pub fn host(&self) -> &str {
        self.url.strip_prefix("http://").expect("an address")
    }

    /// A browser that nobody has signed in with.
    pub fn browser(&self) -> Http {
        Http::new(&self.url)
    }

    /// Signs somebody in through the store, `ago` before now.
    pub async fn sign_in_ago(&self, name: &str, ago: Duration) -> SignedIn {
        let signed_in =
            self.store.sign_in(identity(name), None, client(), self.store.now().minus(ago)).await.expect("a sign-in");
        let SignIn::SignedIn { token, session } = signed_in else {
            panic!("{name} is disabled");
        };
        let http = self.browser();
        http.set_cookie(SESSION_COOKIE, &token.reveal());
        SignedIn {
            http,
            actor: Actor { person: session.person, session: session.id, ip: IP },
            csrf: session.csrf_token,
            token: token.reveal(),
        }
    }

    pub async fn sign_in(&self, name: &str) -> SignedIn {
        self.sign_in_ago(name, Duration::ZERO).await
    }

    /// A team of these, made by the first.
    pub async fn team(&self, name: &str, members: &[&SignedIn]) -> TeamId {
        let name = TeamName::parse(name).expect("a name");
        let made = self.store.create_team(members[0].actor, name, self.store.now()).await;
        let Ok(TeamNamed::Named(team)) = made else { panic!("{made:?}") };
        for member in members {
            self.store.join_team(member.actor, team, self.store.now()).await.expect("a stay");
        }
        team
    }

    /// Signs somebody in as a browser does, through the provider, and gives the last page's reply.
    pub async fn sign_in_through_provider(&self, http: &Http, email: &str) -> testkit::Reply {
        self.sign_in_towards(http, email, "/messages").await
    }

    /// The same on the way to a page.
    pub async fn sign_in_towards(&self, http: &Http, email: &str, next: &str) -> testkit::Reply {
        let start = http.get(&format!("/sign-in/start?next={next}")).await;
        let Some(provider) = start.location().filter(|_| start.status == 303) else {
            return start;
        };
        let hint: String = email.replace('@', "%40");
        let callback = http.get(&format!("{provider}&login_hint={hint}")).await;
        let callback = callback.location().expect("the provider sends the browser back");
        http.get(&callback).await
    }

    /// The actions in the audit log with their details, oldest first.
    pub async fn audit(&self) -> Vec<(String, String)> {
        let head = self.store.audit_head().await.expect("a head").id;
        let rows = self
            .store
            .audit_rows(&store::AuditFilter::default(), store::AuditId::ZERO, head, 10_000)
            .await
            .expect("rows");
        let named =
            |row: &store::AuditRow| serde_json::Value::Object(row.named_details().expect("an object")).to_string();
        rows.into_iter().map(|row| (row.action.clone(), named(&row))).collect()
    }

    pub async fn count(&self, action: &str) -> usize {
        self.audit().await.iter().filter(|(found, _)| found == action).count()
    }

    /// Stops the site as SIGTERM does.
    pub async fn stop(self) {
        self.trigger.request(process::Signal::Terminate);
        tokio::time::timeout(SOON, self.server).await.expect("the server stops").expect("no panic");
        self.work.abort();
    }
}

pub fn key() -> DatabaseKey {
    DatabaseKey::from_hex(&KEY).expect("a key")
}

pub fn identity(name: &str) -> Identity {
    Identity {
        issuer: "https://id.clinic.example".into(),
        subject: name.into(),
        email: format!("{name}@clinic.example"),
        name: name.into(),
    }
}

pub fn client() -> Client {
    Client { ip: IP, user_agent: "test".into() }
}

pub fn token(text: &str) -> SessionToken {
    SessionToken::parse(text).expect("a token")
}

/// The host that a program of [`launch`] answers for.
pub const PUBLIC_HOST: &str = "localhost";

/// The real program on this database, with limits that no test runs into.
pub fn launch(database: &Path) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_web"))
        .env("WARDPOST_DB", database)
        .env("WARDPOST_LISTEN", "127.0.0.1:0")
        .env("WARDPOST_PUBLIC_URL", format!("http://{PUBLIC_HOST}"))
        .env("WARDPOST_OIDC_ISSUER", "http://localhost:1")
        .env("WARDPOST_STAFF_DOMAINS", "clinic.example")
        .secret("GOOGLE_CLIENT_ID", "client")
        .secret("GOOGLE_CLIENT_SECRET", "secret of the client")
        .secret("APP_SECRET", "an app secret that is at least 32 bytes long")
        .secret("DB_ENCRYPTION_KEY", &KEY)
        .env("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1000000")
        .env("WARDPOST_LIMIT_DRAFT_PER_MINUTE", "1000000")
        .env("WARDPOST_LIMIT_SEND_PER_MINUTE", "1000000")
}

/// A member of a real program's.
pub struct Sender {
    pub token: String,
    pub csrf: String,
    pub actor: Actor,
}

/// Signs somebody in through the store, before the program runs.
pub async fn sign_in(database: &Path, name: &str) -> Sender {
    let store = Store::open(&Location::file(database, &key()), IfMissing::Create).await.expect("a database");
    let sender = sign_in_at(&store, name).await;
    store.close().await;
    sender
}

/// Signs in so many people.
pub async fn sign_in_all(database: &Path, count: usize) -> Vec<Sender> {
    let store = Store::open(&Location::file(database, &key()), IfMissing::Create).await.expect("a database");
    let mut senders = Vec::new();
    for number in 0..count {
        senders.push(sign_in_at(&store, &format!("member-{number}")).await);
    }
    store.close().await;
    senders
}

async fn sign_in_at(store: &Store, name: &str) -> Sender {
    let signed_in = store.sign_in(identity(name), None, client(), Timestamp::now()).await.expect("a session");
    let SignIn::SignedIn { token, session } = signed_in else { panic!("disabled") };
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    Sender { token: token.reveal(), csrf: session.csrf_token, actor }
}

/// Sends so many short messages through the store, before the program runs.
pub async fn fill(database: &Path, sender: &Sender, count: usize) {
    let store = Store::open(&Location::file(database, &key()), IfMissing::Create).await.expect("a database");
    send_many(&store, sender.actor, count).await;
    store.close().await;
}

/// Sends so many short messages, a hundred at a time.
pub async fn send_many(store: &Store, actor: Actor, count: usize) {
    for _ in 0..count / 100 {
        let sends = (0..100).map(|_| {
            let key = IdempotencyKey::fresh();
            let subject = Subject::parse(&format!("Filling up {key}")).expect("a subject");
            let message = NewMessage {
                subject,
                body: Body::parse("Text").expect("a text"),
                addressed: store::Addressed::default(),
                key,
            };
            store.send_message(actor, message, Timestamp::now())
        });
        for sent in futures_util::future::join_all(sends).await {
            sent.expect("sent");
        }
    }
}

/// A browser that has her cookie. The port is another at each start, which the public address cannot know.
pub fn browser(site: &str, sender: &Sender) -> Http {
    let http = Http::new(site).under_name(PUBLIC_HOST);
    http.set_cookie(SESSION_COOKIE, &sender.token);
    http
}

/// The subjects of all messages.
pub async fn messages(store: &Store) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut before = None;
    loop {
        let query = ListQuery { before, limit: 500, ..ListQuery::default() };
        let list = store.list_conversations(query).await.expect("a list");
        for conversation in list.conversations {
            if let Ok(subject) = conversation.subject {
                assert!(found.insert(subject.0), "a message is there twice");
            }
        }
        match list.next {
            Some(next) => before = Some(next),
            None => return found,
        }
    }
}
