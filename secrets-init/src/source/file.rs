//! The secret from a file, for machines without AWS. It must be as private as the env file that is made of it.

use std::path::Path;

use process::env_file::read_private_text;

use super::Fetched;
use crate::error::FetchError;

pub(super) fn read(path: &Path) -> Result<Fetched, FetchError> {
    match read_private_text(path) {
        Ok(text) => Ok(Fetched { text, version: None }),
        Err(error) => Err(FetchError::permanent(
            format!("the secret's file {} {error}", path.display()),
            "WARDPOST_SECRET names the file; it must be there when this program starts, belong to the user who runs it, and have mode 600",
        )),
    }
}
