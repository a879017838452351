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
    // From the right, and byte by byte: what stands further to the left may be anything at all.
    let hops =
        headers.get_all("x-forwarded-for").iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops {
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
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop.trim_ascii()).ok()?;
    let ip: IpAddr = match hop.parse::<std::net::SocketAddr>() {
        Ok(address) => address.ip(),
        Err(_) => hop.trim_matches(['[', ']']).parse().ok()?,
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn seen<T: AsRef<[u8]>>(peer: &str, forwarded: &[T]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_ref()).unwrap());
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
    fn a_byte_that_is_no_letter_hides_no_address() {
        for forged in [&b"\xff"[..], b"\x80, 6.6.6.6", b"6.6.6.6, \xe9t\xe9"] {
            let appended = [forged, b", 198.51.100.1, 10.1.1.1"].concat();
            assert_eq!(seen("127.0.0.1", &[appended]), "198.51.100.1");
            assert_eq!(seen("127.0.0.1", &[forged, b"198.51.100.1"]), "198.51.100.1");
        }
        assert_eq!(seen("127.0.0.1", &[b"6.6.6.6, \xff, 10.1.1.1"]), "10.1.1.1");
    }

    /// An address, often one of a proxy's, or what is none: every byte that a header's value may have.
    fn hop() -> impl Strategy<Value = Vec<u8>> {
        let allowed = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        prop_oneof![
            3 => Just(b"10.1.1.1".to_vec()),
            3 => any::<[u8; 4]>().prop_map(|bytes| IpAddr::from(bytes).to_string().into_bytes()),
            1 => any::<[u8; 16]>().prop_map(|bytes| IpAddr::from(bytes).to_string().into_bytes()),
            1 => "\\[?[0-9a-f:.]{0,20}\\]?(:[0-9]{1,6})?".prop_map(String::into_bytes),
            2 => proptest::collection::vec(any::<u8>().prop_filter("no control character", allowed), 0..12),
        ]
    }

    proptest! {
        /// Whatever a browser wrote stands to the left of what the nearest proxy added, and changes nothing.
        #[test]
        fn what_a_browser_writes_is_never_believed(forged in proptest::collection::vec(hop(), 0..6), real: [u8; 4]) {
            let real = IpAddr::from(real);
            prop_assume!(!real.is_loopback() && !real.to_string().starts_with("10."));
            let added = real.to_string();
            let mut one_header = forged.clone();
            one_header.push(added.clone().into_bytes());
            prop_assert_eq!(seen("127.0.0.1", &[one_header.join(&b", "[..])]), added.clone());
            let forged = forged.join(&b","[..]);
            prop_assert_eq!(seen("127.0.0.1", &[forged.as_slice(), added.as_bytes()]), added);
        }

        /// A stranger's own word about itself counts for nothing.
        #[test]
        fn a_peer_that_is_no_proxy_is_who_it_is(header in proptest::collection::vec(hop(), 0..4), peer: [u8; 4]) {
            let peer = IpAddr::from(peer).to_string();
            prop_assume!(!peer.starts_with("10.") && peer != "127.0.0.1");
            prop_assert_eq!(seen(&peer, &[header.join(&b", "[..])]), peer);
        }

        /// The address is the peer's or one that stands in the header.
        #[test]
        fn no_address_is_made_up(header in proptest::collection::vec(hop(), 0..6)) {
            let text = header.join(&b", "[..]);
            let seen = seen("127.0.0.1", &[&text]);
            let mut known = text.split(|byte| *byte == b',').filter_map(parse_hop);
            prop_assert!(seen == "127.0.0.1" || known.any(|ip| ip.to_string() == seen), "{} of {:?}", seen, text);
        }
    }

    #[test]
    fn headers_that_were_seen_in_the_wild_or_made_for_us() {
        for input in testkit::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/forwarded-for")) {
            let lines: Vec<_> = input.text().lines().collect();
            assert_eq!(seen("127.0.0.1", &lines), input.outcome, "{}", input.name);
        }
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(seen("::ffff:127.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }
}
