//! The options `--from` and `--to` of `log-shipper verify`.

use store::{AuditId, Timestamp};

/// Where a comparison begins or ends, as somebody typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A row's number.
    Row(AuditId),
    /// A time.
    Time(Timestamp),
}

impl Bound {
    /// Whether a comparison from here to `to` would compare nothing, whatever there is.
    pub fn is_after(&self, to: &Bound) -> bool {
        match (self, to) {
            (Bound::Row(from), Bound::Row(to)) => from > to,
            (Bound::Time(from), Bound::Time(to)) => from >= to,
            _ => false,
        }
    }

    /// Reads a row's number, a date, or an RFC 3339 time.
    pub fn parse(text: &str) -> Result<Bound, String> {
        if let Ok(row) = text.parse() {
            return Ok(Bound::Row(row));
        }
        Timestamp::parse_rfc3339(text)
            .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
            .map(Bound::Time)
            .ok_or_else(|| {
                format!("`{text}` is neither a row's number nor a time such as 2026-11-01 or 2026-11-01T08:00:00Z")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: i64) -> AuditId {
        AuditId::new(number).unwrap()
    }

    #[test]
    fn a_bound_is_a_row_or_a_time() {
        assert_eq!(Bound::parse("17"), Ok(Bound::Row(id(17))));
        let day = Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").unwrap();
        assert_eq!(Bound::parse("2026-11-01"), Ok(Bound::Time(day)));
        assert_eq!(Bound::parse("2026-11-01T01:00:00+01:00"), Ok(Bound::Time(day)));
        for (from, to, nothing) in
            [("5", "5", false), ("6", "5", true), ("2026-11-01", "2026-11-01", true), ("5", "2026-11-01", false)]
        {
            let (from, to) = (Bound::parse(from).unwrap(), Bound::parse(to).unwrap());
            assert_eq!(from.is_after(&to), nothing, "{from:?} {to:?}");
        }
        for wrong in ["", "0", "-1", "yesterday", "2026-13-01"] {
            assert!(Bound::parse(wrong).is_err(), "{wrong}");
        }
    }
}
