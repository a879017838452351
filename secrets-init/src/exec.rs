//! `--exec`: the command takes this process's place, with the secrets in its environment and nowhere else.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use process::Exit;

use crate::secret::Secret;

/// Runs the command, found as a shell finds it. Gives an exit code back only when that was not possible.
///
/// The environment is this process's own with the secrets over it. What was copied for the kernel ends with this
/// process's memory: at once when the command runs, and at its exit when it does not.
pub(crate) fn replace_process(command: &[OsString], secret: &Secret) -> Exit {
    let Some((program, arguments)) = command.split_first() else {
        return Exit::Usage;
    };
    let name = program.to_string_lossy();
    let version = secret.version().unwrap_or("none");
    tracing::info!(command = %name, version, "running the command with the secrets");
    let error = Command::new(program).args(arguments).envs(secret.variables()).exec();
    tracing::error!(command = %name, %error, "the command cannot be run: is it installed, and executable?");
    Exit::Failed
}
