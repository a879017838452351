//! The numbers of things: one type each, so that a message's number cannot stand where a person's belongs.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The text or number was not an id: ids are whole numbers from 1 up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: a whole number from 1 up is expected")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// An id from its number; only positive numbers are ids.
            pub fn new(number: i64) -> Option<Self> {
                (number > 0).then_some(Self(number))
            }

            /// The number.
            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Plain digits only: no sign, no space, no leading zero, so that one thing has one address.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
                let number = if plain { text.parse().ok() } else { None };
                number.and_then(Self::new).ok_or(InvalidId)
            }
        }
    };
}

id! {
    /// A staff member.
    PersonId
}
id! {
    /// A signed-in browser.
    SessionId
}
id! {
    /// An emergency access.
    EmergencyGrantId
}
id! {
    /// A message.
    MessageId
}
id! {
    /// A team.
    TeamId
}
id! {
    /// A template.
    TemplateId
}
id! {
    /// A row of the audit log. The rows are numbered 1, 2, 3 without a gap.
    AuditId
}

impl MessageId {
    /// After every message.
    pub const MAX: MessageId = MessageId(i64::MAX);
}

impl AuditId {
    /// Before the first row.
    pub const ZERO: AuditId = AuditId(0);

    /// The row after this one.
    pub fn next(self) -> AuditId {
        AuditId(self.0.saturating_add(1))
    }

    /// The row before this one; of the first row [`AuditId::ZERO`].
    pub fn previous(self) -> AuditId {
        AuditId(self.0.saturating_sub(1).max(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_positive_numbers_are_ids() {
        assert_eq!("17".parse::<MessageId>().unwrap().get(), 17);
        assert_eq!("9223372036854775807".parse::<MessageId>().unwrap().get(), i64::MAX);
        for text in ["", "0", "-1", "+1", "01", " 1", "1 ", "1.0", "1e3", "9223372036854775808", "٣"] {
            assert_eq!(text.parse::<MessageId>(), Err(InvalidId), "{text:?}");
        }
        assert_eq!(PersonId::new(0), None);
        assert_eq!(PersonId::new(-3), None);
    }

    proptest! {
        /// One number, one text.
        #[test]
        fn an_id_is_read_from_its_own_text_alone(text in "[0-9]{0,20}|[+-]?[0-9]{1,3}|\\PC{0,8}") {
            let read = text.parse::<MessageId>();
            let model = text.parse::<i64>().ok().filter(|number| *number > 0 && number.to_string() == text);
            prop_assert_eq!(read.ok().map(MessageId::get), model);
        }
    }

    #[test]
    fn an_id_is_a_number_in_json() {
        assert_eq!(serde_json::to_string(&AuditId::ZERO.next()).unwrap(), "1");
    }
}
