//! Numbers as audit rows name several of them: "3, 5-9".

use std::ops::RangeInclusive;

/// Writes numbers in any order: `3, 5-9`.
pub(crate) fn format(mut numbers: Vec<i64>) -> String {
    numbers.sort_unstable();
    numbers.dedup();
    let ranges = numbers.chunk_by(|number, next| number + 1 == *next).filter_map(|range| match range {
        [only] => Some(only.to_string()),
        [first, .., last] => Some(format!("{first}-{last}")),
        [] => None,
    });
    ranges.collect::<Vec<_>>().join(", ")
}

/// Reads what [`format`] writes; None for anything else.
pub(crate) fn parse(text: &str) -> Option<Vec<RangeInclusive<i64>>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.split(", ").map(range).collect()
}
