//! Who runs a command, for the audit log.

/// The name of the user, and who became it by sudo.
pub(crate) fn operator() -> String {
    let uid = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    match std::env::var("SUDO_USER") {
        Ok(sudo) if !sudo.is_empty() && sudo != name => format!("{name} (sudo by {sudo})"),
        _ => name,
    }
}
