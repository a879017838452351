//! The protocol as it should go, and the requests that must be refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use demo::{Provider, ProviderOptions};
use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, WWW_AUTHENTICATE};
use sha2::{Digest as _, Sha256};

use crate::driver::*;

#[tokio::test]
async fn a_sign_in_gives_a_token_that_verifies_with_the_published_key() {
    let provider = provider().await;
    let document = get_json(&provider, "/.well-known/openid-configuration").await;
    assert_eq!(document["issuer"], provider.issuer());
    assert_eq!(document["token_endpoint"], format!("{}/token", provider.issuer()));

    let code = code(&provider).await;
    let response = post_form(&provider, "/token", &exchange(&code), Some((CLIENT, SECRET))).await;
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let answer: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
    let token = answer["id_token"].as_str().unwrap();
    assert!(verifies(token, &get_json(&provider, "/jwks").await));
    assert!(!verifies(&token.replacen('.', ".e", 1), &get_json(&provider, "/jwks").await));

    let claims = part(token, 1);
    assert_eq!(claims["iss"], provider.issuer());
    assert_eq!(claims["aud"], CLIENT);
    assert_eq!(claims["nonce"], NONCE);
    assert_eq!(claims["email"], "amina@clinic.example");
    assert_eq!(claims["hd"], "clinic.example");
    let hash = Sha256::digest(answer["access_token"].as_str().unwrap());
    assert_eq!(claims["at_hash"], URL_SAFE_NO_PAD.encode(&hash[..16]));
    let asked = provider.requests();
    assert_eq!((asked.discovery, asked.authorize, asked.token, asked.jwks), (1, 1, 1, 2));
}

#[tokio::test]
async fn the_client_may_send_its_secret_in_the_form() {
    let provider = provider().await;
    let request = with(with(exchange(&code(&provider).await), "client_id", CLIENT), "client_secret", SECRET);
    assert_eq!(post_form(&provider, "/token", &request, None).await.status(), StatusCode::OK);
    let both = with(exchange(&code(&provider).await), "client_secret", SECRET);
    assert_eq!(token(&provider, &both).await.1["error"], "invalid_request");
}

#[tokio::test]
async fn a_wrong_client_is_refused_and_the_code_stays_good() {
    let provider = provider().await;
    let request = exchange(&code(&provider).await);
    for (id, secret) in [(CLIENT, "wrong"), ("wrong", SECRET), (CLIENT, "")] {
        let response = post_form(&provider, "/token", &request, Some((id, secret))).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        assert!(body(response).await.contains("invalid_client"));
    }
    assert_eq!(post_form(&provider, "/token", &request, None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(token(&provider, &request).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_only_as_it_was_asked_for() {
    let provider = provider().await;
    let request = exchange(&code(&provider).await);
    assert_eq!(token(&provider, &request).await.0, StatusCode::OK);
    let spoiled = [
        request,
        with(exchange(&code(&provider).await), "redirect_uri", "http://127.0.0.1:9/elsewhere"),
        with(exchange(&code(&provider).await), "code_verifier", &VERIFIER.replace('a', "b")),
        with(exchange(&code(&provider).await), "code_verifier", ""),
        with(exchange(&code(&provider).await), "code", "never-given"),
    ];
    for request in spoiled {
        let (status, answer) = token(&provider, &request).await;
        assert_eq!((status, answer["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_grant")), "{request:?}");
    }
    let guessed = exchange(&code(&provider).await);
    token(&provider, &with(guessed.clone(), "code_verifier", &"x".repeat(43))).await;
    assert_eq!(token(&provider, &guessed).await.1["error"], "invalid_grant", "a wrong verifier uses the code up");
    let refresh = with(exchange("any"), "grant_type", "refresh_token");
    assert_eq!(token(&provider, &refresh).await.1["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn a_bad_request_goes_back_to_the_site_with_its_state() {
    let provider = provider().await;
    let cases = [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "too-short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "email", "invalid_scope"),
        ("prompt", "none", "login_required"),
        ("request", "e30.e30.", "request_not_supported"),
    ];
    for (name, spoiled, error) in cases {
        let request = with(with(good_request(), name, spoiled), "login_hint", "amina");
        let pairs = sent_back(&authorize(&provider, &request).await);
        assert_eq!(value(&pairs, "error"), Some(error), "{name}={spoiled}");
        assert_eq!((value(&pairs, "state"), value(&pairs, "code")), (Some(STATE), None));
    }
}

#[tokio::test]
async fn a_request_from_a_stranger_is_never_redirected() {
    let provider = provider().await;
    let cases = [
        ("client_id", "another"),
        ("client_id", ""),
        ("redirect_uri", "http://127.0.0.1:9/sign-in/callback/"),
        ("redirect_uri", "http://127.0.0.1:9/sign-in/callback?next=1"),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", ""),
    ];
    for (name, spoiled) in cases {
        let request = with(with(good_request(), name, spoiled), "login_hint", "amina");
        assert_eq!(authorize(&provider, &request).await.status(), StatusCode::BAD_REQUEST, "{name}={spoiled}");
    }
    let twice = format!("/authorize?{}&state=again", encode(&good_request()));
    assert_eq!(get(&provider, &twice).await.status(), StatusCode::BAD_REQUEST);

    let later = with(good_request(), "redirect_uri", &format!("{BACK}?later"));
    provider.allow_redirect(format!("{BACK}?later"));
    assert_eq!(authorize(&provider, &later).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_signs_in_the_person_who_is_chosen() {
    let provider = provider().await;
    let page = body(authorize(&provider, &good_request()).await).await;
    for person in provider.people() {
        assert!(page.contains(&format!("value=\"{}\"", person.id)), "{page}");
    }
    let chosen = with(good_request(), "person", "noor");
    let pairs = sent_back(&post_form(&provider, "/authorize", &chosen, None).await);
    let (_, answer) = token(&provider, &exchange(value(&pairs, "code").unwrap())).await;
    assert_eq!(part(answer["id_token"].as_str().unwrap(), 1)["email"], "noor@clinic.example");

    let by_link = authorize(&provider, &chosen).await;
    assert_eq!(by_link.status(), StatusCode::OK, "a link must not choose for the person");
    let cancelled = with(good_request(), "cancel", "yes");
    let pairs = sent_back(&post_form(&provider, "/authorize", &cancelled, None).await);
    assert_eq!(value(&pairs, "error"), Some("access_denied"));
}

#[tokio::test]
async fn a_login_hint_skips_the_page_only_where_that_was_asked_for() {
    let mut options = ProviderOptions::new(CLIENT, SECRET);
    options.redirect_uris.push(BACK.to_owned());
    let provider = Provider::start(options).await.unwrap();
    let request = with(good_request(), "login_hint", "amina@clinic.example");
    assert_eq!(authorize(&provider, &request).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_renamed_person_keeps_the_subject() {
    let provider = provider().await;
    let before = part(&id_token(&provider).await, 1);
    let change = r#"{"person": "amina", "name": "Amina Diallo-Roy"}"#;
    assert_eq!(post_json(&provider, "/people", change).await, StatusCode::NO_CONTENT);
    let after = part(&id_token(&provider).await, 1);
    assert_eq!((&after["name"], &after["sub"]), (&"Amina Diallo-Roy".into(), &before["sub"]));
    assert_eq!(after["email"], before["email"]);

    provider.rename("amina", "a.roy@clinic.example", "Amina Roy").unwrap();
    assert_eq!(provider.people()[0].email, "a.roy@clinic.example");
    assert!(provider.rename("nobody", "a@b.example", "Nobody").is_err());
    assert_eq!(post_json(&provider, "/people", r#"{"person": "nobody"}"#).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let provider = provider().await;
    assert_eq!(get(&provider, "/nothing").await.status(), StatusCode::NOT_FOUND);
    let refused = get(&provider, "/token").await;
    assert_eq!(
        (refused.status(), &refused.headers()[ALLOW]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
    assert_eq!(get(&provider, "/style.css").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_provider_listens_on_loopback_only_and_frees_its_port() {
    let mut options = ProviderOptions::new(CLIENT, SECRET);
    options.listen = "0.0.0.0:0".parse().unwrap();
    assert!(Provider::start(options.clone()).await.is_err());

    let running = provider().await;
    options.listen = running.issuer().trim_start_matches("http://").parse().unwrap();
    assert_eq!(Provider::start(options.clone()).await.err().unwrap().kind(), std::io::ErrorKind::AddrInUse);
    running.stop().await;
    Provider::start(options).await.unwrap();
}
