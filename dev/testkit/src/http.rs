//! A browser without a window: requests, cookies and forms, one step at a time. It follows no redirect by itself, since
//! every step of a sign-in is worth a look.

use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use reqwest::header::{HOST, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method};
use url::Url;

use crate::jar::Jar;
use crate::wait::SOON;

/// More than any flow of ours; a loop ends here.
const MOST_REDIRECTS: usize = 10;

/// One browser on one site. Clones share their cookies, as tabs do; a new one is another person's browser.
#[derive(Clone)]
pub struct Http {
    client: Client,
    site: Url,
    host: Option<String>,
    jar: Arc<Mutex<Jar>>,
}

impl Http {
    /// A browser with no cookies, for the site at an address such as `http://127.0.0.1:8080`.
    pub fn new(site: &str) -> Http {
        // The TLS of the whole workspace is ring's; a test binary may have installed it already.
        static RING: Once = Once::new();
        RING.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Tests stay on loopback, in plaintext: without this, each client reads the machine's certificates.
            .tls_certs_only([])
            .build()
            .expect("an HTTP client");
        let site = Url::parse(site).unwrap_or_else(|error| panic!("{site} is not an address: {error}"));
        Http { client, site, host: None, jar: Arc::default() }
    }

    /// The same browser, whose requests name this host: the site is known by it, and not by where it listens.
    pub fn under_name(mut self, host: &str) -> Http {
        self.host = Some(host.to_owned());
        self
    }

    /// Where this browser is at home.
    pub fn site(&self) -> &Url {
        &self.site
    }

    /// A request to a path of the site, or to an absolute address, with this browser's cookies and nothing else.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let url = self.site.join(path).unwrap_or_else(|error| panic!("{path} is not an address: {error}"));
        let mut builder = self.client.request(method, url.clone());
        if let Some(host) = &self.host {
            builder = builder.header(HOST, host);
        }
        Request { builder, url, browser: self.clone(), cookies: true }
    }

    /// Opens a page, as by typing its address.
    pub async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path).send().await
    }

    /// Sends a form as a page of the same site does, with the headers that say so.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let request = self.request(Method::POST, path);
        let origin = origin(&request.url);
        request.header("origin", &origin).header("sec-fetch-site", "same-origin").form(fields).send().await
    }

    /// Goes where a reply points, and on, until a page that points nowhere. A reply that is no redirect is given back.
    pub async fn follow(&self, mut reply: Reply) -> Reply {
        for _ in 0..MOST_REDIRECTS {
            match reply.location() {
                Some(next) => reply = self.get(&next).await,
                None => return reply,
            }
        }
        panic!("more than {MOST_REDIRECTS} redirects, the last to {:?}", reply.location());
    }

    /// Opens a page whose reply does not end: server-sent events.
    pub async fn open_stream(&self, path: &str) -> EventStream {
        let request = self.request(Method::GET, path).header("accept", "text/event-stream");
        let url = request.url.clone();
        let response = request.dispatch(None).await.unwrap_or_else(|error| panic!("GET {url}: {error:?}"));
        EventStream {
            url,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            response,
            seen: Vec::new(),
        }
    }

    /// The value of a cookie that the site has set and not removed.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar.lock().unwrap().get(&origin(&self.site), name).map(ToOwned::to_owned)
    }

    /// Puts a cookie into the browser, as the site would.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.jar.lock().unwrap().heed(&origin(&self.site), &format!("{name}={value}; Path=/"));
    }

    /// Forgets all cookies.
    pub fn clear_cookies(&self) {
        self.jar.lock().unwrap().clear();
    }

    fn heed_cookies(&self, url: &Url, headers: &HeaderMap) {
        let mut jar = self.jar.lock().unwrap();
        for header in headers.get_all(SET_COOKIE) {
            jar.heed(&origin(url), header.to_str().expect("cookies are ASCII"));
        }
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A request on its way to be made.
#[must_use = "nothing happens until it is sent"]
pub struct Request {
    builder: reqwest::RequestBuilder,
    url: Url,
    browser: Http,
    cookies: bool,
}

impl Request {
    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.builder = self.builder.header(name, value);
        self
    }

    /// With a form as its body.
    pub fn form(self, fields: &[(&str, &str)]) -> Request {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.builder = self.builder.body(body.into());
        self
    }

    /// Without this browser's cookies.
    pub fn without_cookies(mut self) -> Request {
        self.cookies = false;
        self
    }

    /// Makes the request and reads the whole reply.
    pub async fn send(self) -> Reply {
        let url = self.url.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The same, where it may well fail: the site may be down. The error is a text for people.
    pub async fn try_send(self) -> Result<Reply, String> {
        let url = self.url.clone();
        let read = async {
            let response = self.dispatch(Some(SOON)).await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Reply { url, status, headers, bytes: response.bytes().await?.into() })
        };
        read.await.map_err(|error: reqwest::Error| format!("{error:?}"))
    }

    async fn dispatch(mut self, timeout: Option<Duration>) -> reqwest::Result<reqwest::Response> {
        if self.cookies {
            let header = self.browser.jar.lock().unwrap().header(&origin(&self.url), self.url.path());
            if let Some(header) = header {
                self.builder = self.builder.header("cookie", header);
            }
        }
        if let Some(timeout) = timeout {
            self.builder = self.builder.timeout(timeout);
        }
        let response = self.builder.send().await?;
        self.browser.heed_cookies(&self.url, response.headers());
        Ok(response)
    }
}

/// A whole reply.
#[derive(Debug)]
pub struct Reply {
    /// The address asked.
    pub url: Url,
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Reply {
    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("the body is UTF-8")
    }

    /// The first header of a name, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are ASCII"))
    }

    /// Where a redirect points, as an absolute address.
    pub fn location(&self) -> Option<String> {
        let location = self.headers.get(LOCATION).filter(|_| (300..400).contains(&self.status))?;
        let location = location.to_str().expect("locations are ASCII");
        Some(self.url.join(location).expect("a location is an address").into())
    }

    /// Gives the reply back if it has this status; fails with the whole of it otherwise.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Reply {
        assert_eq!(
            self.status,
            status,
            "{} gave {}, with {:#?} and:\n{}",
            self.url,
            self.status,
            self.headers,
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }
}

/// A reply that goes on.
pub struct EventStream {
    url: Url,
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    response: reqwest::Response,
    seen: Vec<u8>,
}

impl EventStream {
    /// Reads on until `text` has come, and gives everything up to its end that was not given before.
    pub async fn read_until(&mut self, text: &str, deadline: Duration) -> String {
        let read = async {
            loop {
                if let Some(at) = find(&self.seen, text.as_bytes()) {
                    let given: Vec<u8> = self.seen.drain(..at + text.len()).collect();
                    return Ok(String::from_utf8(given).expect("events are UTF-8"));
                }
                match self.response.chunk().await {
                    Ok(Some(chunk)) => self.seen.extend_from_slice(&chunk),
                    Ok(None) => return Err("the stream ended".to_owned()),
                    Err(error) => return Err(format!("{error:?}")),
                }
            }
        };
        let outcome =
            tokio::time::timeout(deadline, read).await.unwrap_or_else(|_| Err(format!("not within {deadline:?}")));
        outcome.unwrap_or_else(|why| {
            panic!("{text:?} from {}: {why}; seen: {:?}", self.url, String::from_utf8_lossy(&self.seen))
        })
    }

    /// Reads on until the site ends the stream, and gives the rest of it.
    pub async fn read_to_end(mut self, deadline: Duration) -> String {
        let read = async {
            while let Some(chunk) =
                self.response.chunk().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.url))
            {
                self.seen.extend_from_slice(&chunk);
            }
        };
        if tokio::time::timeout(deadline, read).await.is_err() {
            panic!("{} did not end within {deadline:?}; seen: {:?}", self.url, String::from_utf8_lossy(&self.seen));
        }
        String::from_utf8(self.seen).expect("events are UTF-8")
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests;
