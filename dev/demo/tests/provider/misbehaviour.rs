//! Every misbehaviour, seen from outside: each must do what its name says, or a test that relies on it proves nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use demo::Misbehaviour;
use hmac::{Hmac, Mac as _};
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::Value;
use sha2::Sha256;

use crate::driver::*;

/// Whether claims show the misbehaviour.
type IsWrong<'a> = &'a dyn Fn(&Value) -> bool;

#[tokio::test]
async fn the_script_is_set_and_told_over_http() {
    let provider = provider().await;
    for misbehaviour in Misbehaviour::ALL {
        let name = serde_json::to_value(misbehaviour).unwrap();
        let script = serde_json::json!({ "misbehaviour": name }).to_string();
        assert_eq!(post_json(&provider, "/script", &script).await, StatusCode::NO_CONTENT, "{name}");
        assert_eq!(get_json(&provider, "/script").await["misbehaviour"], name);
    }
    assert_eq!(post_json(&provider, "/script", r#"{"misbehaviour":"be_nice"}"#).await, StatusCode::BAD_REQUEST);
    let form = post_form(&provider, "/script", &[("misbehaviour", "none".to_owned())], None).await;
    assert_eq!(form.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    get_json(&provider, "/jwks").await;
    let told = get_json(&provider, "/script").await;
    assert_eq!((&told["requests"]["jwks"], &told["requests"]["token"]), (&1.into(), &0.into()));
    assert_eq!(told["people"][0]["id"], "amina");
}

#[tokio::test]
async fn claims_are_wrong_as_scripted_and_right_again_afterwards() {
    let provider = provider().await;
    let issuer = provider.issuer();
    let is_wrong: [(Misbehaviour, IsWrong<'_>); 9] = [
        (Misbehaviour::WrongNonce, &|claims| claims["nonce"] != NONCE),
        (Misbehaviour::WrongAudience, &|claims| claims["aud"] != CLIENT),
        (Misbehaviour::WrongIssuer, &|claims| claims["iss"] != issuer),
        (Misbehaviour::ExpiredToken, &|claims| claims["exp"].as_i64() < Some(chrono::Utc::now().timestamp() - 3500)),
        (Misbehaviour::FutureIssuedAt, &|claims| {
            claims["iat"].as_i64() > Some(chrono::Utc::now().timestamp() + 80_000)
        }),
        (Misbehaviour::UnverifiedEmail, &|claims| claims["email_verified"] == false),
        (Misbehaviour::WrongDomain, &|claims| claims["hd"] == "other.example"),
        (Misbehaviour::MissingHostedDomain, &|claims| claims.get("hd").is_none()),
        (Misbehaviour::NoEmail, &|claims| claims.get("email").is_none()),
    ];
    let keys = get_json(&provider, "/jwks").await;
    for (misbehaviour, is_wrong) in is_wrong {
        provider.script(misbehaviour);
        let token = id_token(&provider).await;
        assert!(is_wrong(&part(&token, 1)) && verifies(&token, &keys), "{misbehaviour:?}");
        provider.script(Misbehaviour::None);
        let token = id_token(&provider).await;
        assert!(!is_wrong(&part(&token, 1)) && verifies(&token, &keys), "after {misbehaviour:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_signs_under_the_id_of_the_right_one() {
    let provider = provider().await;
    provider.script(Misbehaviour::WrongKey);
    let token = id_token(&provider).await;
    let keys = get_json(&provider, "/jwks").await;
    assert_eq!(part(&token, 0)["kid"], keys["keys"][0]["kid"]);
    assert!(!verifies(&token, &keys));
    provider.script(Misbehaviour::None);
    assert!(verifies(&id_token(&provider).await, &keys));
}

#[tokio::test]
async fn rotated_keys_verify_once_the_client_fetches_them_again() {
    let provider = provider().await;
    let old_keys = get_json(&provider, "/jwks").await;
    let old_token = id_token(&provider).await;
    provider.script(Misbehaviour::UnknownKeyThenRotated);
    let token = id_token(&provider).await;
    assert!(!verifies(&token, &old_keys));
    let new_keys = get_json(&provider, "/jwks").await;
    assert!(verifies(&token, &new_keys) && verifies(&old_token, &new_keys));
    assert!(verifies(&id_token(&provider).await, &new_keys), "rotated once, not at every token");
}

#[tokio::test]
async fn tokens_without_a_signature_of_ours_say_so_in_their_header() {
    let provider = provider().await;
    provider.script(Misbehaviour::AlgNone);
    let token = id_token(&provider).await;
    assert_eq!(part(&token, 0)["alg"], "none");
    assert!(token.ends_with('.'));
    provider.script(Misbehaviour::SymmetricAlg);
    let token = id_token(&provider).await;
    assert_eq!(part(&token, 0)["alg"], "HS256");
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(input.as_bytes());
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn endpoints_fail_as_scripted_and_only_those() {
    const DISCOVERY: &str = "/.well-known/openid-configuration";
    let provider = provider().await;
    for (misbehaviour, failing) in [(Misbehaviour::Discovery500, DISCOVERY), (Misbehaviour::Jwks500, "/jwks")] {
        provider.script(misbehaviour);
        for path in [DISCOVERY, "/jwks"] {
            let expected = if path == failing { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
            assert_eq!(get(&provider, path).await.status(), expected, "{misbehaviour:?} {path}");
        }
    }
    provider.script(Misbehaviour::Token500);
    let request = exchange(&code(&provider).await);
    let response = post_form(&provider, "/token", &request, Some((CLIENT, SECRET))).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);

    provider.script(Misbehaviour::MalformedToken);
    let response = post_form(&provider, "/token", &exchange(&code(&provider).await), Some((CLIENT, SECRET))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(serde_json::from_str::<Value>(&body(response).await).is_err());
    provider.script(Misbehaviour::MalformedDiscovery);
    assert!(serde_json::from_str::<Value>(&body(get(&provider, DISCOVERY).await).await).is_err());

    provider.script(Misbehaviour::ReplayedCode);
    let (status, answer) = token(&provider, &exchange(&code(&provider).await)).await;
    assert_eq!((status, answer["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_grant")));
    provider.script(Misbehaviour::AccessDenied);
    let pairs = sent_back(&authorize(&provider, &good_request()).await);
    assert_eq!((value(&pairs, "error"), value(&pairs, "state")), (Some("access_denied"), Some(STATE)));
}

#[tokio::test]
async fn a_huge_reply_comes_without_a_length() {
    let provider = provider().await;
    provider.script(Misbehaviour::HugeReply);
    let mut response = get(&provider, "/jwks").await;
    assert!(!response.headers().contains_key(http::header::CONTENT_LENGTH));
    let mut received = 0;
    while let Some(frame) = response.body_mut().frame().await {
        received += frame.unwrap().into_data().unwrap().len();
    }
    assert!(received >= 50 * 1024 * 1024, "{received} bytes");
}

#[tokio::test]
async fn slow_endpoints_let_the_client_wait() {
    let provider = provider().await;
    let good = code(&provider).await;
    for slow in [Misbehaviour::SlowDiscovery, Misbehaviour::SlowToken] {
        provider.script(slow);
        let asked = async {
            match slow {
                Misbehaviour::SlowToken => {
                    post_form(&provider, "/token", &exchange(&good), Some((CLIENT, SECRET))).await
                }
                _ => get(&provider, "/.well-known/openid-configuration").await,
            }
        };
        // A first answer inside this time would mean that nothing is slow.
        let early = tokio::time::timeout(std::time::Duration::from_millis(300), asked).await;
        assert!(early.is_err(), "{slow:?}");
    }
    assert_eq!(get(&provider, "/jwks").await.status(), StatusCode::OK, "only what was scripted is slow");
}
