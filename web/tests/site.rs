//! The site as its clients see it. One program, since each would be linked with the whole site; what needs the machine for
//! itself is a program of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod busy_writer;
mod connections;
mod cookies;
mod crash;
mod drain;
mod duties;
mod emergency;
mod hostile;
mod limits;
mod lists;
mod messages;
mod metrics;
mod panics;
mod pressure;
mod routes;
mod sessions;
mod sign_in;
mod start;
mod support;
mod urgent;

/// A file that is not named above would be compiled by nobody.
#[test]
fn every_file_of_the_folder_is_part_of_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap();
        let named = include_str!("site.rs").lines().any(|line| line == format!("mod {name};"));
        assert!(named || ["site", "under_attack"].contains(&name), "{name} is in no program");
    }
}
