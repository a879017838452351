//! The provider over real HTTP: what a relying party sees when all is well, and when it is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod driver;
mod misbehaviour;
mod sign_in;
