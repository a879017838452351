//! Random bytes from the operating system, for tokens, salts and ids.

/// `N` random bytes, fit for secrets.
///
/// # Panics
/// Where the operating system gives no randomness. No token can be made safely then, and going on without one would be
/// worse than stopping; Linux does not fail here once it has booted.
#[allow(clippy::expect_used)]
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
