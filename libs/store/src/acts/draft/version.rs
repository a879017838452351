//! Versions of drafts: which one a page has seen, and may therefore replace. Those of templates are told apart in the same way.

use crate::types::IdempotencyKey;

/// Names exactly one draft: its key and its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftVersion([u8; 16]);

/// Which draft a page was showing when what is written there was begun or last saved: it may replace that one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The page does not say, and replaces whatever there is.
    Unknown,
    /// There was none.
    Nothing,
    /// This one.
    Version(DraftVersion),
}

impl DraftVersion {
    /// The first half of a hash over key and text.
    pub(in crate::acts) fn of(hash: &[u8; 32]) -> Self {
        let mut version = [0; 16];
        version.copy_from_slice(&hash[..16]);
        Self(version)
    }

    /// Reads the 32 hex characters that Display writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl std::fmt::Display for DraftVersion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl Seen {
    /// Whether a page that saw this may replace the draft `kept`, of that key and version, by one with `key`. The form that
    /// made a draft may replace it though the answer was lost that named its version.
    pub(in crate::acts) fn may_replace(self, kept: (IdempotencyKey, DraftVersion), key: IdempotencyKey) -> bool {
        match self {
            Seen::Unknown => true,
            Seen::Nothing => kept.0 == key,
            Seen::Version(version) => kept.1 == version,
        }
    }
}
