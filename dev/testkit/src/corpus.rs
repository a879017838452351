//! A corpus: hostile inputs that are kept, a file for each, in folders named after what must come of them.

use std::fs;
use std::path::Path;

/// One input.
#[derive(Debug)]
pub struct Input {
    /// The folder it lies in: what must come of it.
    pub outcome: String,
    /// Its file, to name it when it fails.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Input {
    /// The input as text, where a parser takes nothing else.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_else(|error| panic!("{}/{}: {error}", self.outcome, self.name))
    }

    /// The same without the line end that an editor leaves at the end of a file.
    #[track_caller]
    pub fn line(&self) -> &str {
        self.text().strip_suffix('\n').unwrap_or(self.text())
    }
}

/// All inputs of a corpus folder, `OUTCOME/NAME`, in the order of their names. An empty corpus fails: it would prove nothing.
#[track_caller]
pub fn corpus(folder: impl AsRef<Path>) -> Vec<Input> {
    let folder = folder.as_ref();
    let mut inputs = Vec::new();
    for outcome in sorted(folder) {
        for file in sorted(&folder.join(&outcome)) {
            let path = folder.join(&outcome).join(&file);
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            inputs.push(Input { outcome: outcome.clone(), name: file, bytes });
        }
    }
    assert!(!inputs.is_empty(), "{} has no inputs", folder.display());
    inputs
}

#[track_caller]
fn sorted(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect();
    names.sort();
    names
}
