//! Forms and query strings: `application/x-www-form-urlencoded` pairs, in bounded number.

/// More than any form of this site has: one for a message names each person and team that it is for,
/// that of a template has two for each of its rows.
const MAX_PAIRS: usize = 256;

/// The decoded pairs of a form or a query string.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Decodes bytes; broken UTF-8 becomes replacement characters, pairs past the 256th are not read.
    pub fn parse(bytes: &[u8]) -> Self {
        Self(
            form_urlencoded::parse(bytes)
                .take(MAX_PAIRS)
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The first value of a name. Empty fields count as not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// The first value of a name, which may be empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// All values of a name, in the order of the form. Empty ones count as not there.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The value of a text field as it was typed; empty when it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// Whether there is no pair at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it stands in a query string.
    pub fn encode(&self) -> String {
        encode(self.0.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }
}

/// A query string from pairs.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A comma-separated list of names, which are compared in lower case. An error where one of them is empty.
pub fn comma_separated(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = text.split(',').map(|name| name.trim().to_lowercase()).collect();
    if names.iter().any(String::is_empty) {
        return Err("has an empty entry between its commas".to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_decoded_and_the_first_of_a_name_counts() {
        let form = Form::parse(b"subject=a+b%26&subject=second&empty=&body=%F0%9F%A9%BA");
        assert_eq!(form.get("subject"), Some("a b&"));
        assert_eq!(form.get("empty"), None);
        assert_eq!(form.text("body"), "🩺");
        assert_eq!(form.text("missing"), "");
    }

    #[test]
    fn a_name_that_comes_again_has_all_its_values() {
        let form = Form::parse(b"person=3&team=1&person=&person=7");
        assert_eq!(form.all("person").collect::<Vec<_>>(), ["3", "7"]);
        assert_eq!(form.all("nobody").count(), 0);
    }

    #[test]
    fn the_number_of_pairs_is_bounded() {
        let form = Form::parse("x=1&".repeat(10_000).as_bytes());
        assert_eq!(form.0.len(), MAX_PAIRS);
    }

    #[test]
    fn encoding_and_parsing_are_inverse() {
        let form = Form::parse(encode([("person", "7"), ("from", "2026-11-22T10:00")]).as_bytes());
        assert_eq!(form.get("from"), Some("2026-11-22T10:00"));
        assert_eq!(form.encode(), "person=7&from=2026-11-22T10%3A00");
    }

    /// By the letter of the URL standard, one byte after the other.
    fn decoded(text: &[u8]) -> String {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((&byte, after)) = rest.split_first() {
            let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok()).filter(|_| byte == b'%');
            let decoded = digits
                .filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|two| u8::from_str_radix(two, 16).ok());
            rest = if decoded.is_some() { &after[2..] } else { after };
            bytes.push(decoded.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn any_form() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"&".to_vec()),
            Just(b"=".to_vec()),
            Just(b"%".to_vec()),
            Just(b"%0d%0a".to_vec()),
            Just(b"%fF".to_vec()),
            Just(b"+".to_vec()),
            Just(b"csrf".to_vec()),
            Just(b";".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(part, 0..400).prop_map(|parts| parts.concat())
    }

    proptest! {
        /// The pairs are those of the standard, the first 256 of them.
        #[test]
        fn a_form_is_read_as_the_standard_says(bytes in any_form()) {
            let expected: Vec<_> = bytes
                .split(|byte| *byte == b'&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| match pair.iter().position(|byte| *byte == b'=') {
                    Some(at) => (decoded(&pair[..at]), decoded(&pair[at + 1..])),
                    None => (decoded(pair), String::new()),
                })
                .take(MAX_PAIRS)
                .collect();
            prop_assert_eq!(Form::parse(&bytes).0, expected);
        }

        /// What goes into an address again is plain, and reads as the same.
        #[test]
        fn a_form_survives_its_text(bytes in any_form()) {
            let form = Form::parse(&bytes);
            let text = form.encode();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
            prop_assert_eq!(Form::parse(text.as_bytes()).0, form.0);
        }
    }
}
