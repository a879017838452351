//! A small OpenID provider over real HTTP, for `make demo` and for tests. It is never part of a release.
//!
//! It stands where Google stands in production and keeps the same rules (authorization code, PKCE, RS256, rotating
//! keys), so that the site under it runs unchanged. It has no passwords: anyone who reaches it picks a person. That is why it
//! listens on loopback only. What a real provider must never do, a test can make it do: see [`Misbehaviour`].
//!
//! Where to look: `provider.rs` has the table of endpoints, `authorize.rs` and `token_endpoint.rs` the two halves of a
//! sign-in, `id_token.rs` what is signed, `control.rs` how a test talks to it from outside.

mod authorize;
mod control;
mod flood;
mod grants;
mod id_token;
mod keys;
mod misbehaviour;
mod page;
mod parameters;
mod people;
mod provider;
mod reply;
mod state;
mod token_endpoint;

pub use misbehaviour::Misbehaviour;
pub use people::{DemoPerson, UnknownPerson};
pub use provider::{Provider, ProviderOptions};
pub use state::Requests;
