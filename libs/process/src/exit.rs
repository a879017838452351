//! The exit codes of all programs. A supervisor decides by them: only some failures are worth starting again for.

use std::process::{ExitCode, Termination};

/// How a program ended. The numbers above 1 are those of sysexits.h, which systemd shows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The work is done.
    Done = 0,
    /// The work failed, or found what it was asked to look for: a broken chain, a backup that does not restore.
    Failed = 1,
    /// The command line was not understood.
    Usage = 64,
    /// A service this program needs does not answer. Trying again later may help.
    Unavailable = 69,
    /// The settings are wrong. Trying again without changing them does not help.
    Configuration = 78,
}

impl Exit {
    /// The number the operating system is given.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_documented_ones() {
        let codes = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Unavailable, Exit::Configuration].map(Exit::code);
        assert_eq!(codes, [0, 1, 64, 69, 78]);
    }
}
