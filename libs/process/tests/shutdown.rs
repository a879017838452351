//! Real signals, in a process of its own: every listener of a process hears them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use nix::sys::signal::{Signal as Unix, raise};
use tokio::time::timeout;
use wardpost_process::{Shutdown, Signal};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_clone_hears_the_first_signal_and_who_waits_for_it_the_second() {
    let shutdown = Shutdown::listen().unwrap();
    let early = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { shutdown.requested().await }
    });
    assert!(!shutdown.is_requested());

    raise(Unix::SIGTERM).unwrap();
    assert_eq!(timeout(SOON, early).await.unwrap().unwrap(), Signal::Terminate);
    assert_eq!(timeout(SOON, shutdown.requested()).await.unwrap(), Signal::Terminate);
    assert!(shutdown.is_requested());
    let again = shutdown.requested_again();
    tokio::pin!(again);
    assert!(asked_once(&mut again).await.is_none(), "one request is not two");

    raise(Unix::SIGINT).unwrap();
    assert_eq!(timeout(SOON, again).await.unwrap(), Signal::Interrupt);
    let late = shutdown.clone();
    assert_eq!(timeout(SOON, late.requested()).await.unwrap(), Signal::Terminate, "the first one stays the reason");
}

#[tokio::test]
async fn one_by_hand_is_set_off_by_its_trigger_alone() {
    let (trigger, shutdown) = Shutdown::by_hand();
    trigger.request(Signal::Interrupt);
    assert_eq!(timeout(SOON, shutdown.requested()).await.unwrap(), Signal::Interrupt);

    let (trigger, shutdown) = Shutdown::by_hand();
    drop(trigger);
    let requested = shutdown.requested();
    tokio::pin!(requested);
    assert!(asked_once(&mut requested).await.is_none(), "a lost trigger is no request");
}

/// What a future gives when it is asked once.
async fn asked_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}
