//! Taking a port for a program that will listen on it later.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpSocket;

use super::error::DemoError;

/// A port that is bound and does not listen.
///
/// Linux lets a second socket bind the same port as long as both reuse addresses and none listens, and never hands such a
/// port out to somebody who asks for any free one. So the program that was meant to have it gets it, and nobody else.
pub(crate) struct ReservedPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl ReservedPort {
    /// Takes this port of 127.0.0.1, or a free one when it is 0. `flag` is how a user chooses another.
    pub(crate) fn take(port: u16, flag: &'static str) -> Result<ReservedPort, DemoError> {
        let wanted = SocketAddr::from(([127, 0, 0, 1], port));
        let bind = || {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(wanted)?;
            Ok(ReservedPort { address: socket.local_addr()?, _socket: socket })
        };
        bind().map_err(|error| not_bound(wanted, flag, error))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Why a port could not be had, in the words of the demo.
pub(crate) fn not_bound(address: SocketAddr, flag: &'static str, error: io::Error) -> DemoError {
    match error.kind() {
        io::ErrorKind::AddrInUse => DemoError::PortTaken { address, flag },
        _ => DemoError::Listen { address, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_program_it_was_taken_for_can_listen_on_it_and_nobody_gets_it_by_chance() {
        let reserved = ReservedPort::take(0, "--port").unwrap();
        let mut by_chance = Vec::new();
        for _ in 0..2000 {
            by_chance.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
            if by_chance.len() == 200 {
                let ports: BTreeSet<_> = by_chance.iter().map(|taken| taken.local_addr().unwrap()).collect();
                assert!(!ports.contains(&reserved.address()));
                by_chance.clear();
            }
        }
        TcpListener::bind(reserved.address()).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_that_somebody_listens_on_is_refused_with_the_flag_that_helps() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = ReservedPort::take(taken.local_addr().unwrap().port(), "--port").err().unwrap();
        assert!(matches!(error, DemoError::PortTaken { flag: "--port", .. }), "{error}");
    }
}
