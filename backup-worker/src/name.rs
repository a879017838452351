//! What a backup is called: by the moment it was begun, so that names sort as times do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use store::Timestamp;

const PREFIX: &str = "wardpost-";
const ARCHIVE: &str = ".sqlite.gz.age";
const MANIFEST: &str = ".json";

/// The name of an archive, `wardpost-20261123T020000Z.sqlite.gz.age`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupName {
    /// `20261123T020000Z`
    moment: String,
}

/// A text is not the name of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a backup, such as wardpost-20261123T020000Z.sqlite.gz.age")]
pub struct NotAName;

impl BackupName {
    /// The name of a backup that is begun at this moment. Whole seconds: two in one second have the same name.
    pub fn new(at: Timestamp) -> BackupName {
        let moment = at.to_rfc3339().chars().filter(|c| !"-:".contains(*c)).take(15).chain(['Z']).collect();
        BackupName { moment }
    }

    /// When it was begun, in whole seconds.
    pub fn at(&self) -> Timestamp {
        // Checked when the name was made.
        parse_moment(&self.moment).unwrap_or(Timestamp::from_millis(0))
    }

    /// The name of its manifest.
    pub fn manifest(&self) -> String {
        format!("{PREFIX}{}{MANIFEST}", self.moment)
    }

    /// Reads the name of a manifest.
    pub fn of_manifest(text: &str) -> Option<BackupName> {
        BackupName::between(text, MANIFEST)
    }

    fn between(text: &str, end: &str) -> Option<BackupName> {
        let moment = text.strip_prefix(PREFIX)?.strip_suffix(end)?.to_owned();
        parse_moment(&moment)?;
        Some(BackupName { moment })
    }
}

/// None unless it is exactly as [`BackupName::new`] writes it.
fn parse_moment(moment: &str) -> Option<Timestamp> {
    if !moment.is_ascii() || moment.len() != 16 {
        return None;
    }
    let (date, time) = (&moment[..8], &moment[8..]);
    let at = Timestamp::parse_rfc3339(&format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..8],
        &time[1..3],
        &time[3..5],
        &time[5..7]
    ))?;
    (BackupName::new(at).moment == moment).then_some(at)
}

impl FromStr for BackupName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<BackupName, NotAName> {
        BackupName::between(text, ARCHIVE).ok_or(NotAName)
    }
}

impl TryFrom<String> for BackupName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<BackupName, NotAName> {
        text.parse()
    }
}

impl From<BackupName> for String {
    fn from(name: BackupName) -> String {
        name.to_string()
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}{}{ARCHIVE}", self.moment)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_tells_its_moment() {
        let at = Timestamp::parse_rfc3339("2026-11-23T02:00:05.900Z").unwrap();
        let name = BackupName::new(at);
        assert_eq!(name.to_string(), "wardpost-20261123T020005Z.sqlite.gz.age");
        assert_eq!(name.manifest(), "wardpost-20261123T020005Z.json");
        assert_eq!(name.at().to_rfc3339(), "2026-11-23T02:00:05.000Z");
        assert_eq!(BackupName::of_manifest(&name.manifest()), Some(name));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "latest",
            "wardpost-.sqlite.gz.age",
            "wardpost-20261123T020005Z.json",
            "wardpost-20261323T020005Z.sqlite.gz.age",
            "wardpost-20261123T020005Z.sqlite.gz.age.part",
            "../wardpost-20261123T020005Z.sqlite.gz.age",
            "wardpost-20261123X020005Z.sqlite.gz.age",
            "wardpost-2026112 T020005Z.sqlite.gz.age",
            "wardpost-+0261123T020005Z.sqlite.gz.age",
            "wardpost-20261123T020005é.sqlite.gz.age",
        ] {
            assert!(text.parse::<BackupName>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn names_sort_as_times_do_and_are_read_back(one in 0..4_000_000_000_000_i64, other in 0..4_000_000_000_000_i64) {
            let name = |millis| BackupName::new(Timestamp::from_millis(millis));
            prop_assert_eq!(name(one).cmp(&name(other)), (one / 1000).cmp(&(other / 1000)));
            prop_assert_eq!(name(one).to_string().parse::<BackupName>().unwrap(), name(one));
            prop_assert_eq!(name(one).at().as_millis(), one / 1000 * 1000);
        }

        /// What a bucket or a folder lists: a name is taken only where we could have given it, and is never a path.
        #[test]
        fn a_name_that_is_taken_is_one_of_ours(
            text in "(wardpost-)?.{0,20}(\\.sqlite\\.gz\\.age|\\.json)?|wardpost-[0-9]{8}T[0-9]{6}Z(\\.sqlite\\.gz\\.age|\\.json)|(\\.\\./|/)?wardpost-20261123T020005Z\\.json"
        ) {
            if let Ok(name) = text.parse::<BackupName>() {
                prop_assert_eq!(name.to_string(), text.clone());
                prop_assert_eq!(BackupName::new(name.at()), name);
                prop_assert!(!text.contains('/'));
            }
            if let Some(name) = BackupName::of_manifest(&text) {
                prop_assert_eq!(name.manifest(), text);
            }
        }
    }
}
