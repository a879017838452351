//! Where the site listens. An address is reserved before anything else is done, and listened on when all is ready: another
//! program that uses it is found out while nothing has happened yet, and a connection that comes too early is refused,
//! instead of being left to wait.

use std::io;
use std::net::SocketAddr;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

/// How many connections the kernel keeps until they are accepted, as `TcpListener::bind` has it.
const BACKLOG: u32 = 1024;

/// An address that is ours.
pub struct ReservedAddress(Socket);

enum Socket {
    /// Listens already, for us and for who was here before us.
    HandedOver(std::net::TcpListener),
    /// Bound, and no more: connections are refused.
    Bound(TcpSocket),
}

impl ReservedAddress {
    /// The socket that systemd hands over, which goes on taking connections while the site is started again; without one,
    /// this address.
    pub fn handed_over_or(address: SocketAddr) -> io::Result<ReservedAddress> {
        match ListenFd::from_env().take_tcp_listener(0)? {
            Some(listener) => Ok(ReservedAddress(Socket::HandedOver(listener))),
            None => ReservedAddress::at(address),
        }
    }

    /// This address; port 0 takes a free one. An error where another program listens there.
    pub fn at(address: SocketAddr) -> io::Result<ReservedAddress> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of the process before this one may linger, and are no other program.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(ReservedAddress(Socket::Bound(socket)))
    }

    /// Takes connections from now on. An error where another program has begun to listen since. Must be called on a tokio
    /// runtime.
    pub fn listen(self) -> io::Result<TcpListener> {
        match self.0 {
            Socket::HandedOver(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            }
            Socket::Bound(socket) => socket.listen(BACKLOG),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn address_of(reserved: &ReservedAddress) -> SocketAddr {
        match &reserved.0 {
            Socket::HandedOver(listener) => listener.local_addr().unwrap(),
            Socket::Bound(socket) => socket.local_addr().unwrap(),
        }
    }

    #[tokio::test]
    async fn a_connection_is_refused_until_all_is_ready() {
        let reserved = ReservedAddress::at(ANY).unwrap();
        let address = address_of(&reserved);
        let early = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(early.kind(), ErrorKind::ConnectionRefused);
        let listener = reserved.listen().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        assert_eq!(client.unwrap().local_addr().unwrap(), accepted.unwrap().1);
    }

    #[tokio::test]
    async fn another_program_at_the_address_is_found_out_at_once_or_when_it_was_quicker() {
        let reserved = ReservedAddress::at(ANY).unwrap();
        let address = address_of(&reserved);
        let other = ReservedAddress::at(address).unwrap().listen().unwrap();
        assert_eq!(ReservedAddress::at(address).err().unwrap().kind(), ErrorKind::AddrInUse);
        assert_eq!(reserved.listen().unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(other);
        assert!(ReservedAddress::at(address).unwrap().listen().is_ok());
    }
}
