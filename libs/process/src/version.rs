//! What a program calls itself: the version of the workspace, and the revision that it was made of.

use std::sync::LazyLock;

/// The revision, such as `65cfa89d1c2e`, as `make dist` hands it to the compiler. Only there: in a build of every day, each
/// commit would compile all four programs again.
const REVISION: Option<&str> = option_env!("WARDPOST_REVISION");

/// For `--version`: `0.1.0 (65cfa89d1c2e)`, or that no revision is known.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| described(env!("CARGO_PKG_VERSION"), REVISION));
    &VERSION
}

fn described(version: &str, revision: Option<&str>) -> String {
    format!("{version} ({})", revision.unwrap_or("not a release: no revision known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_names_its_revision_and_any_other_build_says_that_it_has_none() {
        assert_eq!(described("0.1.0", Some("65cfa89d1c2e")), "0.1.0 (65cfa89d1c2e)");
        assert_eq!(described("0.1.0", None), "0.1.0 (not a release: no revision known)");
    }
}
