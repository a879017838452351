//! The static files: compiled in, named by their content so that browsers may keep them forever, and compressed
//! once.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::app::pages::AssetUrls;

/// The style sheet: one file, in parts as well. A later part wins over an earlier one, so narrow screens and other
/// media come last.
const STYLE: &str = concat!(
    include_str!("../../static/css/base.css"),
    include_str!("../../static/css/top.css"),
    include_str!("../../static/css/forms.css"),
    include_str!("../../static/css/parts.css"),
    include_str!("../../static/css/list.css"),
    include_str!("../../static/css/conversation.css"),
    include_str!("../../static/css/writing.css"),
    include_str!("../../static/css/audit.css"),
    include_str!("../../static/css/account.css"),
    include_str!("../../static/css/entrance.css"),
    include_str!("../../static/css/help.css"),
    include_str!("../../static/css/teams.css"),
    include_str!("../../static/css/templates.css"),
    include_str!("../../static/css/duties.css"),
    include_str!("../../static/css/urgent.css"),
    include_str!("../../static/css/narrow.css"),
    include_str!("../../static/css/media.css"),
);

/// The script: one file, so that a page costs its address one request for it, in parts that share one scope.
const SCRIPT: &str = concat!(
    include_str!("../../static/js/page.js"),
    include_str!("../../static/js/times.js"),
    include_str!("../../static/js/tabs.js"),
    include_str!("../../static/js/ask.js"),
    include_str!("../../static/js/session.js"),
    include_str!("../../static/js/keys.js"),
    include_str!("../../static/js/place.js"),
    include_str!("../../static/js/unread.js"),
    include_str!("../../static/js/stream.js"),
    include_str!("../../static/js/connection.js"),
    include_str!("../../static/js/marks.js"),
    include_str!("../../static/js/urgent.js"),
    include_str!("../../static/js/hidden.js"),
    include_str!("../../static/js/live.js"),
    include_str!("../../static/js/arrivals.js"),
    include_str!("../../static/js/recipients.js"),
    include_str!("../../static/js/draft.js"),
    include_str!("../../static/js/writing.js"),
    include_str!("../../static/js/rows.js"),
    include_str!("../../static/js/own-data.js"),
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
        let css = Asset::new("site", "css", "text/css; charset=utf-8", STYLE.as_bytes())?;
        let js = Asset::new("site", "js", "text/javascript; charset=utf-8", SCRIPT.as_bytes())?;
        let icon = Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../static/icon.svg"))?;
        let urgent = Asset::new("icon-urgent", "svg", "image/svg+xml", include_bytes!("../../static/icon-urgent.svg"))?;
        let urls = AssetUrls { css: css.url(), js: js.url(), icon: icon.url(), urgent_icon: urgent.url() };
        Ok(Self { urls: Arc::new(urls), files: vec![css, js, icon, urgent] })
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

/// Where the icon with a number of unread conversations is: "7", "7+" or "99+".
pub fn unread_icon_url(count: &str) -> String {
    format!("/static/unread-{}.svg", count.replace('+', "-plus"))
}

/// The icon of such an address, given its last segment; None where that is no number of ours.
pub fn unread_icon(name: &str) -> Option<String> {
    let label = name.strip_prefix("unread-")?.strip_suffix(".svg")?;
    let (number, more) = label.strip_suffix("-plus").map_or((label, ""), |number| (number, "+"));
    let in_range = number.parse().is_ok_and(|count: u8| count <= 99 && count.to_string() == number);
    let size = if number.len() + more.len() > 2 { 11 } else { 14 };
    in_range.then(|| {
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0c6a60"/><g fill="none" stroke="#fff" stroke-width="2.25" stroke-linejoin="round" stroke-linecap="round"><path d="M5 10.5h18v12.5H5z"/><path d="m5.5 11 8.5 7 8.5-7"/></g><circle cx="21" cy="11" r="11" fill="#b1241c"/><text x="21" y="{}" font-family="sans-serif" font-size="{size}" font-weight="700" text-anchor="middle" fill="#fff">{number}{more}</text></svg>"##,
            if size == 14 { 16 } else { 15 },
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folders_is_part_of_what_is_served() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("static");
        for (folder, served) in [("css", STYLE), ("js", SCRIPT)] {
            let mut length = 0;
            for file in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = file.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(served.contains(&text), "{} is not in assets.rs", path.display());
                length += text.len();
            }
            assert_eq!(served.len(), length, "assets.rs has a file of {folder} twice");
        }
    }

    #[test]
    fn there_is_an_icon_for_each_number_of_unread_conversations_and_for_nothing_else() {
        for (count, shown) in [("1", ">1<"), ("42", ">42<"), ("7+", ">7+<"), ("99+", ">99+<")] {
            let url = unread_icon_url(count);
            let icon = unread_icon(url.strip_prefix("/static/").unwrap()).unwrap();
            assert!(icon.contains(shown), "{icon}");
        }
        for name in ["unread-100.svg", "unread-07.svg", "unread-.svg", "unread-x.svg", "unread-7.png", "icon.svg"] {
            assert!(unread_icon(name).is_none(), "{name}");
        }
    }
}
