//! How systemd and compose read the file that is about to be put in place. Both print a line they do not understand into
//! their logs, secret and all, and both would hand a wrong value to a program without a word; so nothing is renamed into
//! place that they read otherwise than we do. They read more than this, but nothing that [`process::env_file::render`]
//! writes: names at the start of a line, values in double quotes, comment lines.

use std::collections::BTreeMap;

use process::env_file::is_unwritable;
use zeroize::Zeroizing;

/// What a reader makes of a file: values by name, or `None` where it would give an error.
pub(crate) type Reading = Option<BTreeMap<String, Zeroizing<String>>>;

/// As `EnvironmentFile=` of systemd reads it (systemd.exec(5)): in double quotes a backslash escapes `"`, `\`, `` ` `` and
/// `$`, joins lines before a line break, and stands for itself before anything else. Nothing is expanded. Text that systemd
/// does not take for UTF-8 it refuses as a whole.
pub(crate) fn systemd(text: &str) -> Reading {
    if text.contains(is_unwritable) {
        return None;
    }
    read(text, |c, value| match c {
        '\n' => {}
        '"' | '\\' | '`' | '$' => value.push(c),
        _ => value.extend(['\\', c]),
    })
}

/// As the env files of compose are read (its documentation, “Syntax for environment files”): in double quotes `\\`, `\"`
/// and `\$` stand for themselves, `\n`, `\r`, `\t` and their like for control characters, and a bare `$` begins a variable.
pub(crate) fn compose(text: &str) -> Reading {
    let bare_dollar = |text: &str| {
        let mut escaped = false;
        text.chars().any(|c| {
            let bare = c == '$' && !escaped;
            escaped = c == '\\' && !escaped;
            bare
        })
    };
    if text.lines().any(|line| !line.starts_with('#') && bare_dollar(line)) {
        return None;
    }
    read(text, |c, value| match c {
        'n' => value.push('\n'),
        'r' => value.push('\r'),
        't' => value.push('\t'),
        '"' | '\\' | '$' => value.push(c),
        _ => value.extend(['\\', c]),
    })
}

/// The part both have in common; `unescape` is told what came after a backslash.
fn read(text: &str, unescape: impl Fn(char, &mut Zeroizing<String>)) -> Reading {
    let mut settings = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('\n') {
            rest = after;
            continue;
        }
        if rest.starts_with(['#', ';']) {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let (name, quoted) = rest.split_once("=\"")?;
        if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
            return None;
        }
        // Room for all that may come, so that nothing is left behind by a string that grows.
        let mut value = Zeroizing::new(String::with_capacity(quoted.len()));
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => unescape(characters.next()?.1, &mut value),
                (_, c) => value.push(c),
            }
        };
        rest = quoted[end + 1..].strip_prefix('\n')?;
        if settings.insert(name.to_owned(), value).is_some() {
            return None;
        }
    }
    Some(settings)
}

#[cfg(test)]
mod tests {
    use process::env_file::render;
    use proptest::prelude::*;

    use super::*;
    use crate::secret::tests::writable;

    fn value(reading: Reading) -> Option<String> {
        reading.map(|settings| settings["A"].to_string())
    }

    #[test]
    fn each_dialect_has_escapes_of_its_own() {
        for (text, in_systemd, in_compose) in [
            (r#"A="a\\b\"c\$d""#, Some(r#"a\b"c$d"#), Some(r#"a\b"c$d"#)),
            (r#"A="a\nb""#, Some(r"a\nb"), Some("a\nb")),
            (r#"A="a\`b""#, Some("a`b"), Some(r"a\`b")),
            ("A=\"a\\\nb\"", Some("ab"), Some("a\\\nb")),
            (r#"A="a$b""#, Some("a$b"), None),
            (r#"A="a"b"#, None, None),
            (r#"A="a"#, None, None),
            ("\nA =\"a\"", None, None),
            ("A=\"a\"\nA=\"b\"", None, None),
        ] {
            let text = format!("# a $ \"comment\n{text}\n");
            assert_eq!(value(systemd(&text)).as_deref(), in_systemd, "systemd, {text}");
            assert_eq!(value(compose(&text)).as_deref(), in_compose, "compose, {text}");
        }
    }

    proptest! {
        #[test]
        fn what_we_write_is_read_alike_by_both(
            pairs in proptest::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,8}", r#"([\\"$#=;'`\n ntr{}]|[^\x00\r]){0,30}"#.prop_map(writable), 0..6)
        ) {
            let text = render(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
            let expected: BTreeMap<_, _> = pairs.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
            prop_assert_eq!(systemd(&text), Some(expected.clone()));
            prop_assert_eq!(compose(&text), Some(expected));
        }
    }
}
