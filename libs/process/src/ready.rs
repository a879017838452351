//! Telling the supervisor how we are: systemd's notification protocol, spoken over the datagram socket that NOTIFY_SOCKET
//! names. Without that variable every function here does nothing, so that a program behaves alike by hand and as a unit.
//!
//! The protocol is one datagram of `KEY=value` lines (sd_notify(3)); a library for it would be larger than this file.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// All of the program works: units that wait for it may start.
pub fn notify_ready() {
    notify("READY=1");
}

/// The program has begun to stop.
pub fn notify_stopping() {
    notify("STOPPING=1");
}

/// A line about what the program is doing, which `systemctl status` shows. Must hold nothing confidential.
pub fn notify_status(status: &str) {
    // A line break would begin another assignment.
    notify(&format!("STATUS={}", status.replace('\n', " ")));
}

/// How often the supervisor wants to hear from this process at least; `None` when it does not watch it.
pub fn watchdog_interval() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    watchdog_interval_of(variable(WATCHDOG_USEC).as_deref(), variable(WATCHDOG_PID).as_deref(), std::process::id())
}

/// Tells the supervisor twice in every interval that the program works, as long as `check` finds that it does. When it
/// stops doing so, the supervisor ends the program and starts it again. Never returns, also where nobody watches.
pub async fn keep_watchdog_fed<C, F>(check: C)
where
    C: FnMut() -> F,
    F: Future<Output = bool>,
{
    match watchdog_interval() {
        Some(interval) => feed(interval, check, || notify("WATCHDOG=1")).await,
        None => std::future::pending().await,
    }
}

async fn feed<C, F>(interval: Duration, mut check: C, mut tell: impl FnMut())
where
    C: FnMut() -> F,
    F: Future<Output = bool>,
{
    let mut ticks = tokio::time::interval(interval / 2);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if check().await {
            tell();
        } else {
            tracing::warn!("the program finds itself not working; the watchdog is not told otherwise");
        }
    }
}

/// A message that cannot be delivered is logged: the supervisor will act on its absence, and somebody will wonder why.
fn notify(message: &str) {
    let Some(socket) = std::env::var_os(NOTIFY_SOCKET).filter(|socket| !socket.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, message) {
        tracing::warn!(%error, socket = %socket.to_string_lossy(), "the supervisor could not be told");
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(socket)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the socket is neither a path nor an abstract name",
            ));
        }
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

fn watchdog_interval_of(microseconds: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    // The variables may be inherited from a parent that is the one being watched.
    if pid.is_some_and(|pid| pid.parse() != Ok(own_pid)) {
        return None;
    }
    microseconds?.parse().ok().filter(|microseconds| *microseconds > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("a datagram within ten seconds");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_message_reaches_a_socket_with_a_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(receive(&socket), "READY=1");
    }

    #[test]
    fn a_message_reaches_an_abstract_socket() {
        let name = format!("wardpost-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();
        assert_eq!(receive(&socket), "STOPPING=1");
    }

    #[test]
    fn an_address_that_is_no_socket_is_an_error() {
        for address in ["", "relative", "vsock:2:1", "/nonexistent/socket"] {
            assert!(send(OsStr::new(address), "READY=1").is_err(), "{address:?}");
        }
    }

    #[test]
    fn the_watchdog_interval_is_for_the_process_it_names() {
        let interval = |usec, pid| watchdog_interval_of(usec, pid, 42);
        assert_eq!(interval(Some("3000000"), Some("42")), Some(Duration::from_secs(3)));
        assert_eq!(interval(Some("3000000"), None), Some(Duration::from_secs(3)));
        for (usec, pid) in [
            (Some("3000000"), Some("43")),
            (Some("3000000"), Some("x")),
            (Some("0"), None),
            (Some("-1"), None),
            (Some("soon"), None),
            (None, Some("42")),
        ] {
            assert_eq!(interval(usec, pid), None, "{usec:?} {pid:?}");
        }
    }

    #[tokio::test]
    async fn the_watchdog_is_fed_only_while_the_check_holds() {
        let checks = Cell::new(0);
        let fed_at = Cell::new(Vec::new());
        let check = || {
            checks.set(checks.get() + 1);
            std::future::ready(checks.get() % 2 == 0)
        };
        let (enough, mut reached) = tokio::sync::mpsc::channel(1);
        let tell = || {
            let mut fed = fed_at.take();
            fed.push(checks.get());
            if fed.len() == 3 {
                enough.try_send(()).unwrap();
            }
            fed_at.set(fed);
        };
        tokio::select! {
            () = feed(Duration::from_millis(2), check, tell) => unreachable!("feeding never ends"),
            _ = reached.recv() => {}
        }
        assert_eq!(fed_at.take()[..3], [2, 4, 6]);
    }
}
