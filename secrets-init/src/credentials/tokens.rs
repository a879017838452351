//! The tokens by which programs are told apart: one file for each, in a folder that is this service's alone. systemd, which
//! may read everything, hands each unit its own.
//!
//! They are made once in the life of the folder, which is in memory: a unit keeps the token that it was started with, and
//! would have a wrong one if this service made new ones whenever it starts again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::config::Program;
use crate::system::fill_random;

/// 256 bits, as hexadecimal digits: the SDK sends a token as the value of a header.
const BYTES: usize = 32;

/// The owner alone may read it.
const MODE: u32 = 0o600;

/// The token of each program.
pub(super) struct Tokens([(Program, SecretString); Program::ALL.len()]);

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("cannot {what} the token {}: {source}; RuntimeDirectory= of the unit makes its folder", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the system gives no random bytes for a token: {0}")]
    Random(getrandom::Error),
}

impl Tokens {
    /// Those in the folder, and new ones for those that are not there or that no other run has finished.
    pub(super) fn keep_or_make(folder: &Path) -> Result<Tokens, TokenError> {
        let [one, two, three] = Program::ALL.map(|program| {
            let path = folder.join(program.name());
            let token = match read(&path)? {
                Some(token) => token,
                None => make(&path)?,
            };
            Ok((program, token))
        });
        Ok(Tokens([one?, two?, three?]))
    }

    /// Whether this is the program's token. Takes the same time whatever is wrong with it.
    pub(super) fn is_of(&self, program: Program, given: &[u8]) -> bool {
        self.0.iter().any(|(whose, token)| *whose == program && token.expose_secret().as_bytes().ct_eq(given).into())
    }
}

/// The token in a file, if it is one that nobody else may have read.
fn read(path: &Path) -> Result<Option<SecretString>, TokenError> {
    let failed = |source| TokenError::File { what: "read", path: path.to_owned(), source };
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let is_private = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 == 0;
    let is_whole = text.len() == 2 * BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
    Ok((is_private && is_whole).then(|| SecretString::from(text.as_str())))
}

/// A new one, in the place of whatever is there.
fn make(path: &Path) -> Result<SecretString, TokenError> {
    let failed = |what| move |source| TokenError::File { what, path: path.to_owned(), source };
    let mut random = Zeroizing::new([0; BYTES]);
    fill_random(random.as_mut()).map_err(TokenError::Random)?;
    let text = Zeroizing::new(hex::encode(random.as_ref()));
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove")(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path).map_err(failed("create"))?;
    file.write_all(text.as_bytes()).map_err(failed("write"))?;
    Ok(SecretString::from(text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(folder: &Path, program: Program) -> String {
        fs::read_to_string(folder.join(program.name())).unwrap()
    }

    #[test]
    fn each_program_has_a_token_of_its_own_that_opens_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens::keep_or_make(folder.path()).unwrap();
        for one in Program::ALL {
            let given = token(folder.path(), one);
            assert_eq!(fs::metadata(folder.path().join(one.name())).unwrap().permissions().mode() & 0o777, MODE);
            for other in Program::ALL {
                assert_eq!(tokens.is_of(other, given.as_bytes()), one == other, "{one} for {other}");
            }
            for wrong in ["", &given[1..], &format!("{given}\n"), &given.to_uppercase()] {
                assert!(!tokens.is_of(one, wrong.as_bytes()), "{wrong}");
            }
        }
    }

    #[test]
    fn tokens_outlive_the_service_and_what_is_none_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        drop(Tokens::keep_or_make(folder.path()).unwrap());
        let before = Program::ALL.map(|program| token(folder.path(), program));
        fs::write(folder.path().join(Program::ALL[1].name()), &before[1][..20]).unwrap();
        let readable = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.path().join(Program::ALL[2].name()), readable).unwrap();
        let tokens = Tokens::keep_or_make(folder.path()).unwrap();
        let after = Program::ALL.map(|program| token(folder.path(), program));
        let kept: Vec<_> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
        assert_eq!(kept, [true, false, false]);
        assert!(Program::ALL.into_iter().zip(&after).all(|(program, token)| tokens.is_of(program, token.as_bytes())));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Tokens::keep_or_make(Path::new("/nonexistent")).err().unwrap().to_string();
        assert!(error.contains("/nonexistent/secrets-init"), "{error}");
    }
}
