//! One entry of WARDPOST_STAFF_DOMAINS or WARDPOST_STAFF_EMAILS: taken if some account's address can match it.
//!
//! An entry that matches nobody is no harm to anybody but the staff, who cannot sign in, and the operator, who has no word
//! about why. So what people type instead of a domain is refused with what to write.
//!
//! A name without a dot is refused too. Internet mail has no such domains, and one was forgotten far more likely than meant:
//! a provider of one's own that gives out addresses like `amina@clinic` has to give them a domain.

use super::account_text::is_address;

/// A label of a domain name has at most 63 octets (RFC 1035 section 2.3.4).
const LONGEST_LABEL: usize = 63;
/// A domain name has at most 253 characters when written with dots (RFC 1035 section 2.3.4: 255 octets, two of them around it).
const LONGEST_DOMAIN: usize = 253;
const EXAMPLE: &str = "clinic.example";

/// A domain such as `clinic.example`, from an entry in lower case. The error says what to write.
pub fn domain(entry: String) -> Result<String, String> {
    if is_domain(&entry) {
        return Ok(entry);
    }
    if entry.contains(char::is_whitespace) {
        return Err(format!("`{entry}` has a space in it: put commas between domains"));
    }
    Err(match entry.rsplit_once('@') {
        Some((name, meant)) if !name.is_empty() && is_domain(meant) => format!(
            "`{entry}` is an address: write it into WARDPOST_STAFF_EMAILS, or write {meant} here for all who have an address there"
        ),
        _ if entry.starts_with("*.") => {
            let meant = domain_within(&entry).unwrap_or(EXAMPLE);
            format!(
                "`{entry}` matches no address: write {meant}, and each domain below it, such as mail.{meant}, as an entry of its own"
            )
        }
        _ => match domain_within(&entry) {
            Some(meant) => format!("`{entry}` matches no address: write {meant}"),
            None if is_domain(&format!("{entry}.example")) => {
                format!("`{entry}` has no dot: write the whole domain, such as {entry}.example")
            }
            None => format!("`{entry}` is not a domain such as {EXAMPLE}"),
        },
    })
}

/// An address such as `locum@mail.example`, from an entry in lower case. The error says what to write.
pub fn address(entry: String) -> Result<String, String> {
    if entry.contains(char::is_whitespace) {
        return Err(format!("`{entry}` has a space in it: put commas between addresses, and write them without names"));
    }
    match entry.rsplit_once('@') {
        Some((name, at)) if is_address(&entry) && !name.contains(['<', ':']) => match domain_within(at) {
            Some(meant) if meant == at => Ok(entry),
            Some(meant) => Err(format!("`{entry}` matches no address: write {name}@{meant}")),
            None => {
                Err(format!("`{entry}` names no whole domain after the @: write an address such as {name}@{EXAMPLE}"))
            }
        },
        _ if is_domain(entry.trim_start_matches('@')) => {
            Err(format!("`{entry}` is a domain: write {} into WARDPOST_STAFF_DOMAINS", entry.trim_start_matches('@')))
        }
        _ => Err(format!("`{entry}` is not an address such as amina@{EXAMPLE}")),
    }
}

/// Two labels or more, as addresses have them. Letters of any alphabet: some providers write such domains as people do,
/// others in ASCII (`xn--`), and both compare as they are.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || c.is_ascii_alphanumeric() || !c.is_ascii() && c.is_alphanumeric())
    };
    text.len() <= LONGEST_DOMAIN && text.contains('.') && text.split('.').all(is_label)
}

/// The domain in what somebody typed around it: an address on the web, an `@` or dots before it, a dot or a bracket after it.
fn domain_within(entry: &str) -> Option<&str> {
    let rest = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#', ':']).next().unwrap_or(rest);
    let rest = rest.trim_matches(|c: char| !c.is_alphanumeric());
    is_domain(rest).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::features::sign_in::staff_rule::{Account, StaffRule};

    fn refused(parse: fn(String) -> Result<String, String>, entry: &str) -> String {
        parse(entry.to_owned()).expect_err(entry)
    }

    #[test]
    fn domains_and_addresses_are_taken_as_they_are() {
        for entry in [
            "clinic.example",
            "mail.clinic.example",
            "st-anna.example",
            "xn--kln-sna.example",
            "köln.example",
            "1a.example",
        ] {
            assert_eq!(domain(entry.to_owned()).as_deref(), Ok(entry));
            let address_there = format!("dr.a+b@{entry}");
            assert_eq!(address(address_there.clone()), Ok(address_there));
        }
    }

    #[test]
    fn what_people_type_for_a_domain_is_refused_with_what_to_write() {
        for entry in [
            "@clinic.example",
            ".clinic.example",
            "clinic.example.",
            "*@clinic.example.",
            "https://clinic.example",
            "https://clinic.example/staff",
            "http://clinic.example:8080",
            "clinic.example/",
            "<clinic.example>",
            "\"clinic.example\"",
        ] {
            let error = refused(domain, entry);
            assert!(error.ends_with(": write clinic.example"), "{error}");
        }
        assert!(refused(domain, "*.clinic.example").contains("write clinic.example, and each domain below it"));
        assert!(refused(domain, "amina@clinic.example").contains("WARDPOST_STAFF_EMAILS"));
        assert!(refused(domain, "clinic.example mail.example").contains("commas"));
        for single in ["clinic", "localhost"] {
            assert!(refused(domain, single).contains(&format!("{single}.example")), "{single}");
        }
        for nonsense in ["@", ".", "-", "*", "a..b", "a-.example", "a_b", "a;b.example", "@clinic"] {
            assert!(refused(domain, nonsense).contains("clinic.example"), "{nonsense}");
        }
    }

    #[test]
    fn what_people_type_for_an_address_is_refused_with_what_to_write() {
        for entry in ["@clinic.example", "clinic.example"] {
            assert!(refused(address, entry).ends_with("write clinic.example into WARDPOST_STAFF_DOMAINS"), "{entry}");
        }
        assert!(refused(address, "amina@clinic.example.").ends_with("write amina@clinic.example"));
        assert!(refused(address, "amina diallo <amina@clinic.example>").contains("without names"));
        for nonsense in
            ["amina", "amina@", "@", "amina@clinic", "<amina@clinic.example>", "mailto:amina@clinic.example"]
        {
            assert!(refused(address, nonsense).contains("amina@clinic.example"), "{nonsense}");
        }
    }

    proptest! {
        /// Whatever is taken lets somebody in, and whatever is refused is named.
        #[test]
        fn an_entry_that_is_taken_matches_an_address(entry in "[@.*a-c:/ -]{1,12}|\\PC{1,12}|[a-z]{1,9}\\.[a-z]{1,9}") {
            let entry = entry.to_lowercase();
            let lets_in = |rule: StaffRule, email: &str| {
                let account = Account { issuer: "https://id.example", email, email_verified: true, hosted_domain: None };
                rule.check(&account).is_ok()
            };
            match domain(entry.clone()) {
                Ok(taken) => {
                    let rule = StaffRule::new(vec![taken.clone()], vec![]).unwrap();
                    let email = format!("amina@{taken}");
                    prop_assert!(lets_in(rule, &email), "{}", email);
                }
                Err(error) => prop_assert!(error.contains(&entry)),
            }
            match address(entry.clone()) {
                Ok(taken) => {
                    let rule = StaffRule::new(vec![], vec![taken.clone()]).unwrap();
                    prop_assert!(lets_in(rule, &taken), "{}", taken);
                }
                Err(error) => prop_assert!(error.contains(&entry)),
            }
        }
    }
}
