//! The static files: compiled in, named by their content so that browsers may keep them forever, and compressed
//! once.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::app::pages::AssetUrls;

/// The script: one file, so that a page costs its address one request for it, in parts that share one scope.
const SCRIPT: &str = concat!(
    include_str!("../../static/js/page.js"),
    include_str!("../../static/js/times.js"),
    include_str!("../../static/js/tabs.js"),
    include_str!("../../static/js/ask.js"),
    include_str!("../../static/js/session.js"),
    include_str!("../../static/js/keys.js"),
    include_str!("../../static/js/live.js"),
    include_str!("../../static/js/draft.js"),
    include_str!("../../static/js/writing.js"),
    include_str!("../../static/js/site.js"),
);

/// All static files.
pub struct Assets {
    files: Vec<Asset>,
    urls: Arc<AssetUrls>,
}

/// One file.
pub struct Asset {
    /// The last segment of its address.
    name: String,
    /// As the Content-Type header has it.
    pub content_type: &'static str,
    /// The file.
    pub plain: Bytes,
    /// The file, compressed by gzip.
    pub gzip: Bytes,
}

impl Assets {
    /// Hashes and compresses the files. Errors come from the compressor alone.
    pub fn load() -> std::io::Result<Self> {
        let css = Asset::new("site", "css", "text/css; charset=utf-8", include_bytes!("../../static/site.css"))?;
        let js = Asset::new("site", "js", "text/javascript; charset=utf-8", SCRIPT.as_bytes())?;
        let icon = Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../static/icon.svg"))?;
        let urls = AssetUrls { css: css.url(), js: js.url(), icon: icon.url() };
        Ok(Self { urls: Arc::new(urls), files: vec![css, js, icon] })
    }

    /// The file of this name.
    pub fn find(&self, name: &str) -> Option<&Asset> {
        self.files.iter().find(|asset| asset.name == name)
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
