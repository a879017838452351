//! The ways in which the provider can be told to do wrong. Each is one deviation a relying party must survive, so that a
//! test which scripts it has one cause to look for.

use serde::{Deserialize, Serialize};

/// What the provider does wrong until it is told otherwise. In JSON the names are in snake case: `wrong_nonce`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    /// Everything is as it should be.
    #[default]
    None,
    /// The ID token carries a nonce that nobody sent.
    WrongNonce,
    /// The ID token is meant for another client.
    WrongAudience,
    /// The ID token names another issuer.
    WrongIssuer,
    /// The ID token is signed by a key that is not published, under the id of one that is.
    WrongKey,
    /// The next token is signed by a new key, published from then on: no error, but a client must fetch the keys again.
    UnknownKeyThenRotated,
    /// The ID token ran out an hour ago.
    ExpiredToken,
    /// `email_verified` is false.
    UnverifiedEmail,
    /// The e-mail address and the hosted domain are those of another organisation.
    WrongDomain,
    /// The claim `hd` is absent, as it is for a private account.
    MissingHostedDomain,
    /// The claims `email` and `email_verified` are absent.
    NoEmail,
    /// The ID token says `alg: none` and is not signed.
    AlgNone,
    /// The ID token is signed HS256 with the client secret.
    SymmetricAlg,
    /// The token endpoint says of every code that it was used before.
    ReplayedCode,
    /// The token endpoint answers after 30 seconds.
    SlowToken,
    /// The discovery document comes after 30 seconds.
    SlowDiscovery,
    /// The token endpoint answers 500.
    Token500,
    /// The discovery document is a 500.
    Discovery500,
    /// The key set is a 500.
    Jwks500,
    /// The discovery document is cut off in the middle.
    MalformedDiscovery,
    /// The token endpoint's JSON is cut off in the middle.
    MalformedToken,
    /// Discovery, keys and tokens are 50 MB each, without a Content-Length.
    HugeReply,
    /// The person said no: the browser comes back with `error=access_denied`.
    AccessDenied,
    /// The ID token was issued tomorrow.
    FutureIssuedAt,
}

impl Misbehaviour {
    /// Every one of them, for a test that goes through them all.
    pub const ALL: [Misbehaviour; 24] = [
        Misbehaviour::None,
        Misbehaviour::WrongNonce,
        Misbehaviour::WrongAudience,
        Misbehaviour::WrongIssuer,
        Misbehaviour::WrongKey,
        Misbehaviour::UnknownKeyThenRotated,
        Misbehaviour::ExpiredToken,
        Misbehaviour::UnverifiedEmail,
        Misbehaviour::WrongDomain,
        Misbehaviour::MissingHostedDomain,
        Misbehaviour::NoEmail,
        Misbehaviour::AlgNone,
        Misbehaviour::SymmetricAlg,
        Misbehaviour::ReplayedCode,
        Misbehaviour::SlowToken,
        Misbehaviour::SlowDiscovery,
        Misbehaviour::Token500,
        Misbehaviour::Discovery500,
        Misbehaviour::Jwks500,
        Misbehaviour::MalformedDiscovery,
        Misbehaviour::MalformedToken,
        Misbehaviour::HugeReply,
        Misbehaviour::AccessDenied,
        Misbehaviour::FutureIssuedAt,
    ];
}
