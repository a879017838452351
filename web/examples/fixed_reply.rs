//! The limit that the bench holds the pages against: the site's own server and headers, answering every request with the
//! same page of so many bytes, from memory. `fixed_reply BYTES`, with the settings of `web`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool for the bench")]

use bytes::Bytes;
use clap::Parser;
use http_server::Bounds;
use process::program::{self, Exit, Origin, Program, Runtime};
use process::{Shutdown, Started};
use store::IfMissing;
use tokio::net::TcpListener;
use wardpost_web::config;
use wardpost_web::http::reply::Reply;
use wardpost_web::whole_site::WholeSite;
use warp::Filter;

#[derive(Parser)]
struct Arguments {
    bytes: usize,
}

fn main() -> Exit {
    let fixed_reply = Program {
        name: "fixed_reply",
        settings: Origin::EnvFile,
        runtime: Runtime::ManyThreads,
        log_filter: str::to_owned,
    };
    program::run(fixed_reply, |Arguments { bytes }, started: Started| {
        started.run(config::read, async |config| serve(config, bytes).await)
    })
}

async fn serve(config: config::Config, bytes: usize) -> Exit {
    let shutdown = Shutdown::listen().expect("signals");
    let listener = TcpListener::bind(config.listen).await.expect("WARDPOST_LISTEN is free");
    let store = config.database.open(IfMissing::Create).await.expect("the database opens");
    let site = WholeSite::build(config, store.clone(), shutdown).expect("a site");
    let page = Bytes::from("x".repeat(bytes));
    let fixed = warp::any().map(move || Reply::bytes("text/html; charset=utf-8", page.clone()).into_response()).boxed();
    site.serve(listener, fixed, Bounds::default()).await;
    store.close().await;
    Exit::Done
}
