//! `GET /me`: what concerns the member who looks: where she is signed in, and a copy of everything that is hers.

mod archive;
pub mod data;
mod device;
pub mod pages;
mod readme;
pub mod sessions;
pub mod time;
mod zip_stream;

use std::sync::Arc;

use http::StatusCode;
use store::Timestamp;

pub use self::data::Downloads;
use crate::app::access::Member;
use crate::app::pages::Frame;
use crate::app::request::Request;
use crate::features::me::pages::{DataView, MePage};
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// The page.
pub async fn show(state: Arc<Downloads>, request: Request, member: Member) -> Result<Reply, PageError> {
    page(&state, &request, &member, StatusCode::OK).await
}

/// The page under a status: 429 where a copy was asked for that is not possible yet.
async fn page(
    downloads: &Downloads,
    request: &Request,
    member: &Member,
    status: StatusCode,
) -> Result<Reply, PageError> {
    let person = member.actor().person;
    let sessions = sessions::of(request, member).await?;
    let again_at: Option<Timestamp> = request.site.store.data_export_possible_at(person, request.at).await?;
    let page = MePage {
        frame: Frame::of(member, request).with_notice(sessions::notice(request.query.get("notice"))),
        sessions,
        data: DataView {
            again_at: again_at.map(Into::into),
            refused: status == StatusCode::TOO_MANY_REQUESTS,
            download: downloads.of(person),
        },
    };
    Ok(Reply::page(&page)?.with_status(status))
}
