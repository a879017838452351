//! The site's own address.

use std::net::IpAddr;

use url::{Host, Url};

/// The site's address: https, or http on a loopback address, without a path.
#[derive(Clone, Debug)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Reads an address such as `https://messages.clinic.example`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = parse_trustworthy_url(text)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` must end after the host and port"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not name a user or password".to_owned());
        }
        Ok(Self(url))
    }

    /// Whether it is https; if not, it is http on a loopback address.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// As browsers write it into an Origin header.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether a request's host, as HTTP writes it, is the site's: the name in any case, and the port unless it is the
    /// scheme's own.
    pub fn is_named(&self, authority: &str) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let Some((name, port)) = authority.split_at_checked(host.len()) else {
            return false;
        };
        let expected = self.0.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        name.eq_ignore_ascii_case(host) && (port == expected || port.is_empty() && self.0.port().is_none())
    }

    /// The absolute address of a path of this site.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }
}

/// https, or http where nothing leaves the machine.
pub fn parse_trustworthy_url(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|_| format!("`{text}` is not an address such as https://messages.clinic.example"))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => return Err(format!("`{text}` names no host")),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(format!("`{text}` must begin with https:// (http:// serves loopback addresses alone)")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_public_url_is_https_or_loopback() {
        assert_eq!(
            PublicUrl::parse("https://messages.clinic.example").unwrap().origin(),
            "https://messages.clinic.example"
        );
        assert_eq!(PublicUrl::parse("http://127.0.0.1:8080/").unwrap().join("/x"), "http://127.0.0.1:8080/x");
        for bad in [
            "http://clinic.example",
            "ftp://clinic.example",
            "clinic",
            "https://a.example/b",
            "https://a.example/?x",
            "https://me@a.example",
            "http://localhost.clinic.example",
            "http://clinic.localhost",
            "http://127.0.0.1.clinic.example",
            "http://192.168.1.20:8080",
            "http://0.0.0.0:8080",
            "http://[::]:8080",
            "http://[fe80::1]",
        ] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// A host that is taken for ours is, byte for byte but for its case, what a browser would write.
        #[test]
        fn a_public_url_is_named_by_what_browsers_write(host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", port in proptest::option::of(1..=65_535_u16)) {
            let port_text = port.map(|port| format!(":{port}")).unwrap_or_default();
            let site = PublicUrl::parse(&format!("https://{host}{port_text}")).unwrap();
            let authority = site.origin().strip_prefix("https://").unwrap().to_owned();
            prop_assert!(site.is_named(&authority) && site.is_named(&authority.to_uppercase()));
            let (longer, prefixed) = (format!("{authority}."), format!("x{authority}"));
            prop_assert!(!site.is_named(&longer) && !site.is_named(&prefixed));
        }
    }
}
