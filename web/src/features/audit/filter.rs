//! The filter of the audit page: in the address, so that it can be shared, paged and exported.

use chrono::{NaiveDateTime, TimeZone, Utc};
use store::{Action, AuditFilter, Timestamp};

use crate::http::form::{self, Form};

/// As a `datetime-local` field writes it; always UTC here.
const FIELD_FORMATS: [&str; 2] = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];

/// A filter, and the texts it was read from.
pub struct ParsedFilter {
    /// What was understood.
    pub filter: AuditFilter,
    /// The `from` field as it goes back into the form.
    pub from: String,
    /// The `to` field as it goes back into the form.
    pub to: String,
    /// What was not understood; the page says so and shows everything else the filter asks for.
    pub error: Option<String>,
}

/// Reads `person`, `action`, `from`, `to` and `lists`. The minute named by `to` is included; lists are left out unless `lists`
/// is "shown".
pub fn parse(query: &Form) -> ParsedFilter {
    let mut error = None;
    let mut wrong = |text: &str| {
        error.get_or_insert_with(|| text.to_owned());
    };
    let person = query
        .get("person")
        .and_then(|text| text.parse().inspect_err(|_| wrong("The person in the address is not one of ours.")).ok());
    let action = query.get("action").and_then(|text| {
        let action = Action::parse(text);
        if action.is_none() {
            wrong("The action in the address is not one of ours.");
        }
        action
    });
    let mut time = |name: &str, wrong_text: &str| {
        query.get(name).and_then(|text| {
            let time = parse_time(text);
            if time.is_none() {
                wrong(wrong_text);
            }
            time
        })
    };
    let from = time("from", "“From” is not a date and time such as 2026-11-22T08:00.");
    let to = time("to", "“Until” is not a date and time such as 2026-11-22T18:00.");
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        wrong("“Until” lies before “From”, so nothing can match.");
    }
    ParsedFilter {
        filter: AuditFilter {
            person,
            action,
            from,
            to: to.map(|to| to.plus(std::time::Duration::from_secs(60))),
            without_lists: query.get("lists") != Some("shown"),
        },
        from: query.text("from").to_owned(),
        to: query.text("to").to_owned(),
        error,
    }
}

impl ParsedFilter {
    /// Whether anything is filtered at all, but for lists.
    pub fn is_set(&self) -> bool {
        let filter = &self.filter;
        filter.person.is_some() || filter.action.is_some() || filter.from.is_some() || filter.to.is_some()
    }

    /// A path with this filter, and one more pair where there is one.
    pub fn url(&self, path: &str, extra: Option<(&str, String)>) -> String {
        let person = self.filter.person.map(|person| person.to_string());
        let mut pairs = Vec::new();
        pairs.extend(person.as_deref().map(|person| ("person", person)));
        pairs.extend(self.filter.action.map(|action| ("action", action.as_str())));
        pairs.extend(self.filter.from.map(|_| ("from", self.from.as_str())));
        pairs.extend(self.filter.to.map(|_| ("to", self.to.as_str())));
        pairs.extend((!self.filter.without_lists).then_some(("lists", "shown")));
        pairs.extend(extra.as_ref().map(|(name, value)| (*name, value.as_str())));
        let query = form::encode(pairs);
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

fn parse_time(text: &str) -> Option<Timestamp> {
    FIELD_FORMATS
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| Timestamp::from_millis(Utc.from_utc_datetime(&time).timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(query: &str) -> ParsedFilter {
        parse(&Form::parse(query.as_bytes()))
    }

    #[test]
    fn a_whole_filter_is_read_and_written_back_into_addresses() {
        let query = "person=3&action=MESSAGE_VIEW&from=2026-11-22T08%3A00&to=2026-11-22T18%3A00&lists=shown";
        let filter = parsed(query);
        assert_eq!(filter.error, None);
        assert_eq!(filter.filter.from.unwrap().to_rfc3339(), "2026-11-22T08:00:00.000Z");
        assert_eq!(filter.filter.to.unwrap().to_rfc3339(), "2026-11-22T18:01:00.000Z");
        assert_eq!(filter.url("/audit", None), format!("/audit?{query}"));
        assert_eq!(filter.url("/audit", Some(("before", "9".into()))), format!("/audit?{query}&before=9"));
    }

    #[test]
    fn lists_are_left_out_unless_they_are_asked_for() {
        assert!(parsed("").filter.without_lists && parsed("lists=").filter.without_lists);
        assert!(!parsed("lists=shown").filter.without_lists);
        assert!(!parsed("lists=shown").is_set(), "nothing is filtered then");
    }

    #[test]
    fn what_is_not_understood_is_named_and_does_not_filter() {
        for query in ["person=x", "action=EXPLODE", "from=yesterday", "to=2026-13-01T00:00"] {
            let filter = parsed(query);
            assert!(filter.error.is_some(), "{query}");
            assert!(!filter.is_set(), "{query}");
        }
        assert!(parsed("from=2026-11-22T18:00&to=2026-11-22T08:00").error.is_some());
    }

    proptest! {
        /// Whatever the address says: what was understood goes back into addresses as itself, and filters the same.
        #[test]
        fn what_was_understood_survives_its_address(
            person in "[0-9]{0,3}|-1|\\PC{0,6}",
            action in "LOGIN|MESSAGE_VIEW|login|\\PC{0,6}",
            from in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?|[-+]?[0-9]{1,7}-12-31T23:59|\\PC{0,16}",
            to in "2026-11-2[0-9]T[0-9]{2}:[0-9]{2}|9999-12-31T23:59:60|\\PC{0,16}",
        ) {
            let query = form::encode([("person", person.as_str()), ("action", &action), ("from", &from), ("to", &to)]);
            let filter = parsed(&query);
            let url = filter.url("/audit", None);
            prop_assert!(url.starts_with("/audit") && url.bytes().all(|byte| byte.is_ascii_graphic()), "{}", url);
            let again = parsed(url.split_once('?').map_or("", |(_, query)| query));
            prop_assert_eq!(&again.filter, &filter.filter);
            prop_assert_eq!(again.url("/audit", None), url);
            let named = [!person.is_empty(), !action.is_empty(), !from.is_empty(), !to.is_empty()];
            let set = &filter.filter;
            let understood = [set.person.is_some(), set.action.is_some(), set.from.is_some(), set.to.is_some()];
            prop_assert!(filter.error.is_some() || named == understood, "silently ignored: {:?} {:?}", named, understood);
        }
    }

    #[test]
    fn no_filter_is_no_query() {
        assert!(!parsed("").is_set());
        assert_eq!(parsed("person=&action=").url("/audit", None), "/audit");
    }
}
