//! What the demo says, and where: to a person on standard output; under a test on standard error, since standard output
//! then carries one line of JSON.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use super::error::DemoError;

/// Says something went wrong.
pub(crate) fn print_err(message: &str) {
    // With standard error gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "demo: {message}");
}

/// The demo's voice.
#[derive(Clone, Copy)]
pub(crate) struct Console {
    for_tests: bool,
}

impl Console {
    pub(crate) fn new(for_tests: bool) -> Console {
        Console { for_tests }
    }

    pub(crate) fn is_for_tests(self) -> bool {
        self.for_tests
    }

    /// One line, or several. A demo goes on when nobody listens any more.
    pub(crate) fn print_out(self, text: &str) {
        self.write(text, "\n");
    }

    /// A sign of life on a terminal, without a new line.
    pub(crate) fn tick(self, text: &str) {
        if !self.for_tests && io::stdout().is_terminal() {
            self.write(text, "");
        }
    }

    fn write(self, text: &str, end: &str) {
        let _ = if self.for_tests {
            write!(io::stderr(), "{text}{end}")
        } else {
            write!(io::stdout(), "{text}{end}").and_then(|()| io::stdout().flush())
        };
    }

    /// For the process that started the demo: one line on standard output, nothing else ever.
    pub(crate) fn announce(self, line: &serde_json::Value) -> io::Result<()> {
        writeln!(io::stdout(), "{line}")?;
        io::stdout().flush()
    }

    /// Asks whether the data in `folder` may go.
    pub(crate) fn may_remove(self, folder: &Path) -> Result<(), DemoError> {
        if !io::stdin().is_terminal() {
            return Err(DemoError::NobodyToAsk(folder.to_owned()));
        }
        self.write(&format!("Remove all data of the demo in {}? [y/N] ", folder.display()), "");
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(DemoError::NotAgreed),
        }
    }
}
