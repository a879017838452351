//! The cookies of a browser without a window: kept for each origin, sent by path, taken away when the site says so.

use std::collections::BTreeMap;

/// Stricter than a browser, which shares cookies between the ports of a host: a test must not pass because the site and
/// the identity provider happen to live on one machine.
#[derive(Debug, Default)]
pub(crate) struct Jar {
    cookies: BTreeMap<Key, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    origin: String,
    name: String,
    path: String,
}

impl Jar {
    /// Heeds one `Set-Cookie` header of a reply from `origin`. Removal is Max-Age=0 or an Expires of 1970, the two ways
    /// that are in use; other ends of life do not come within a test.
    pub(crate) fn heed(&mut self, origin: &str, header: &str) {
        let mut parts = header.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            panic!("not a cookie: {header}");
        };
        let (mut path, mut removed) = ("/", false);
        for attribute in parts {
            let (attribute, setting) = attribute.split_once('=').unwrap_or((attribute, ""));
            match attribute.to_ascii_lowercase().as_str() {
                "path" => path = setting,
                "max-age" => removed |= setting.parse::<i64>().expect("Max-Age is a number") <= 0,
                "expires" => removed |= setting.contains("1970"),
                _ => {}
            }
        }
        let key = Key { origin: origin.to_owned(), name: name.to_owned(), path: path.to_owned() };
        if removed {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }

    /// The `Cookie` header for a request, if there is anything to send.
    pub(crate) fn header(&self, origin: &str, path: &str) -> Option<String> {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .filter(|(key, _)| key.origin == origin && covers(&key.path, path))
            .map(|(key, value)| format!("{}={value}", key.name))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub(crate) fn get(&self, origin: &str, name: &str) -> Option<&str> {
        let found = self.cookies.iter().find(|(key, _)| key.origin == origin && key.name == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn clear(&mut self) {
        self.cookies.clear();
    }
}

/// RFC 6265, 5.1.4: `/a` covers `/a` and `/a/b`, not `/ab`.
fn covers(cookie_path: &str, path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_back_where_they_came_from_until_they_are_removed() {
        let mut jar = Jar::default();
        jar.heed("http://a:1", "__Host-session=s1; Path=/; HttpOnly; Secure; SameSite=Lax");
        jar.heed("http://a:1", "attempt=t1; Path=/sign-in; Max-Age=600");
        let sent = |jar: &Jar, path| jar.header("http://a:1", path);
        assert_eq!(sent(&jar, "/messages").as_deref(), Some("__Host-session=s1"));
        assert_eq!(sent(&jar, "/sign-in/callback").as_deref(), Some("__Host-session=s1; attempt=t1"));
        assert_eq!(sent(&jar, "/sign-in").as_deref(), Some("__Host-session=s1; attempt=t1"));
        assert_eq!(sent(&jar, "/sign-inn").as_deref(), Some("__Host-session=s1"));
        assert_eq!(jar.header("http://a:2", "/"), None);
        assert_eq!(jar.get("http://a:1", "attempt"), Some("t1"));

        jar.heed("http://a:1", "__Host-session=; Path=/; Max-Age=0");
        jar.heed("http://a:1", "attempt=; Path=/sign-in; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(sent(&jar, "/sign-in"), None);
    }

    #[test]
    fn a_removal_for_another_path_removes_nothing() {
        let mut jar = Jar::default();
        jar.heed("http://a:1", "attempt=t1; Path=/sign-in");
        jar.heed("http://a:1", "attempt=; Path=/; Max-Age=0");
        assert_eq!(jar.header("http://a:1", "/sign-in").as_deref(), Some("attempt=t1"));
    }
}
