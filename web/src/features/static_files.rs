//! The stylesheet, the script and the icon.

use http::header;

use crate::app::assets::unread_icon;
use crate::app::request::Request;
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// A file's address changes with its content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// That of an icon with a number does not.
const ONE_DAY: &str = "public, max-age=86400";

/// `GET /static/{}`
pub async fn file(request: Request, _: ()) -> Result<Reply, PageError> {
    if let Some(icon) = unread_icon(&request.path_argument) {
        return Ok(Reply::text("image/svg+xml", icon).with(header::CACHE_CONTROL, ONE_DAY));
    }
    let asset = request.site.assets.find(&request.path_argument).ok_or(PageError::NotFound)?;
    let reply = if accepts_gzip(&request) {
        Reply::bytes(asset.content_type, asset.gzip.clone()).with(header::CONTENT_ENCODING, "gzip")
    } else {
        Reply::bytes(asset.content_type, asset.plain.clone())
    };
    Ok(reply.with(header::CACHE_CONTROL, FOREVER).with(header::VARY, "Accept-Encoding"))
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
