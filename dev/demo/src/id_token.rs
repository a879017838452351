//! What the provider says about a person, and how it is signed: rightly, or wrong in exactly one way.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::grants::Grant;
use crate::misbehaviour::Misbehaviour;
use crate::state::State;

/// How long an ID token is good for; Google's are good for an hour.
const LIFETIME: TimeDelta = TimeDelta::hours(1);

/// A signed ID token for `grant`, with all the misbehaviour that was asked for.
pub(crate) async fn mint(state: &State, grant: &Grant, access_token: &str) -> io::Result<String> {
    let misbehaviour = state.misbehaviour();
    let claims = claims(&state.issuer, &state.client.id, grant, access_token, Utc::now(), misbehaviour);
    let payload = Value::Object(claims);
    match misbehaviour {
        Misbehaviour::AlgNone => Ok(format!("{}.", unsigned(&json!({"alg": "none", "typ": "JWT"}), &payload))),
        Misbehaviour::SymmetricAlg => {
            let input = unsigned(&json!({"alg": "HS256", "typ": "JWT"}), &payload);
            let mut mac = Hmac::<Sha256>::new_from_slice(state.client.secret.as_bytes()).map_err(io::Error::other)?;
            mac.update(input.as_bytes());
            let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
            Ok(format!("{input}.{signature}"))
        }
        _ => {
            let (key, id) = state.signing_key().await?;
            let input = unsigned(&json!({"alg": "RS256", "typ": "JWT", "kid": id}), &payload);
            let signature = key.sign(input.as_bytes()).map_err(io::Error::other)?;
            Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
        }
    }
}

/// The first two parts of a JWT in compact form, which are what is signed.
fn unsigned(header: &Value, payload: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(payload))
}

fn claims(
    issuer: &str,
    client_id: &str,
    grant: &Grant,
    access_token: &str,
    now: DateTime<Utc>,
    misbehaviour: Misbehaviour,
) -> Map<String, Value> {
    let person = &grant.person;
    let issuer = if misbehaviour == Misbehaviour::WrongIssuer { "https://issuer.elsewhere.example" } else { issuer };
    let audience = if misbehaviour == Misbehaviour::WrongAudience { "another-client" } else { client_id };
    let issued = match misbehaviour {
        Misbehaviour::ExpiredToken => now - LIFETIME * 2,
        Misbehaviour::FutureIssuedAt => now + TimeDelta::days(1),
        _ => now,
    };
    // OpenID Connect Core section 3.1.3.6: the left half of the hash over the access token.
    let access_token_hash = Sha256::digest(access_token);
    let mut claims = Map::new();
    let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    claim("iss", issuer.into());
    claim("aud", audience.into());
    claim("azp", audience.into());
    claim("sub", person.subject.clone().into());
    claim("iat", issued.timestamp().into());
    claim("exp", (issued + LIFETIME).timestamp().into());
    claim("at_hash", URL_SAFE_NO_PAD.encode(&access_token_hash[..16]).into());
    claim("name", person.name.clone().into());
    match (misbehaviour, &grant.nonce) {
        (Misbehaviour::WrongNonce, _) => claim("nonce", "a-nonce-that-nobody-sent".into()),
        (_, Some(nonce)) => claim("nonce", nonce.clone().into()),
        (_, None) => None,
    };
    if misbehaviour != Misbehaviour::NoEmail {
        let email = match misbehaviour {
            Misbehaviour::WrongDomain => format!("{}@other.example", person.id),
            _ => person.email.clone(),
        };
        claim("email", email.into());
        claim("email_verified", (misbehaviour != Misbehaviour::UnverifiedEmail).into());
    }
    match (misbehaviour, &person.hosted_domain) {
        (Misbehaviour::WrongDomain, _) => claim("hd", "other.example".into()),
        (Misbehaviour::MissingHostedDomain, _) | (_, None) => None,
        (_, Some(domain)) => claim("hd", domain.clone().into()),
    };
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::DemoPerson;

    fn claims_under(misbehaviour: Misbehaviour) -> Map<String, Value> {
        let grant = Grant {
            person: DemoPerson::member("amina", "1", "Amina Diallo", "Nurse"),
            redirect_uri: String::new(),
            nonce: Some("the-nonce".to_owned()),
            challenge: String::new(),
        };
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        claims("http://issuer", "client", &grant, "access", now, misbehaviour)
    }

    /// The claims that differ from a good token's, a claim that went missing included.
    fn changed(misbehaviour: Misbehaviour) -> Vec<(String, Value)> {
        let (good, bad) = (claims_under(Misbehaviour::None), claims_under(misbehaviour));
        let names = good.keys().chain(bad.keys().filter(|name| !good.contains_key(*name)));
        let differ = names.filter(|name| good.get(*name) != bad.get(*name));
        differ.map(|name| (name.clone(), bad.get(name).cloned().unwrap_or(Value::Null))).collect()
    }

    #[test]
    fn each_fault_changes_the_claims_it_names_and_no_others() {
        let expect = |misbehaviour, claims: Value| {
            assert_eq!(Value::Object(changed(misbehaviour).into_iter().collect()), claims, "{misbehaviour:?}");
        };
        let day = 86_400;
        let now = 20_000 * day;
        expect(Misbehaviour::WrongNonce, json!({"nonce": "a-nonce-that-nobody-sent"}));
        expect(Misbehaviour::WrongAudience, json!({"aud": "another-client", "azp": "another-client"}));
        expect(Misbehaviour::WrongIssuer, json!({"iss": "https://issuer.elsewhere.example"}));
        expect(Misbehaviour::ExpiredToken, json!({"iat": now - 7200, "exp": now - 3600}));
        expect(Misbehaviour::FutureIssuedAt, json!({"iat": now + day, "exp": now + day + 3600}));
        expect(Misbehaviour::UnverifiedEmail, json!({"email_verified": false}));
        expect(Misbehaviour::WrongDomain, json!({"email": "amina@other.example", "hd": "other.example"}));
        expect(Misbehaviour::MissingHostedDomain, json!({"hd": null}));
        expect(Misbehaviour::NoEmail, json!({"email": null, "email_verified": null}));
        expect(Misbehaviour::WrongKey, json!({}));
    }

    #[test]
    fn a_good_token_says_what_the_site_needs() {
        let claims = Value::Object(claims_under(Misbehaviour::None));
        assert_eq!(claims["aud"], "client");
        assert_eq!(claims["nonce"], "the-nonce");
        assert_eq!(claims["email"], "amina@clinic.example");
        assert_eq!(claims["email_verified"], true);
        assert_eq!(claims["hd"], "clinic.example");
        assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|issued| issued + 3600));
    }
}
