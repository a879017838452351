//! The real program is asked to stop while answers are on their way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::{SESSION_COOKIE, Sender, browser, fill, key, launch, messages, sign_in};
use nix::sys::signal::Signal;
use store::{IdempotencyKey, IfMissing, Location, Store};
use tempfile::TempDir;
use testkit::{Program, SOON, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

struct Running {
    program: Program,
    address: SocketAddr,
    member: Sender,
    database: PathBuf,
    _folder: TempDir,
}

impl Running {
    /// With so many messages, and as many rows in its audit log.
    async fn start(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("wardpost.db");
        let member = sign_in(&database, "amina").await;
        fill(&database, &member, count).await;
        let program = launch(&database).start();
        let address = program.address().await;
        Self { program, address, member, database, _folder: folder }
    }

    /// On the same database.
    async fn start_again(&mut self) {
        self.program = launch(&self.database).start();
        self.address = self.program.address().await;
    }

    async fn connect(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// A download of which the first bytes have come, and no more is read.
    async fn sleeping_download(&self) -> TcpStream {
        let mut stream = self.connect().await;
        let head = format!(
            "GET /audit/export.jsonl HTTP/1.1\r\nHost: localhost\r\nCookie: {SESSION_COOKIE}={}\r\n\r\n",
            self.member.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        stream
    }

    /// Waits until nobody listens any more.
    async fn no_newcomers(&self) {
        wait_until("new connections are refused", SOON, async || match TcpStream::connect(self.address).await {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_flight_are_finished_streams_end_and_nobody_new_comes_in() {
    let mut running = Running::start(4_000).await;
    let mut download = running.sleeping_download().await;
    let list =
        browser(&format!("http://{}", running.address), &running.member).open_stream("/messages/updates?after=0").await;
    assert_eq!(list.status, 200);
    let subject = IdempotencyKey::fresh().to_string();
    let form = format!("csrf={}&key={subject}&subject={subject}&body=Sent+while+it+stops", running.member.csrf);
    let mut sending = running.connect().await;
    let head = format!(
        "POST /messages HTTP/1.1\r\nHost: localhost\r\nCookie: {SESSION_COOKIE}={}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        running.member.token,
        form.len()
    );
    let (first, second) = form.split_at(20);
    sending.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    // The site has seen the head once a later request has been answered.
    browser(&format!("http://{}", running.address), &running.member).get("/messages").await.expect_status(200);

    let start = Instant::now();
    running.program.signal(Signal::SIGTERM);
    running.no_newcomers().await;
    list.read_to_end(Duration::from_secs(5)).await;

    sending.write_all(second.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    timeout(SOON, sending.read_to_end(&mut reply)).await.expect("an answer").unwrap();
    let reply = String::from_utf8_lossy(&reply);
    assert!(reply.starts_with("HTTP/1.1 303") && reply.contains("connection: close"), "{reply}");

    let mut rest = Vec::new();
    timeout(SOON, download.read_to_end(&mut rest)).await.expect("the rest of the download").unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the download was cut off after {} bytes", rest.len());

    assert_eq!(running.program.wait(SOON).await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
    let store = Store::open(&Location::file(&running.database, &key()), IfMissing::Refuse).await.unwrap();
    assert!(messages(&store).await.contains(&subject), "what was acknowledged is stored");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_is_cut_off_at_the_deadline_and_a_second_signal_does_not_wait_for_it() {
    let mut running = Running::start(8_000).await;
    for patient in [true, false] {
        let mut download = running.sleeping_download().await;
        let start = Instant::now();
        running.program.signal(Signal::SIGTERM);
        running.no_newcomers().await;
        if !patient {
            running.program.signal(Signal::SIGTERM);
        }
        assert_eq!(running.program.wait(SOON).await.code(), Some(0));
        let took = start.elapsed();
        let (words, expected) = if patient {
            ("some connections were still busy after 10s and are cut off", 10..20)
        } else {
            ("asked to stop twice: not waiting any longer", 0..9)
        };
        let log = running.program.log();
        assert!(
            log.iter().any(|line| line.message().contains(words)),
            "after {took:?} the log does not say why: {log:?}"
        );
        assert!(expected.contains(&took.as_secs()), "took {took:?}");
        let mut rest = Vec::new();
        let _ = timeout(SOON, download.read_to_end(&mut rest)).await.expect("an end");
        assert!(!rest.ends_with(b"0\r\n\r\n"), "nothing was in flight: all {} bytes came", rest.len());
        running.start_again().await;
    }
}
