//! The limit that the bench holds the pages against: the site's own server and headers, answering every request with the
//! same page of so many bytes, from memory. `fixed_reply BYTES`, with the settings of `web`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool for the bench")]

use bytes::Bytes;
use process::Shutdown;
use process::settings::Settings;
use store::{IfMissing, Store};
use tokio::net::TcpListener;
use wardpost_web::reply::Reply;
use wardpost_web::site::Site;
use wardpost_web::{config, server};
use warp::Filter;

#[tokio::main]
async fn main() {
    let bytes: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("fixed_reply BYTES");
    let (config, _) = Settings::load().and_then(config::read).expect("the settings of web");
    let shutdown = Shutdown::listen().expect("signals");
    let listener = TcpListener::bind(config.listen).await.expect("WARDPOST_LISTEN is free");
    let store =
        Store::open(&config.database, &config.database_key, IfMissing::Create).await.expect("the database opens");
    let site = Site::build(config, store.clone(), shutdown).expect("a site");
    let page = Bytes::from("x".repeat(bytes));
    let fixed = warp::any().map(move || Reply::bytes("text/html; charset=utf-8", page.clone()).into_response()).boxed();
    server::run(listener, site, fixed, server::Bounds::default()).await;
    store.close().await;
}
