//! The filter of the audit page: in the address, so that it can be shared, paged and exported.

use chrono::{DateTime, Days, NaiveDateTime, TimeZone, Utc};
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
    /// The `message` field as it goes back into the form.
    pub message: String,
    /// What was not understood. Then the page shows no rows, and nothing is exported.
    pub error: Option<String>,
}

/// Reads `person`, `message`, `action`, `from`, `to` and `lists`. The minute named by `to` is included; mere looks are left out
/// unless `lists` is "shown". A message may be written `#7`.
pub fn parse(query: &Form) -> ParsedFilter {
    let mut error = None;
    let mut wrong = |text: &str| {
        error.get_or_insert_with(|| text.to_owned());
    };
    let person = query
        .get("person")
        .and_then(|text| text.parse().inspect_err(|_| wrong("The person in the address is not one of ours.")).ok());
    let message = query.get("message").map(|text| text.trim().trim_start_matches('#')).and_then(|text| {
        text.parse().inspect_err(|_| wrong("“Message” is not the number of a message, such as 7.")).ok()
    });
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
            message,
            without_looks: query.get("lists") != Some("shown"),
        },
        from: query.text("from").to_owned(),
        to: query.text("to").to_owned(),
        message: query.text("message").to_owned(),
        error,
    }
}

impl ParsedFilter {
    /// Whether anything is filtered at all, but for mere looks.
    pub fn is_set(&self) -> bool {
        let filter = &self.filter;
        let span = filter.from.is_some() || filter.to.is_some();
        span || filter.person.is_some() || filter.message.is_some() || filter.action.is_some()
    }

    /// The address of the page with this filter, but for these days before today, in UTC: the first and the last.
    pub fn days_url(&self, now: Timestamp, first: u64, last: u64) -> String {
        let day =
            |before: u64| DateTime::<Utc>::from_timestamp_millis(now.as_millis())?.checked_sub_days(Days::new(before));
        let field = |before, clock: &str| day(before).map(|day| format!("{}T{clock}", day.format("%Y-%m-%d")));
        let (from, to) = (field(first, "00:00").unwrap_or_default(), field(last, "23:59").unwrap_or_default());
        let pairs = self.pairs(&from, &to);
        let query = form::encode(pairs.iter().map(|(name, value)| (*name, value.as_str())));
        format!("/audit?{query}")
    }

    /// A path with this filter, and one more pair where there is one.
    pub fn url(&self, path: &str, extra: Option<(&str, String)>) -> String {
        let from = self.filter.from.map_or("", |_| self.from.as_str());
        let to = self.filter.to.map_or("", |_| self.to.as_str());
        let mut pairs = self.pairs(from, to);
        pairs.extend(extra);
        let query = form::encode(pairs.iter().map(|(name, value)| (*name, value.as_str())));
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// What is set, with this span of time.
    fn pairs<'p>(&self, from: &str, to: &str) -> Vec<(&'p str, String)> {
        let filter = &self.filter;
        let pairs = [
            ("person", filter.person.map(|person| person.to_string())),
            ("message", filter.message.map(|message| message.to_string())),
            ("action", filter.action.map(|action| action.as_str().to_owned())),
            ("from", Some(from.to_owned()).filter(|from| !from.is_empty())),
            ("to", Some(to.to_owned()).filter(|to| !to.is_empty())),
            ("lists", (!filter.without_looks).then(|| "shown".to_owned())),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
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
        let query = "person=3&message=7&action=MESSAGE_VIEW&from=2026-11-22T08%3A00&to=2026-11-22T18%3A00&lists=shown";
        let filter = parsed(query);
        assert_eq!(filter.error, None);
        assert_eq!(filter.filter.from.unwrap().to_rfc3339(), "2026-11-22T08:00:00.000Z");
        assert_eq!(filter.filter.to.unwrap().to_rfc3339(), "2026-11-22T18:01:00.000Z");
        assert_eq!(filter.url("/audit", None), format!("/audit?{query}"));
        assert_eq!(filter.url("/audit", Some(("before", "9".into()))), format!("/audit?{query}&before=9"));
    }

    #[test]
    fn lists_are_left_out_unless_they_are_asked_for() {
        assert!(parsed("").filter.without_looks && parsed("lists=").filter.without_looks);
        assert!(!parsed("lists=shown").filter.without_looks);
        assert!(!parsed("lists=shown").is_set(), "nothing is filtered then");
    }

    #[test]
    fn what_is_not_understood_is_named_and_does_not_filter() {
        for query in ["person=x", "message=x", "message=0", "action=EXPLODE", "from=yesterday", "to=2026-13-01T00:00"] {
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
    fn days_are_whole_and_keep_the_rest_of_the_filter() {
        let now = Timestamp::from_millis(1_795_381_805_123);
        let days = |first, last| parsed("message=%237&from=2020-01-01T00:00").days_url(now, first, last);
        assert_eq!(days(0, 0), "/audit?message=7&from=2026-11-22T00%3A00&to=2026-11-22T23%3A59");
        assert_eq!(days(1, 1), "/audit?message=7&from=2026-11-21T00%3A00&to=2026-11-21T23%3A59");
        assert_eq!(days(6, 0), "/audit?message=7&from=2026-11-16T00%3A00&to=2026-11-22T23%3A59");
    }

    #[test]
    fn no_filter_is_no_query() {
        assert!(!parsed("").is_set());
        assert_eq!(parsed("person=&action=").url("/audit", None), "/audit");
    }
}
