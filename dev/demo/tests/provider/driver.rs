//! A relying party small enough to see through: raw HTTP, and its own check of a signature against the published keys.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use demo::{Provider, ProviderOptions};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::signature::Verifier as _;
use rsa::{BigUint, RsaPublicKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use url::Url;

pub(crate) const BACK: &str = "http://127.0.0.1:9/sign-in/callback";
pub(crate) const CLIENT: &str = "the-client";
/// With characters that form encoding changes, so that a client which forgets it is found out.
pub(crate) const SECRET: &str = "s3cret+/%: and more";
pub(crate) const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
pub(crate) const NONCE: &str = "the-nonce";
pub(crate) const STATE: &str = "the state & more";

pub(crate) async fn provider() -> Provider {
    let mut options = ProviderOptions::new(CLIENT, SECRET);
    options.redirect_uris.push(BACK.to_owned());
    options.auto_login = true;
    Provider::start(options).await.unwrap()
}

/// One request on a connection of its own.
pub(crate) async fn send(provider: &Provider, request: Request<Full<Bytes>>) -> Response<hyper::body::Incoming> {
    let address = provider.issuer().trim_start_matches("http://").to_owned();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

pub(crate) async fn body(response: Response<hyper::body::Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

pub(crate) async fn get(provider: &Provider, path: &str) -> Response<hyper::body::Incoming> {
    send(provider, Request::get(path).header(HOST, "demo").body(Full::default()).unwrap()).await
}

pub(crate) async fn get_json(provider: &Provider, path: &str) -> Value {
    let response = get(provider, path).await;
    assert_eq!(response.status(), StatusCode::OK, "GET {path}");
    serde_json::from_str(&body(response).await).unwrap()
}

pub(crate) async fn post_json(provider: &Provider, path: &str, json: &str) -> StatusCode {
    let request = Request::post(path).header(HOST, "demo").header(CONTENT_TYPE, "application/json");
    send(provider, request.body(Full::from(json.to_owned())).unwrap()).await.status()
}

/// The parameters of a good authorization request, to be spoiled by the caller.
pub(crate) fn good_request() -> Vec<(&'static str, String)> {
    vec![
        ("client_id", CLIENT.to_owned()),
        ("redirect_uri", BACK.to_owned()),
        ("response_type", "code".to_owned()),
        ("scope", "openid email profile".to_owned()),
        ("state", STATE.to_owned()),
        ("nonce", NONCE.to_owned()),
        ("code_challenge", URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))),
        ("code_challenge_method", "S256".to_owned()),
        ("prompt", "select_account".to_owned()),
    ]
}

pub(crate) fn with(
    mut request: Vec<(&'static str, String)>,
    name: &'static str,
    value: &str,
) -> Vec<(&'static str, String)> {
    request.retain(|(present, _)| *present != name);
    request.push((name, value.to_owned()));
    request
}

pub(crate) fn encode(parameters: &[(&'static str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

pub(crate) async fn authorize(
    provider: &Provider,
    parameters: &[(&'static str, String)],
) -> Response<hyper::body::Incoming> {
    get(provider, &format!("/authorize?{}", encode(parameters))).await
}

pub(crate) async fn post_form(
    provider: &Provider,
    path: &str,
    parameters: &[(&'static str, String)],
    basic: Option<(&str, &str)>,
) -> Response<hyper::body::Incoming> {
    let mut request = Request::builder().method(Method::POST).uri(path).header(HOST, "demo");
    request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some((id, secret)) = basic {
        let escape = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let joined = STANDARD.encode(format!("{}:{}", escape(id), escape(secret)));
        request = request.header(AUTHORIZATION, format!("Basic {joined}"));
    }
    send(provider, request.body(Full::from(encode(parameters))).unwrap()).await
}

/// What stands in the address the browser is sent to.
pub(crate) fn sent_back(response: &Response<hyper::body::Incoming>) -> Vec<(String, String)> {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let location = response.headers()[LOCATION].to_str().unwrap();
    assert!(location.starts_with(&format!("{BACK}?")), "sent to {location}");
    Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

pub(crate) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
}

/// A code for Amina.
pub(crate) async fn code(provider: &Provider) -> String {
    let request = with(good_request(), "login_hint", "amina@clinic.example");
    let pairs = sent_back(&authorize(provider, &request).await);
    assert_eq!(value(&pairs, "state"), Some(STATE));
    value(&pairs, "code").expect("no code").to_owned()
}

/// The parameters of a good token request, to be spoiled by the caller.
pub(crate) fn exchange(code: &str) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", code.to_owned()),
        ("redirect_uri", BACK.to_owned()),
        ("code_verifier", VERIFIER.to_owned()),
    ]
}

/// Status and JSON of a token request that authenticates with `client_secret_basic`.
pub(crate) async fn token(provider: &Provider, parameters: &[(&'static str, String)]) -> (StatusCode, Value) {
    let response = post_form(provider, "/token", parameters, Some((CLIENT, SECRET))).await;
    (response.status(), serde_json::from_str(&body(response).await).unwrap())
}

/// A whole sign-in of Amina: the ID token.
pub(crate) async fn id_token(provider: &Provider) -> String {
    let code = code(provider).await;
    let (status, answer) = token(provider, &exchange(&code)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id_token"].as_str().unwrap().to_owned()
}

pub(crate) fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
}

/// Whether the published key that the token names has signed it with RS256.
pub(crate) fn verifies(token: &str, jwks: &Value) -> bool {
    let header = part(token, 0);
    let published = jwks["keys"].as_array().unwrap();
    let Some(key) = published.iter().find(|key| key["kid"] == header["kid"]) else {
        return false;
    };
    let number = |name: &str| BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap());
    let key = VerifyingKey::<Sha256>::new(RsaPublicKey::new(number("n"), number("e")).unwrap());
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    header["alg"] == "RS256"
        && Signature::try_from(signature.as_slice())
            .is_ok_and(|signature| key.verify(input.as_bytes(), &signature).is_ok())
}
