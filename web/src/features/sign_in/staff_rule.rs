//! Who is staff: decided from a verified account alone, at every sign-in, and closed by default.

use std::fmt;

/// Google puts the organisation that manages an account into `hd`; its consumer accounts can carry any address.
const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// Which accounts may sign in. There is always at least one domain or address in it.
#[derive(Debug)]
pub struct StaffRule {
    domains: Vec<String>,
    emails: Vec<String>,
}

/// What an identity provider has vouched for, as far as the rule looks at it.
#[derive(Debug)]
pub struct Account<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// The address of the account.
    pub email: &'a str,
    /// Whether the provider has checked that the address belongs to the person.
    pub email_verified: bool,
    /// Google's `hd`: the organisation that manages the account.
    pub hosted_domain: Option<&'a str>,
}

/// Why an account is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStaff {
    /// The provider does not vouch for the address.
    UnverifiedEmail,
    /// Neither the address nor its domain is on the list.
    NotListed,
    /// The address is in the domain, but the organisation does not manage the account.
    NotManaged,
}

impl NotStaff {
    /// The word for the audit log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnverifiedEmail => "unverified_email",
            Self::NotListed => "not_staff",
            Self::NotManaged => "hosted_domain",
        }
    }
}

impl fmt::Display for NotStaff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnverifiedEmail => "The provider has not verified this e-mail address yet. Verify it there, then sign in again.",
            Self::NotListed => "This account is not on the list of staff. Sign in with your work account, or ask the person who runs Wardpost at your clinic.",
            Self::NotManaged => "This account uses a work address, but your clinic does not manage it. Sign in with the account that your clinic gave you.",
        })
    }
}

impl StaffRule {
    /// A rule from lists of lower-case domains and addresses; None when both are empty, since nobody could sign in.
    pub fn new(domains: Vec<String>, emails: Vec<String>) -> Option<Self> {
        (!domains.is_empty() || !emails.is_empty()).then_some(Self { domains, emails })
    }

    /// Ok for staff.
    pub fn check(&self, account: &Account<'_>) -> Result<(), NotStaff> {
        if !account.email_verified {
            return Err(NotStaff::UnverifiedEmail);
        }
        // Of other alphabets' letters some become Latin ones in lower case (the sign of the kelvin does): their mailboxes are
        // other people's.
        let email = account.email.to_ascii_lowercase();
        let listed = |domain: &str| self.domains.iter().any(|known| known == domain);
        match email.rsplit_once('@') {
            // Also where the address is listed: a consumer's account can carry an address of the domain.
            Some((name, domain)) if !name.is_empty() && listed(domain) => {}
            _ if self.emails.contains(&email) => return Ok(()),
            _ => return Err(NotStaff::NotListed),
        }
        match account.hosted_domain {
            Some(hosted) if listed(&hosted.to_ascii_lowercase()) => Ok(()),
            None if account.issuer != GOOGLE_ISSUER => Ok(()),
            _ => Err(NotStaff::NotManaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule() -> StaffRule {
        StaffRule::new(vec!["clinic.example".into()], vec!["locum@mail.example".into()]).unwrap()
    }

    fn account(email: &str) -> Account<'_> {
        Account { issuer: GOOGLE_ISSUER, email, email_verified: true, hosted_domain: Some("clinic.example") }
    }

    #[test]
    fn a_rule_that_lets_nobody_in_cannot_be_made() {
        assert!(StaffRule::new(vec![], vec![]).is_none());
    }

    #[test]
    fn the_domain_and_the_listed_address_are_staff_whatever_their_case() {
        assert_eq!(rule().check(&account("Amina@Clinic.Example")), Ok(()));
        let locum = Account { hosted_domain: None, ..account("Locum@mail.example") };
        assert_eq!(rule().check(&locum), Ok(()));
    }

    #[test]
    fn lookalikes_are_not_staff() {
        for email in [
            "a@evilclinic.example",
            "a@clinic.example.evil.example",
            "clinic.example",
            "@clinic.example",
            "a@mail.example",
            "a@clinic.example@evil.example",
            "a@clinic.example\u{202E}",
            "a@cl\u{131}nic.example",
            "a@cl\u{130}nic.example",
        ] {
            assert_eq!(rule().check(&account(email)), Err(NotStaff::NotListed), "{email}");
        }
    }

    #[test]
    fn a_letter_of_another_alphabet_is_not_the_latin_one_that_it_resembles() {
        let rule = StaffRule::new(vec!["klinik.example".into()], vec!["kim@mail.example".into()]).unwrap();
        for email in ["\u{212A}im@mail.example", "a@\u{212A}linik.example"] {
            let account = Account { hosted_domain: Some("klinik.example"), ..account(email) };
            assert_eq!(rule.check(&account), Err(NotStaff::NotListed), "{email}");
        }
        let hosted = Account { hosted_domain: Some("\u{212A}linik.example"), ..account("a@klinik.example") };
        assert_eq!(rule.check(&hosted), Err(NotStaff::NotManaged));
    }

    proptest! {
        /// Written down another way: verified, and either one of the addresses, or of one of the domains and managed by it.
        #[test]
        fn the_rule_is_that_of_its_sentence(
            email in "(a|locum|Locum)?@?(clinic|Clinic|mail|evil|\u{212A}|\\.|@){1,4}\\.(example|EXAMPLE)|\\PC{0,20}",
            verified: bool,
            hd in proptest::option::of("(C|c)linic\\.example|mail\\.example|\\PC{0,10}"),
            google: bool,
        ) {
            let issuer = if google { GOOGLE_ISSUER } else { "https://id.clinic.example" };
            let listed = email.eq_ignore_ascii_case("locum@mail.example") || email.eq_ignore_ascii_case("a@evil.example");
            let at = email.rfind('@');
            let of_domain = at.is_some_and(|at| at > 0 && email[at + 1..].eq_ignore_ascii_case("clinic.example"));
            let managed = match &hd {
                Some(hd) => hd.eq_ignore_ascii_case("clinic.example"),
                None => !google,
            };
            let account = Account { issuer, email: &email, email_verified: verified, hosted_domain: hd.as_deref() };
            let emails = ["locum@mail.example", "a@evil.example", "a@clinic.example"].map(str::to_owned).to_vec();
            let rule = StaffRule::new(vec!["clinic.example".into()], emails).unwrap();
            prop_assert_eq!(rule.check(&account).is_ok(), verified && (listed || of_domain && managed));
        }
    }

    #[test]
    fn an_unverified_address_is_refused_before_anything_else() {
        for email in ["a@clinic.example", "locum@mail.example"] {
            let account = Account { email_verified: false, ..account(email) };
            assert_eq!(rule().check(&account), Err(NotStaff::UnverifiedEmail));
        }
    }

    #[test]
    fn an_address_on_the_list_does_not_spare_the_organisations_word_within_its_domain() {
        let rule = StaffRule::new(vec!["clinic.example".into()], vec!["locum@clinic.example".into()]).unwrap();
        let consumer = Account { hosted_domain: None, ..account("locum@clinic.example") };
        assert_eq!(rule.check(&consumer), Err(NotStaff::NotManaged));
        assert_eq!(rule.check(&account("locum@clinic.example")), Ok(()));
    }

    #[test]
    fn google_must_say_that_the_organisation_manages_the_account() {
        let unmanaged = Account { hosted_domain: None, ..account("a@clinic.example") };
        assert_eq!(rule().check(&unmanaged), Err(NotStaff::NotManaged));
        let other = Account { hosted_domain: Some("elsewhere.example"), ..account("a@clinic.example") };
        assert_eq!(rule().check(&other), Err(NotStaff::NotManaged));
        let own_provider = Account { issuer: "https://id.clinic.example", ..unmanaged };
        assert_eq!(rule().check(&own_provider), Ok(()));
    }
}
