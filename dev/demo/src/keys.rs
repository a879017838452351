//! RSA keys: made when the provider starts, kept in memory only, and published as a JWK set.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::OsRng;
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};
use sha2::Sha256;

/// The least that RFC 7518 section 3.3 allows for RS256; and quick to make.
const BITS: usize = 2048;

/// One signing key.
pub(crate) struct Key {
    id: String,
    public: RsaPublicKey,
    signer: SigningKey<Sha256>,
}

impl Key {
    /// Makes a key, off the async threads: finding primes takes a tenth of a second and more.
    pub(crate) async fn generate() -> io::Result<Key> {
        tokio::task::spawn_blocking(|| {
            let private = RsaPrivateKey::new(&mut OsRng, BITS).map_err(io::Error::other)?;
            let mut id = [0_u8; 6];
            getrandom::fill(&mut id).map_err(io::Error::other)?;
            Ok(Key { id: hex::encode(id), public: private.to_public_key(), signer: SigningKey::new(private) })
        })
        .await?
    }

    /// The key id (`kid`).
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The RS256 signature over `input`.
    pub(crate) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, rsa::signature::Error> {
        Ok(self.signer.try_sign(input)?.to_vec())
    }

    fn jwk(&self) -> Value {
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
            "n": URL_SAFE_NO_PAD.encode(self.public.n().to_bytes_be()),
            "e": URL_SAFE_NO_PAD.encode(self.public.e().to_bytes_be()),
        })
    }
}

/// The key that signs, and the one before it, still published so that tokens already on their way verify.
pub(crate) struct KeyRing {
    current: Arc<Key>,
    previous: Option<Arc<Key>>,
}

impl KeyRing {
    pub(crate) fn new(first: Key) -> KeyRing {
        KeyRing { current: Arc::new(first), previous: None }
    }

    pub(crate) fn current(&self) -> Arc<Key> {
        Arc::clone(&self.current)
    }

    /// `next` signs from now on.
    pub(crate) fn rotate(&mut self, next: Key) {
        self.previous = Some(std::mem::replace(&mut self.current, Arc::new(next)));
    }

    /// The JWK set, newest key first.
    pub(crate) fn jwks(&self) -> Value {
        let keys: Vec<Value> = std::iter::once(&self.current).chain(&self.previous).map(|key| key.jwk()).collect();
        json!({ "keys": keys })
    }
}
