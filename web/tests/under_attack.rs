//! The real program under every attack on its connections at once: memory stays bounded, a bystander is answered, and
//! afterwards everything is as it was.
//!
//! The attackers come back as often as they are closed, and no faster than [`COME_BACK`]: they, the bystander and the site
//! share one machine here, and two processors that are full say nothing about whom the site lets in. How busy the machine is
//! itself is measured beside: an echo that does no work, asked by the same bystander.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and this one tells what it measured"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::Method;
use store::{ChainVerdict, IdempotencyKey, IfMissing, Location, Store};
use support::{SESSION_COOKIE, Sender, browser, fill, key, launch, sign_in_all};
use testkit::{Request, SOON, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

const IDLE: usize = 10_000;
const SLOW_HEADS: usize = 1_500;
const SLOW_FORMS: usize = 600;
const SLOW_READERS: usize = 120;
const ALL: u32 = 2_220;
const MEMBERS: usize = 20;
/// How long all of it goes on.
const SIEGE: Duration = Duration::from_secs(12);
/// How long they take to come, one after the other.
const GATHERING: Duration = Duration::from_secs(4);
/// How long an attacker who was closed waits, and those who only connect.
const COME_BACK: Duration = Duration::from_secs(1);
const ONLY_CONNECT: Duration = Duration::from_millis(5);
/// What the program may take of memory; docs/PERFORMANCE.md says what it is made of.
const MOST_MEGABYTES: u64 = 160;
/// How long a bystander may wait for one answer, beyond what the echo took at its longest: pages of a debug build, which
/// stand in line behind those of twenty members. That none of hers is refused or cut off is what counts.
const BYSTANDER: Duration = Duration::from_secs(10);

fn resident_megabytes(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

fn sockets(pid: i32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    files
        .filter_map(|file| std::fs::read_link(file.unwrap().path()).ok())
        .filter(|to| to.to_string_lossy().starts_with("socket:"))
        .count()
}

async fn connect(address: SocketAddr) -> Option<TcpStream> {
    timeout(SOON, TcpStream::connect(address)).await.ok()?.ok()
}

/// A client whose kernel takes next to nothing until it reads.
async fn connect_narrow(address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_recv_buffer_size(4096).ok()?;
    timeout(SOON, socket.connect(address)).await.ok()?.ok()
}

/// Connects and says something, again whenever the site closes, and never reads.
async fn keep_at_it(address: SocketAddr, narrow: bool, say: Vec<u8>, over: Arc<AtomicBool>, begin: Duration) {
    tokio::time::sleep(begin).await;
    while !over.load(Relaxed) {
        let connected = if narrow { connect_narrow(address).await } else { connect(address).await };
        let said = match connected {
            Some(mut stream) => stream.write_all(&say).await.map(|()| stream).ok(),
            None => None,
        };
        while let Some(stream) = said.as_ref().filter(|_| !over.load(Relaxed)) {
            // Peeking shows the end without taking anything.
            let ended = timeout(Duration::from_secs(1), stream.peek(&mut [0; 1])).await;
            match ended {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => tokio::time::sleep(Duration::from_millis(500)).await,
                Err(_) => {}
            }
        }
        drop(said);
        tokio::time::sleep(COME_BACK).await;
    }
}

fn with_cookie(line: &str, sender: &Sender, more: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nCookie: {SESSION_COOKIE}={}\r\n{more}\r\n", sender.token)
        .into_bytes()
}

/// All that is not idle, each in a task of its own.
fn attack(address: SocketAddr, members: &[Sender], over: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    let mut come = 0;
    let mut begin = |narrow, say| {
        come += 1;
        let after = GATHERING * come / ALL;
        attackers.spawn(keep_at_it(address, narrow, say, Arc::clone(over), after));
    };
    for number in 0..SLOW_HEADS {
        let head = format!("GET /messages HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(number * 8));
        begin(false, head.into_bytes());
    }
    for number in 0..SLOW_FORMS {
        let member = &members[number % MEMBERS];
        let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 250000\r\n";
        let mut say = match number % 2 {
            0 => with_cookie("POST /messages", member, form),
            _ => format!(
                "POST /emergency-access HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.{}\r\n{form}\r\n",
                number % 200
            )
            .into_bytes(),
        };
        say.extend(vec![b'x'; 60_000]);
        begin(false, say);
    }
    for number in 0..SLOW_READERS {
        let member = &members[number % MEMBERS];
        let path = ["/audit/export.jsonl", "/messages/updates?after=0", "/audit", "/messages"][number / MEMBERS % 4];
        // The same again and again, since one page would fit into what the kernel keeps.
        begin(true, with_cookie(&format!("GET {path}"), member, "").repeat(8));
    }
    for _ in 0..4 {
        let over = Arc::clone(over);
        attackers.spawn(async move {
            while !over.load(Relaxed) {
                drop(connect(address).await);
                tokio::time::sleep(ONLY_CONNECT).await;
            }
        });
    }
    attackers
}

/// Half of them say nothing at all, and half have had an answer.
async fn hold_idle(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for number in 0..count {
        let Some(mut stream) = connect(address).await else { continue };
        if number % 2 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
            let answered = timeout(SOON, stream.read(&mut [0; 12])).await.expect("an answer").unwrap();
            assert!(answered > 0, "no answer on connection {number}");
        }
        held.push(stream);
    }
    held
}

/// What somebody saw who reads and writes like everybody on every day.
#[derive(Debug, Default)]
struct Day {
    answers: u32,
    longest: Duration,
    /// What was answered as late as that.
    slowest: String,
    asked_again: u32,
    longest_echo: Duration,
}

impl Day {
    async fn ask(&mut self, request: impl Fn() -> Request, kept: bool, status: u16) {
        let start = Instant::now();
        let reply = match request().try_send().await {
            // A kept connection that closes without a word is nothing to show anybody: a browser asks again on another.
            Err(_) if kept => {
                self.asked_again += 1;
                request().send().await
            }
            first => first.unwrap_or_else(|error| panic!("no answer after {:?}: {error}; {self:?}", start.elapsed())),
        };
        let reply = reply.expect_status(status);
        self.answers += 1;
        if start.elapsed() > self.longest {
            self.longest = start.elapsed();
            self.slowest = format!("{} {}", reply.status, reply.url.path());
        }
    }

    /// How long connecting and a few bytes take where nothing else is done.
    async fn echo(&mut self, address: SocketAddr) {
        let start = Instant::now();
        let mut stream = connect(address).await.expect("an echo");
        stream.write_all(b"echo").await.unwrap();
        timeout(SOON, stream.read_exact(&mut [0; 4])).await.expect("an echo").unwrap();
        self.longest_echo = self.longest_echo.max(start.elapsed());
    }
}

async fn serve_echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4];
            if stream.read_exact(&mut bytes).await.is_ok() {
                let _ = stream.write_all(&bytes).await;
            }
        }
    });
    address
}

async fn bystander(site: String, member: Sender, over: Arc<AtomicBool>) -> Day {
    let echo = serve_echo().await;
    let mut day = Day::default();
    while !over.load(Relaxed) {
        day.echo(echo).await;
        // A browser that has just been opened: its first connection is a new one, and is kept for the rest.
        let http = browser(&site, &member);
        day.ask(|| http.request(Method::GET, "/messages"), false, 200).await;
        day.ask(|| http.request(Method::GET, "/healthz"), true, 200).await;
        let key = IdempotencyKey::fresh().to_string();
        let fields = [("csrf", member.csrf.as_str()), ("key", &key), ("subject", &key), ("body", "Text")];
        day.ask(|| http.request(Method::POST, "/messages").form(&fields), true, 303).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    day
}

#[tokio::test(flavor = "multi_thread")]
async fn under_every_attack_at_once_memory_is_bounded_and_a_bystander_is_answered() {
    let files = usize::try_from(process::open_files::raise_limit().unwrap()).unwrap();
    let idle = IDLE.min(files.saturating_sub(6_000));
    assert!(idle >= 1_000, "{files} open files are too few to attack with");
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("wardpost.db");
    let mut members = sign_in_all(&database, MEMBERS + 1).await;
    fill(&database, &members[0], 3_000).await;
    let mut program = launch(&database).start();
    let address = program.address().await;
    let site = format!("http://{address}");
    program.wait_until_ready(&format!("{site}/readyz")).await;
    let (sockets_before, before) = (sockets(program.pid()), resident_megabytes(program.pid()));

    let held = hold_idle(address, idle).await;
    let with_idle = resident_megabytes(program.pid());
    let start = Instant::now();
    browser(&site, &members[0]).get("/messages").await.expect_status(200);
    assert!(start.elapsed() < BYSTANDER, "beside idle connections: {:?}", start.elapsed());
    // Those that say nothing have their time; those that were answered, and keep still, are kept.
    assert!(sockets(program.pid()) >= idle / 2, "{} of {idle} are connected", sockets(program.pid()));

    let over = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(bystander(site.clone(), members.remove(MEMBERS), Arc::clone(&over)));
    let mut attackers = attack(address, &members, &over);
    let most = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + SIEGE;
    while Instant::now() < end {
        most.fetch_max(resident_megabytes(program.pid()), Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    over.store(true, Relaxed);
    let day = watching.await.unwrap();
    let most = most.load(Relaxed);
    let told = format!(
        "{before} MB before, {with_idle} MB with {idle} idle connections, {most} MB at most; the bystander's {day:?}"
    );
    println!("{told}");
    assert!(most < MOST_MEGABYTES, "{told}");
    assert!(day.answers > 10 && day.longest < BYSTANDER + day.longest_echo, "{told}");

    while let Some(done) = attackers.join_next().await {
        done.unwrap();
    }
    drop(held);
    wait_until("all places are free again", SOON, async || match sockets(program.pid()) {
        now if now <= sockets_before + 2 => Ok(()),
        now => Err(now),
    })
    .await;
    let errors: Vec<String> =
        program.log().into_iter().filter(|line| line.field("level") == "ERROR").map(|line| line.text).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(program.log().len() < 500, "a flood of connections became one of {} lines", program.log().len());
    assert!(program.terminate().await.success());
    let store = Store::open(&Location::file(&database, &key()), IfMissing::Refuse).await.unwrap();
    let verdict = store.verify_chain(None, |_| {}).await.unwrap();
    assert!(matches!(verdict, ChainVerdict::Sound { .. }), "the chain is broken");
    store.close().await;
}
