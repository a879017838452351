//! Forms and query strings: `application/x-www-form-urlencoded` pairs, in bounded number.

/// More than any form of this site has.
const MAX_PAIRS: usize = 32;

/// The decoded pairs of a form or a query string.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Decodes bytes; broken UTF-8 becomes replacement characters, pairs past the 32nd are not read.
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
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str())).filter(|value| !value.is_empty())
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

#[cfg(test)]
mod tests {
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
}
