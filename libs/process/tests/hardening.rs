//! In a process of its own, since there is no way back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit};

#[test]
fn neither_the_limit_nor_the_flag_allows_a_core_dump() {
    assert!(prctl::get_dumpable().unwrap(), "otherwise this test shows nothing");
    wardpost_process::hardening::no_core_dumps().unwrap();
    assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
    assert!(!prctl::get_dumpable().unwrap());
}
