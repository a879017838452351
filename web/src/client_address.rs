//! Whose request this is, when proxies stand in between.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// The address of the browser: the peer's, or, when the peer is a trusted proxy, the nearest address in
/// X-Forwarded-For that is not one. Anything a browser wrote into the header itself stands further to the left
/// and is never believed.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut nearest = peer.to_canonical();
    if !is_trusted(nearest, trusted) {
        return nearest;
    }
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("").split(','))
        .map(str::trim)
        .collect();
    for hop in hops.into_iter().rev() {
        let Some(ip) = parse_hop(hop) else {
            return nearest;
        };
        nearest = ip;
        if !is_trusted(nearest, trusted) {
            break;
        }
    }
    nearest
}

/// Whether an address is a trusted proxy's.
pub fn is_trusted(ip: IpAddr, trusted: &[IpNet]) -> bool {
    let ip = ip.to_canonical();
    trusted.iter().any(|network| network.contains(&ip))
}

/// Some proxies add the port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let ip: IpAddr = match hop.parse::<std::net::SocketAddr>() {
        Ok(address) => address.ip(),
        Err(_) => hop.trim_matches(['[', ']']).parse().ok()?,
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted = ["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_header_from_an_untrusted_peer_is_ignored() {
        assert_eq!(seen("192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
    }

    #[test]
    fn the_nearest_untrusted_hop_counts_and_what_the_browser_wrote_does_not() {
        assert_eq!(seen("127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("127.0.0.1", &["6.6.6.6, 198.51.100.1, 10.1.1.1"]), "198.51.100.1");
        assert_eq!(seen("127.0.0.1", &["6.6.6.6", "198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn nonsense_ends_the_walk_at_the_last_address_that_was_known() {
        assert_eq!(seen("127.0.0.1", &["6.6.6.6, <script>, 10.1.1.1"]), "10.1.1.1");
        assert_eq!(seen("127.0.0.1", &[""]), "127.0.0.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(seen("::ffff:127.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }
}
