//! The static files: compiled in, named by their content so that browsers may keep them for ever, and compressed
//! once.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header;
use sha2::{Digest, Sha256};

use crate::page_error::PageError;
use crate::pages::AssetUrls;
use crate::reply::Reply;
use crate::request::Request;

const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The script: one file, so that a page costs its address one request for it, in parts that share one scope.
const SCRIPT: &str = concat!(
    include_str!("../static/js/page.js"),
    include_str!("../static/js/times.js"),
    include_str!("../static/js/tabs.js"),
    include_str!("../static/js/ask.js"),
    include_str!("../static/js/session.js"),
    include_str!("../static/js/keys.js"),
    include_str!("../static/js/live.js"),
    include_str!("../static/js/draft.js"),
    include_str!("../static/js/writing.js"),
    include_str!("../static/js/site.js"),
);

/// All static files.
pub struct Assets {
    files: Vec<Asset>,
    urls: Arc<AssetUrls>,
}

struct Asset {
    /// The last segment of its address.
    name: String,
    content_type: &'static str,
    plain: Bytes,
    gzip: Bytes,
}

impl Assets {
    /// Hashes and compresses the files. Errors come from the compressor alone.
    pub fn load() -> std::io::Result<Self> {
        let css = Asset::new("site", "css", "text/css; charset=utf-8", include_bytes!("../static/site.css"))?;
        let js = Asset::new("site", "js", "text/javascript; charset=utf-8", SCRIPT.as_bytes())?;
        let icon = Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../static/icon.svg"))?;
        let urls = AssetUrls { css: css.url(), js: js.url(), icon: icon.url() };
        Ok(Self { urls: Arc::new(urls), files: vec![css, js, icon] })
    }

    /// Where pages find them.
    pub fn urls(&self) -> &Arc<AssetUrls> {
        &self.urls
    }
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, content: &'static [u8]) -> std::io::Result<Self> {
        let hash = hex::encode(Sha256::digest(content));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content)?;
        Ok(Self {
            name: format!("{stem}.{}.{extension}", hash.get(..16).unwrap_or(&hash)),
            content_type,
            plain: Bytes::from_static(content),
            gzip: encoder.finish()?.into(),
        })
    }

    fn url(&self) -> String {
        format!("/static/{}", self.name)
    }
}

/// `GET /static/{}`
pub async fn file(request: Request, _: ()) -> Result<Reply, PageError> {
    let files = &request.site.assets.files;
    let asset = files.iter().find(|asset| asset.name == request.path_argument).ok_or(PageError::NotFound)?;
    let reply = if accepts_gzip(&request) {
        Reply::bytes(asset.content_type, asset.gzip.clone()).with(header::CONTENT_ENCODING, "gzip")
    } else {
        Reply::bytes(asset.content_type, asset.plain.clone())
    };
    Ok(reply.with(header::CACHE_CONTROL, FOR_EVER).with(header::VARY, "Accept-Encoding"))
}

fn accepts_gzip(request: &Request) -> bool {
    request
        .headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let refused = |quality: &str| matches!(quality, "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            parts.next() == Some("gzip") && !parts.any(refused)
        })
}
