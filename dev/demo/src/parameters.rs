//! Form-encoded parameters, as RFC 6749 section 3.1 wants them: none twice, and an empty one counts as absent.

use std::collections::BTreeMap;

use thiserror::Error;

/// The parameters of one request.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

/// A parameter was given twice.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the parameter `{0}` is given more than once")]
pub(crate) struct GivenTwice(String);

impl Parameters {
    /// Reads a query string or a form body.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Parameters, GivenTwice> {
        let mut found = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            if found.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(GivenTwice(name.into_owned()));
            }
        }
        found.retain(|_, value| !value.is_empty());
        Ok(Parameters(found))
    }

    /// The value of `name`, when there is one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every name with its value, in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_given_twice_is_refused() {
        assert_eq!(Parameters::parse(b"state=a&state=b").unwrap_err(), GivenTwice("state".to_owned()));
        assert_eq!(Parameters::parse(b"state=&state=b").unwrap_err(), GivenTwice("state".to_owned()));
    }

    #[test]
    fn an_empty_parameter_counts_as_absent() {
        let parameters = Parameters::parse(b"nonce=&state=x%26y").unwrap();
        assert_eq!(parameters.get("nonce"), None);
        assert_eq!(parameters.iter().collect::<Vec<_>>(), [("state", "x&y")]);
    }
}
