//! The real program under every attack on its connections at once: memory stays bounded, a bystander is answered, and
//! afterwards everything is as it was.
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

use store::{ChainVerdict, IdempotencyKey, IfMissing, Store};
use support::{Sender, browser, fill, key, launch, sign_in_all};
use testkit::{SOON, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

const IDLE: usize = 10_000;
const SLOW_HEADS: usize = 1_500;
const SLOW_FORMS: usize = 600;
const SLOW_READERS: usize = 400;
const MEMBERS: usize = 20;
/// How long all of it goes on.
const SIEGE: Duration = Duration::from_secs(12);
/// What the program may take of memory. A debug build takes more than a release.
const MOST_MEGABYTES: u64 = 192;
/// How long a bystander may wait, on a machine that runs the attackers as well.
const BYSTANDER: Duration = Duration::from_secs(15);

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
async fn keep_at_it(address: SocketAddr, narrow: bool, say: Vec<u8>, over: Arc<AtomicBool>) {
    while !over.load(Relaxed) {
        let connected = if narrow { connect_narrow(address).await } else { connect(address).await };
        let Some(mut stream) = connected else { continue };
        // On one machine, so that the attackers leave the site some of it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        if stream.write_all(&say).await.is_err() {
            continue;
        }
        while !over.load(Relaxed) {
            // Peeking shows the end without taking anything.
            let ended = timeout(Duration::from_secs(1), stream.peek(&mut [0; 1])).await;
            match ended {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => tokio::time::sleep(Duration::from_millis(500)).await,
                Err(_) => {}
            }
        }
    }
}

fn with_cookie(line: &str, sender: &Sender, more: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-wardpost={}\r\n{more}\r\n", sender.token).into_bytes()
}

/// All that is not idle, each in a task of its own.
fn attack(address: SocketAddr, members: &[Sender], over: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    let mut begin = |narrow, say| attackers.spawn(keep_at_it(address, narrow, say, Arc::clone(over)));
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
                tokio::time::sleep(Duration::from_millis(1)).await;
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

/// The longest that somebody waits who reads and writes like everybody on every day.
async fn bystander(site: String, member: Sender, over: Arc<AtomicBool>) -> (usize, Duration) {
    let (mut answers, mut longest) = (0, Duration::ZERO);
    while !over.load(Relaxed) {
        // A browser that has just been opened: the connection is a new one each time.
        let http = browser(&site, &member);
        for path in ["/messages", "/healthz"] {
            let start = Instant::now();
            http.get(path).await.expect_status(200);
            longest = longest.max(start.elapsed());
        }
        let key = IdempotencyKey::random().to_string();
        let fields = [("csrf", member.csrf.as_str()), ("key", &key), ("subject", &key), ("body", "Text")];
        let start = Instant::now();
        http.request(http::Method::POST, "/messages").form(&fields).send().await.expect_status(303);
        longest = longest.max(start.elapsed());
        answers += 3;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (answers, longest)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "not yet passed on a quiet machine: with all processors taken by others, a bystander waited 8 s, and once was cut off"]
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
    let (answers, longest) = watching.await.unwrap();
    let most = most.load(Relaxed);
    let told = format!(
        "{before} MB before, {with_idle} MB with {idle} idle connections, {most} MB at most; the bystander had {answers} \
         answers and waited {longest:?} at most"
    );
    println!("{told}");
    assert!(most < MOST_MEGABYTES, "{told}");
    assert!(answers > 3 && longest < BYSTANDER, "{told}");

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
    let store = Store::open(&database, &key(), IfMissing::Refuse).await.unwrap();
    let verdict = store.verify_chain(None, |_| {}).await.unwrap();
    assert!(matches!(verdict, ChainVerdict::Sound { .. }), "the chain is broken");
    store.close().await;
}
