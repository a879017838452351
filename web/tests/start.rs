//! The real program while it starts: whom it tells what before it is ready.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::support::launch;
use nix::fcntl::{Flock, FlockArg};
use testkit::{Program, SOON, wait_until};
use tokio::net::TcpStream;

/// A program that has come as far as opening its database, and goes on when the lock is dropped: another holds the folder,
/// as `backup-worker restore` does while it puts a database into its place. Its address was free a moment ago.
async fn start_held_up(folder: &Path) -> (Program, SocketAddr, Flock<File>) {
    let held = Flock::lock(File::open(folder).unwrap(), FlockArg::LockExclusive).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = address.to_string();
    let mut program = launch(&folder.join("wardpost.db")).env("WARDPOST_LISTEN", &listen).start();
    wait_until_it_opens(&mut program, folder).await;
    (program, address, held)
}

/// Waits until the program is about to open a database in the folder.
async fn wait_until_it_opens(program: &mut Program, folder: &Path) {
    let files = format!("/proc/{}/fd", program.pid());
    wait_until("the program opens the database", SOON, async || {
        assert_eq!(program.exit_status(), None);
        let open = fs::read_dir(&files).map_err(|error| error.to_string())?;
        let mut names = open.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        if names.any(|name| name == folder) { Ok(()) } else { Err("its folder is not open yet".to_owned()) }
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_refused_as_long_as_the_database_is_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, address, held) = start_held_up(folder.path()).await;
    let early = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::ConnectionRefused);

    drop(held);
    program.wait_until_ready(&format!("http://{address}/readyz")).await;
    assert_eq!(program.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn another_program_that_was_quicker_is_told_of_too() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, address, held) = start_held_up(folder.path()).await;
    let _other = TcpListener::bind(address).unwrap();
    drop(held);
    let told = |line: &testkit::LogLine| line.message().contains("is another program using WARDPOST_LISTEN?");
    program.wait_for_line("who has the address", SOON, told).await;
    assert_eq!(program.wait(SOON).await.code(), Some(1));
}

#[tokio::test]
async fn another_program_at_its_address_is_told_of_before_anything_is_done() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    for name in ["WARDPOST_LISTEN", "WARDPOST_METRICS_LISTEN"] {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("wardpost.db");
        let ended = launch(&database).env(name, &taken).run().await;
        assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("is another program using {name}?")), "{}", ended.stderr);
        assert!(ended.stderr.contains(&taken), "{}", ended.stderr);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a database was made");
    }
}
