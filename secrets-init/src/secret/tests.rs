use proptest::prelude::*;

use super::*;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

/// A secret with everything that is required, and this over it.
pub(crate) fn whole(more: &[(&str, &str)]) -> String {
    let mut members = serde_json::Map::new();
    let required = [
        ("APP_SECRET", "an app secret of thirty-two bytes"),
        ("DB_ENCRYPTION_KEY", KEY),
        ("GOOGLE_CLIENT_ID", "client"),
        ("GOOGLE_CLIENT_SECRET", "hush-client"),
    ];
    for (name, value) in required.iter().chain(more) {
        members.insert((*name).to_owned(), (*value).into());
    }
    serde_json::Value::Object(members).to_string()
}

fn errors(text: &str) -> Vec<String> {
    Secret::parse(text, None).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

#[test]
fn a_whole_secret_is_accepted_with_further_names() {
    let secret =
        Secret::parse(&whole(&[("smtp_password", "a$\"\\\n#b "), ("EMPTY", "")]), Some("v-1".to_owned())).unwrap();
    let settings: BTreeMap<_, _> = secret.settings().collect();
    assert_eq!((settings["DB_ENCRYPTION_KEY"], settings["smtp_password"], settings["EMPTY"]), (KEY, "a$\"\\\n#b ", ""));
    assert_eq!(secret.names().count(), 6);
    assert_eq!(secret.version(), Some("v-1"));
}

#[test]
fn every_fault_is_named_at_once() {
    let text =
        r#"{"APP_SECRET": "short", "DB_ENCRYPTION_KEY": "xyz", "GOOGLE_CLIENT_ID": "  ", "a b": "x", "PORT": 8080}"#;
    let found = errors(text);
    assert_eq!(
        found.iter().map(|error| error.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["APP_SECRET", "DB_ENCRYPTION_KEY", "GOOGLE_CLIENT_ID", "a", "PORT", "GOOGLE_CLIENT_SECRET"],
        "{found:#?}"
    );
}

#[test]
fn each_rule_has_its_sentence() {
    for (more, expected) in [
        (("APP_SECRET", "thirty-one bytes are not enough"), "APP_SECRET must be at least 32 bytes"),
        (("APP_SECRET", ""), "APP_SECRET is empty"),
        (("GOOGLE_CLIENT_SECRET", ""), "GOOGLE_CLIENT_SECRET is empty"),
        (("DB_ENCRYPTION_KEY", &KEY[1..]), "DB_ENCRYPTION_KEY must be 64 hexadecimal"),
        (("DB_ENCRYPTION_KEY", &KEY.replace('0', "g")), "DB_ENCRYPTION_KEY must be 64 hexadecimal"),
        (("NUL", "a\0b"), "NUL holds a NUL, a carriage return"),
        (("CR", "a\r\nb"), "CR holds a NUL, a carriage return"),
        (("NONE", "a\u{FFFF}b"), "NONE holds a NUL, a carriage return or a Unicode noncharacter"),
        (("1ST", "x"), "1ST is no name for a variable"),
        (("A-B", "x"), "A-B is no name for a variable"),
        (("", "x"), "the name of entry"),
        (("WARDPOST_LITSEN", "x"), "WARDPOST_LITSEN is no setting of Wardpost; did you mean WARDPOST_LISTEN?"),
        (("WARDPOST_ENV_FILE", "/x"), "WARDPOST_ENV_FILE cannot be set in the env file itself"),
        (("WARDPOST_SECRET_VERSION", "1"), "WARDPOST_SECRET_VERSION cannot be set in the secret"),
    ] {
        let found = errors(&whole(&[more]));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{more:?} gave {found:?}");
    }
}

#[test]
fn a_value_that_is_no_string_is_named_with_its_kind() {
    for (value, kind) in [
        ("8080", "a number"),
        ("-1", "a number"),
        ("1.5", "a number"),
        ("true", "a boolean"),
        ("null", "null"),
        (r#"["hush", {"hush": 1}]"#, "an array"),
        (r#"{"hush": "hush"}"#, "an object"),
    ] {
        let text = whole(&[]).replace(r#""hush-client""#, value);
        assert_eq!(
            errors(&text),
            [format!("GOOGLE_CLIENT_SECRET is {kind}, and must be a string: put it in double quotes")]
        );
    }
}

#[test]
fn what_is_no_object_is_refused_whatever_it_is() {
    for (text, kind) in
        [("[]", "an array"), ("\"hush\"", "a string"), ("1", "a number"), ("null", "null"), ("true", "a boolean")]
    {
        assert_eq!(errors(text), [format!("it is {kind}, and must be a JSON object of names and strings")]);
    }
    for text in ["", "hush", "{\"A\": \"hush", "{} hush", "{'A': 'hush'}", "\u{feff}{}", &"[".repeat(100_000)] {
        let found = errors(text);
        assert!(found.len() == 1 && found[0].starts_with("it is not JSON"), "{found:?}");
    }
}

#[test]
fn a_name_that_comes_twice_is_refused() {
    let text = whole(&[]).replace('}', r#", "APP_SECRET": "another app secret of thirty-two bytes"}"#);
    assert_eq!(errors(&text), ["APP_SECRET is there twice"]);
}

#[test]
fn a_secret_in_the_place_of_a_name_is_not_shown() {
    let found = errors(&whole(&[("hush-hush-hush-hush-hush-hush-hush", "SMTP_PASSWORD")]));
    assert_eq!(
        found,
        ["the name of entry 5 (34 characters long) is no name for a variable: letters, digits and _ make one"]
    );
}

#[test]
fn debug_shows_names_alone_and_a_strange_version_is_none() {
    let secret = Secret::parse(&whole(&[]), Some("x\nA=\"b\"".to_owned())).unwrap();
    assert_eq!(secret.version(), None);
    let shown = format!("{secret:?}");
    assert!(shown.contains("APP_SECRET") && !shown.contains("hush") && !shown.contains(KEY), "{shown}");
}

/// The same without what no env file can hold.
pub(crate) fn writable(text: String) -> String {
    text.chars().filter(|c| !is_unwritable(*c)).collect()
}

proptest! {
    #[test]
    fn every_legal_value_comes_through(value in r#"[^\x00\r]{0,60}"#.prop_map(writable)) {
        let secret = Secret::parse(&whole(&[("EXTRA", &value)]), None).unwrap();
        let extra = secret.settings().find(|(name, _)| *name == "EXTRA").map(|(_, value)| value.to_owned());
        prop_assert_eq!(extra, Some(value));
    }

    #[test]
    fn no_text_makes_it_panic_or_leak(text in r#"([{}\[\]",:]|"[A-C]"|"hush"|hush|\\u00|[^\x00]){0,40}"#) {
        if let Err(errors) = Secret::parse(&text.replace("\"hush\":", "\"A\":"), None) {
            // A name is shown, a value never; "hush" may be a name only by the replacement not having seen a space.
            let named = text.contains("\"hush\"");
            prop_assert!(named || !errors.iter().any(|error| error.contains("hush")), "{errors:?}");
        }
    }
}

/// Secrets as people make them: `corpus/secrets/OUTCOME/NAME`. A value is never repeated, and an error is one line.
#[test]
fn secrets_that_others_wrote_are_taken_or_refused_as_they_should_be() {
    for input in testkit::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/secrets")) {
        let read = Secret::parse(&input.text().replace("$KEY", KEY), None);
        match (input.outcome.as_str(), read) {
            ("taken", Ok(_)) => {}
            ("refused", Err(errors)) => {
                for error in errors {
                    assert!(!error.contains("hush") && !error.contains(KEY), "{}: {error}", input.name);
                    assert!(!error.contains(char::is_control), "{}: {error:?}", input.name);
                }
            }
            (_, read) => panic!("{}/{}: {:?}", input.outcome, input.name, read.err()),
        }
    }
}

#[test]
fn a_reader_is_given_the_names_it_needs_and_a_name_that_is_not_there_is_a_fault() {
    let keys = ["DB_ENCRYPTION_KEY".to_owned()];
    let only = Secret::parse(&whole(&[]), None).unwrap().only(&keys).unwrap();
    assert_eq!(only.names().collect::<Vec<_>>(), keys);
    let found = Secret::parse(&whole(&[]), None).unwrap().only(&["DB_KEY".to_owned()]).unwrap_err();
    assert_eq!(found, ["WARDPOST_ENV_KEYS asks for DB_KEY, which it does not have"]);
}
