//! What an identity provider says about a person, before it is stored, logged and shown: a name, an address, an identifier.
//!
//! The provider is trusted to know who somebody is, and not to have looked at every character that people may give
//! themselves for a name.

use store::is_visible;

/// Longer than any name; the rest is cut off.
const LONGEST_NAME: usize = 120;
/// RFC 5321: a path has 256 octets, two of them brackets.
const LONGEST_ADDRESS: usize = 254;
/// OpenID Connect Core section 2: `sub` has at most 255 ASCII characters.
const LONGEST_SUBJECT: usize = 255;
/// More marks on one letter than any language has (Unicode Technical Standard 39 names four) cover what stands above it.
const MOST_MARKS: usize = 4;

/// A name fit to stand in a line among others: spaces are single, controls, line ends, invisible characters and directions
/// are gone, marks in a row are few, its length is bounded. None where nothing is left to see.
pub(super) fn display_name(claim: &str) -> Option<String> {
    let mut name = String::new();
    let (mut count, mut marks) = (0, 0);
    for c in claim.chars() {
        let c = if c.is_whitespace() || c.is_control() { ' ' } else { c };
        if is_unfit_for_a_name(c) || c == ' ' && (name.is_empty() || name.ends_with(' ')) {
            continue;
        }
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if marks > MOST_MARKS {
            continue;
        }
        name.push(c);
        count += 1;
        if count == LONGEST_NAME {
            break;
        }
    }
    let name = name.trim_end();
    is_visible(name).then(|| name.to_owned())
}

/// Whether a claim can be an e-mail address, as far as it matters here: one line, of which every character can be seen,
/// with a name and a domain.
pub(super) fn is_address(claim: &str) -> bool {
    let fits = claim.len() <= LONGEST_ADDRESS && claim.chars().all(is_visible_everywhere);
    fits && claim.rsplit_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty())
}

/// Whether a claim can be a `sub`.
pub(super) fn is_subject(claim: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&claim.len()) && claim.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn is_visible_everywhere(c: char) -> bool {
    is_visible(c.encode_utf8(&mut [0; 4]))
}

/// Joiners belong to names in many languages, selectors to the characters of Japanese ones; all else that cannot be seen
/// serves to look like somebody else.
fn is_unfit_for_a_name(c: char) -> bool {
    let needed = matches!(c, ' ' | '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}');
    !needed && !is_visible_everywhere(c)
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}' | '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{E0100}'..='\u{E01EF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_kept_and_what_is_no_part_of_one_is_not() {
        for (claim, name) in [
            ("Amina Diallo", "Amina Diallo"),
            ("  Nguyễn\u{a0}Thị  Hường\n", "Nguyễn Thị Hường"),
            ("فاطمة الزهراء", "فاطمة الزهراء"),
            ("मुक्\u{200D}ता", "मुक्\u{200D}ता"),
            ("葛\u{E0100}城", "葛\u{E0100}城"),
            ("Bruno\u{202E} Keller\u{2066}", "Bruno Keller"),
            ("Bru\u{200B}no\u{3164}", "Bruno"),
            ("Eve\r\nlevel=ERROR\u{1b}[2J\u{9b}", "Eve level=ERROR [2J"),
            ("Line\u{2028}two", "Line two"),
        ] {
            assert_eq!(display_name(claim).as_deref(), Some(name), "{claim:?}");
        }
        for claim in ["", " \n", "\u{200B}\u{202E}", "\u{3164}", "\u{200D}"] {
            assert_eq!(display_name(claim), None, "{claim:?}");
        }
        assert_eq!(display_name(&"x".repeat(500)).unwrap().len(), LONGEST_NAME);
        assert_eq!(display_name(&format!("e{}x", "\u{301}".repeat(50))).unwrap(), format!("e{}x", "\u{301}".repeat(4)));
    }

    #[test]
    fn an_address_has_two_parts_and_can_be_seen() {
        for good in ["amina@clinic.example", "o'hara+ward@clinic.example", "jürgen@klinik.example", "\"a@b\"@c.example"]
        {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "clinic.example",
            "a b@c.example",
            "a@c.example\n",
            "a\u{202E}@c.example",
            "a\u{200B}@c.example",
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
        assert!(!is_address(&format!("{}@c.example", "x".repeat(260))));
    }

    #[test]
    fn a_subject_is_short_and_plain() {
        assert!(is_subject("110169484474386276334"));
        assert!(is_subject(&"x".repeat(255)));
        for bad in ["", "a\nb", "ä", "\u{7f}", &"x".repeat(256)] {
            assert!(!is_subject(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_bounded_line_and_a_name_already(claim in any::<String>()) {
            let Some(name) = display_name(&claim) else { return Ok(()) };
            prop_assert!(is_visible(&name) && name.chars().count() <= LONGEST_NAME);
            let unfit = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!name.contains(unfit));
            prop_assert_eq!(display_name(&name), Some(name.clone()));
        }

        #[test]
        fn an_address_is_one_visible_line(claim in "\\PC{0,20}@?\\PC{0,20}|.{0,30}@.{0,30}") {
            if is_address(&claim) {
                prop_assert!(!claim.chars().any(|c| c.is_whitespace() || c.is_control()));
                prop_assert!(claim.contains('@'));
            }
        }
    }
}
