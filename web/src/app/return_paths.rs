//! Where a sign-in may lead back to: the pages that the table of routes says so of.

use http::Method;

use crate::app::row::{Route, matches};

/// The patterns of all GET rows in the order of the table, and whether a sign-in may lead back to each.
#[derive(Default)]
pub struct ReturnPaths(Vec<(&'static str, bool)>);

impl ReturnPaths {
    /// As the rows of the table say.
    pub fn of(rows: &[Route]) -> Self {
        let pages = rows.iter().filter(|row| row.method == Method::GET);
        Self(pages.map(|row| (row.path, row.returns)).collect())
    }

    /// Whether a path is one of them: the first row that has it decides, as for a request.
    pub fn allow(&self, path: &str) -> bool {
        self.0.iter().find(|(pattern, _)| matches(pattern, path)).is_some_and(|(_, returns)| *returns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_that_has_a_path_decides() {
        let paths = ReturnPaths(vec![("/messages/updates", false), ("/messages/{}", true)]);
        assert!(paths.allow("/messages/7"));
        assert!(!paths.allow("/messages/updates") && !paths.allow("/audit"));
    }
}
