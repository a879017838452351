//! Which version of the secret the machine runs with: secrets-init writes it into the env file as a comment.

use std::path::PathBuf;

use process::env_file::read_private_text;

/// How the comment begins.
const MARK: &str = "# wardpost secret version ";

/// None where the env file is not this program's to read (a service manager reads it for it), or says nothing.
pub fn of_env_file() -> Option<String> {
    let path = std::env::var_os("WARDPOST_ENV_FILE").filter(|path| !path.is_empty());
    let path = path.map_or_else(|| PathBuf::from("/run/wardpost/env"), PathBuf::from);
    let text = read_private_text(&path).ok()?;
    version(&text)
}

fn version(text: &str) -> Option<String> {
    let version = text.lines().find_map(|line| line.strip_prefix(MARK))?.trim();
    // Whatever else somebody wrote there is no version, and must not stand in a manifest.
    let plain = version.len() <= 100 && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !version.is_empty() && version != "none").then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_of_secrets_init_is_read_and_nothing_else() {
        assert_eq!(version("# Written\n# wardpost secret version ab-12\nA=\"b\"\n"), Some("ab-12".to_owned()));
        assert_eq!(version("# wardpost secret version none\n"), None);
        assert_eq!(version("A=\"b\"\n"), None);
        assert_eq!(version("# wardpost secret version \u{202e}x\n"), None);
    }
}
