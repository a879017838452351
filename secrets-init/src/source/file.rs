//! The secret from a file, for machines without AWS. It must be as private as the env file that is made of it.

use std::path::Path;

use process::env_file::read_private_text;

use super::Fetched;
use crate::advice::Trouble;

pub(super) fn read(path: &Path) -> Result<Fetched, Trouble> {
    match read_private_text(path) {
        Ok(text) => Ok(Fetched { text, version: None }),
        Err(fault) => Err(Trouble::permanent(
            format!("the secret's file {} {fault}", path.display()),
            "WARDPOST_SECRET names the file; it must be there when this program starts, belong to whoever runs it, and have mode 600",
        )),
    }
}
