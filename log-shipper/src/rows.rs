//! A set of rows: a bit for each, in pages that are there only where a row is. It takes no more than half a kilobyte for each
//! row that was added, whatever its number, and for rows that follow each other a bit.

use std::collections::BTreeMap;

use store::AuditId;

const WORDS: usize = 64;
const PAGE: i64 = 64 * 64;

/// A set of rows.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pages: BTreeMap<i64, Box<[u64; WORDS]>>,
}

impl Rows {
    /// Adds a row.
    pub fn add(&mut self, id: AuditId) {
        let (page, word, bit) = place(id);
        self.pages.entry(page).or_insert_with(|| Box::new([0; WORDS]))[word] |= bit;
    }

    /// Whether it has a row.
    pub fn has(&self, id: AuditId) -> bool {
        let (page, word, bit) = place(id);
        self.pages.get(&page).is_some_and(|words| words[word] & bit != 0)
    }

    /// Its rows, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = AuditId> + '_ {
        self.pages.iter().flat_map(|(page, words)| {
            (0..PAGE).filter_map(move |offset| {
                let id = AuditId::new(page * PAGE + offset)?;
                let (_, word, bit) = place(id);
                (words[word] & bit != 0).then_some(id)
            })
        })
    }

    /// The lowest.
    pub fn first(&self) -> Option<AuditId> {
        self.iter().next()
    }
}

/// The page, the word in it, and the bit in that.
fn place(id: AuditId) -> (i64, usize, u64) {
    let (page, offset) = (id.get() / PAGE, id.get() % PAGE);
    // An offset is below PAGE, so that its word is below WORDS.
    (page, usize::try_from(offset / 64).unwrap_or(0), 1 << (offset % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(numbers in proptest::collection::vec(prop_oneof![1..200_i64, 4_000..4_200_i64, 1..=i64::MAX], 0..60)) {
            let mut rows = Rows::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                let id = AuditId::new(number).unwrap();
                rows.add(id);
                set.insert(id);
            }
            prop_assert_eq!(rows.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(rows.first(), set.first().copied());
            for id in (1..300).filter_map(AuditId::new) {
                prop_assert_eq!(rows.has(id), set.contains(&id));
            }
        }
    }
}
