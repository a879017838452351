//! The code of a manifest. Anyone who can write to the target can write manifests as well, so format 2 ends with a code under a
//! key that only holders of an identity have ([`BackupIdentity::authenticate`]):
//!
//! ```text
//! file = BODY || `,\n  "mac": "` || 64 lower-case hex characters || `"\n}\n`
//! mac  = HMAC-SHA256(key that follows the identity, BODY)
//! ```
//! BODY is every byte before that end, from the `{` on, so nothing has to be parsed before the code is checked, and no
//! second way of writing the same manifest has the same code. The whole is JSON. Format 1 had no code.

use super::{LONGEST, Manifest, UNAUTHENTICATED, too_long};
use crate::age_keys::BackupIdentity;
use crate::name::BackupName;

/// What stands before and after the code.
const MAC_START: &str = ",\n  \"mac\": \"";
const MAC_END: &str = "\"\n}\n";

/// What the code of a manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A holder of one of our identities wrote this.
    Fits,
    /// It is of a key that is not here: it says nothing.
    OfAnotherKey,
    /// There is none: format 1.
    None,
}

impl Manifest {
    /// With its code, under the key that follows `identity`.
    pub fn authenticate(mut self, identity: &BackupIdentity) -> Manifest {
        self.authenticated_by = Some(identity.recipient().to_string());
        self.mac = Some("0".repeat(64));
        let text = self.to_json();
        self.mac = split_mac(text.as_bytes()).map(|(body, _)| hex::encode(identity.authenticate(body)));
        self
    }

    /// Reads the manifest of the backup `name`, of at most [`LONGEST`] bytes, and checks its code before anything else of it.
    /// The error says what is wrong with it.
    pub fn read(bytes: &[u8], name: &BackupName, identities: &[BackupIdentity]) -> Result<(Manifest, Code), String> {
        if bytes.len() as u64 > LONGEST {
            return Err(too_long());
        }
        let writer = split_mac(bytes).and_then(|(body, mac)| {
            // All of them are tried, so that how long this takes tells nothing about which.
            identities.iter().fold(None, |found, one| if one.has_authenticated(body, &mac) { Some(one) } else { found })
        });
        let manifest = Manifest::parse(bytes, name)?;
        let ours = |public: &str| identities.iter().any(|one| one.recipient().to_string() == public);
        match (writer, manifest.authenticated_by.as_deref()) {
            (Some(writer), Some(public)) if writer.recipient().to_string() == public => Ok((manifest, Code::Fits)),
            (None, Some(public)) if !ours(public) => Ok((manifest, Code::OfAnotherKey)),
            (None, None) if manifest.format == UNAUTHENTICATED => Ok((manifest, Code::None)),
            _ => Err(
                "the manifest is not what was written: its code does not fit. Somebody has changed it at the target"
                    .to_owned(),
            ),
        }
    }
}

/// What the code covers, and the code, where the file ends as ours do.
fn split_mac(bytes: &[u8]) -> Option<(&[u8], [u8; 32])> {
    let rest = bytes.strip_suffix(MAC_END.as_bytes())?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let mut mac = [0; 32];
    hex::decode_to_slice(digits, &mut mac).ok()?;
    Some((rest.strip_suffix(MAC_START.as_bytes())?, mac))
}
