//! What a provider answers, near to right and far from it. Only a token that says exactly what was promised lets in.
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use openidconnect::JsonWebKeySet;
use proptest::prelude::*;
use rand_core::OsRng;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;
use crate::features::sign_in::staff_rule::StaffRule;

const ISSUER: &str = "https://id.clinic.example";
const NONCE: &str = "the-nonce";

/// A new one for each run of the tests.
static KEY: LazyLock<RsaPrivateKey> = LazyLock::new(|| RsaPrivateKey::new(&mut OsRng, 2048).unwrap());

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
    let config = SignInConfig {
        issuer: ISSUER.parse().unwrap(),
        client_id: "client".into(),
        client_secret: SecretString::from("the secret of the client, which signs nothing"),
        app_secret: SecretString::from("an app secret that is at least 32 bytes long"),
        previous_app_secret: None,
        staff: StaffRule::new(vec!["clinic.example".into()], vec![]).unwrap(),
    };
    Provider::new(&config, &PublicUrl::parse("https://messages.clinic.example").unwrap()).unwrap()
});

fn discovery() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://id.clinic.example/authorize",
        "token_endpoint": "https://id.clinic.example/token",
        "jwks_uri": "https://id.clinic.example/keys",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

fn keys() -> Value {
    let number = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    let (n, e) = (number(KEY.n()), number(KEY.e()));
    json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": n, "e": e }] })
}

static METADATA: LazyLock<CoreProviderMetadata> = LazyLock::new(|| {
    let keys: JsonWebKeySet<CoreJsonWebKey> = serde_json::from_value(keys()).unwrap();
    serde_json::from_value::<CoreProviderMetadata>(discovery()).unwrap().set_jwks(keys)
});

fn good_claims() -> Value {
    let now = Utc::now().timestamp();
    json!({
        "iss": ISSUER, "aud": "client", "sub": "17", "iat": now, "exp": now + 3600, "nonce": NONCE,
        "email": "amina@clinic.example", "email_verified": true, "name": "Amina Diallo",
    })
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, claims: &Value) -> String {
    let input = format!("{}.{}", part(header), part(claims));
    let signature = SigningKey::<Sha256>::new(KEY.clone()).sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn token(claims: &Value) -> String {
    signed(&json!({ "alg": "RS256", "kid": "one" }), claims)
}

/// What comes of a reply of the token endpoint: the account, or the word for the audit log.
fn verdict(reply: &[u8]) -> Result<VerifiedAccount, &'static str> {
    verdict_at(Timestamp::now(), reply)
}

fn verdict_at(at: Timestamp, reply: &[u8]) -> Result<VerifiedAccount, &'static str> {
    let tokens: OidcTokens = serde_json::from_slice(reply).map_err(|_| "provider_nonsense")?;
    PROVIDER.verify(&METADATA, &tokens, &Nonce::new(NONCE.to_owned()), at).map_err(|error| error.reason())
}

fn reply_with(id_token: &str) -> Vec<u8> {
    json!({ "access_token": "a", "token_type": "bearer", "id_token": id_token }).to_string().into_bytes()
}

fn verdict_of(id_token: &str) -> Result<VerifiedAccount, &'static str> {
    verdict(&reply_with(id_token))
}

/// A good token's claims with these over them; null takes one away.
fn patched(patch: &Value) -> Value {
    let mut claims = good_claims();
    for (name, value) in patch.as_object().expect("an object") {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[test]
fn a_good_token_lets_in_whom_it_names() {
    let account = verdict_of(&token(&good_claims())).unwrap();
    assert_eq!((account.subject.as_str(), account.name.as_str()), ("17", "Amina Diallo"));
    assert!(account.email_verified);
}

#[test]
fn a_token_is_good_from_its_issue_to_its_end_by_the_clock_that_is_handed_in() {
    let now = Timestamp::now();
    let reply = reply_with(&token(&good_claims()));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (at, expected) in [
        (now.minus(minutes(6)), Err("expired")),
        (now.minus(minutes(4)), Ok(())),
        (now.plus(minutes(59)), Ok(())),
        (now.plus(minutes(61)), Err("expired")),
    ] {
        assert_eq!(verdict_at(at, &reply).map(|_| ()), expected, "{}", at.to_rfc3339());
    }
}

/// `corpus/id-tokens/VERDICT/NAME`: claims over those of a good token, rightly signed.
#[test]
fn rightly_signed_claims_get_the_verdict_they_should() {
    for input in testkit::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/id-tokens")) {
        let patch: Value =
            serde_json::from_slice(&input.bytes).unwrap_or_else(|error| panic!("{}: {error}", input.name));
        let found = verdict_of(&token(&patched(&patch))).map(|_| ());
        let expected = if input.outcome == "accepted" { Ok(()) } else { Err(input.outcome.as_str()) };
        assert_eq!(found, expected, "{}", input.name);
    }
}

#[test]
fn a_token_is_signed_by_the_key_in_the_way_that_was_promised() {
    let claims = good_claims();
    let unsigned = |header: Value| format!("{}.{}.", part(&header), part(&claims));
    for bad in [
        unsigned(json!({ "alg": "none" })),
        signed(&json!({ "alg": "none", "kid": "one" }), &claims),
        signed(&json!({ "alg": "HS256", "kid": "one" }), &claims),
        signed(&json!({ "alg": "ES384", "kid": "one" }), &claims),
        signed(&json!({ "alg": "ES256", "kid": "one" }), &claims),
        signed(&json!({ "alg": "RS256", "kid": "two" }), &claims),
        // A key that the token brings itself.
        signed(&json!({ "alg": "RS256", "kid": "two", "jwk": keys()["keys"][0] }), &claims),
        signed(&json!({ "alg": "RS256", "kid": "two", "jku": "https://evil.example/keys" }), &claims),
        signed(&json!({ "alg": "RS256", "kid": "one", "crit": ["exp"] }), &claims),
        signed(&json!({ "alg": "RS256", "kid": "one", "typ": "at+jwt", "cty": "JWT" }), &claims),
    ] {
        assert!(verdict_of(&bad).is_err(), "{bad}");
    }
}

/// A claim's value: right, nearly right, or of another kind.
fn claim() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::ANY.prop_map(|number| serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)),
        proptest::sample::select(vec![
            ISSUER,
            "https://id.clinic.example/",
            "HTTPS://id.clinic.example",
            "client",
            "Client",
            "client ",
            NONCE,
            "the-nonce ",
            "17",
            "",
            "amina@clinic.example",
            "true",
        ])
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!(["client"])),
        Just(json!(["client", "another"])),
        Just(json!([])),
        Just(json!({})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The model: each claim by itself as the sentence in the standard has it. Anyone who is let in was named by a token in which
    /// all of them hold.
    #[test]
    fn who_is_let_in_has_a_token_in_which_everything_holds(
        name in proptest::sample::select(vec!["iss", "aud", "sub", "iat", "exp", "nonce", "email", "email_verified", "name", "hd", "azp", "nbf"]),
        value in claim(),
    ) {
        let mut claims = good_claims();
        claims[name] = value;
        if let Ok(account) = verdict_of(&token(&claims)) {
            let now = Utc::now().timestamp();
            prop_assert_eq!(&claims["iss"], ISSUER);
            prop_assert!(claims["aud"] == "client" || claims["aud"] == json!(["client"]), "{}", claims["aud"]);
            prop_assert_eq!(&claims["nonce"], NONCE);
            prop_assert!(claims["exp"].as_f64().is_some_and(|exp| exp > now as f64 - 2.0), "{}", claims["exp"]);
            prop_assert!(claims["iat"].as_f64().is_some_and(|iat| iat < now as f64 + 302.0), "{}", claims["iat"]);
            prop_assert_eq!(claims["sub"].as_str(), Some(account.subject.as_str()));
            prop_assert_eq!(claims["email"].as_str(), Some(account.email.as_str()));
            prop_assert_eq!(account.email_verified, claims["email_verified"] == true);
            prop_assert!(!account.name.chars().any(char::is_control));
        }
    }

    /// One byte of a token is another: nobody is let in, and nothing panics.
    #[test]
    fn a_token_that_was_changed_lets_nobody_in(at: prop::sample::Index, byte in proptest::sample::select(b"AZaz09-_.=+/ \"".to_vec())) {
        let good = token(&good_claims());
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let changed = String::from_utf8(bytes).unwrap();
        // The last letter of base64 has bits that mean nothing; a reader that ignores them reads the same signature.
        prop_assume!(changed != good && at != good.len() - 1);
        prop_assert!(verdict_of(&changed).is_err(), "{}", changed);
        prop_assert!(verdict_of(&good[..at]).is_err());
    }

    /// A reply, a discovery document or a key set that is anything at all.
    #[test]
    fn no_reply_makes_it_panic(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "([{}\\[\\]\",:]|\"(id_token|access_token|token_type|keys|kty|issuer)\"|null|1|e30\\.e30\\.e30){0,30}".prop_map(String::into_bytes),
    ]) {
        prop_assert!(verdict(&bytes).is_err());
        let _ = serde_json::from_slice::<CoreProviderMetadata>(&bytes);
        let _ = serde_json::from_slice::<JsonWebKeySet<CoreJsonWebKey>>(&bytes);
    }
}
