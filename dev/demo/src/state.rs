//! What the provider remembers while it runs, and the only place where it is locked.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::OnceCell;

use crate::grants::Grants;
use crate::keys::{Key, KeyRing};
use crate::misbehaviour::Misbehaviour;
use crate::people::{DemoPerson, UnknownPerson};

/// How often each endpoint was asked, refused requests included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// `GET /.well-known/openid-configuration`
    pub discovery: u64,
    /// `GET /jwks`
    pub jwks: u64,
    /// `GET` and `POST /authorize`
    pub authorize: u64,
    /// `POST /token`
    pub token: u64,
}

/// [`Requests`] while they are being counted.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) discovery: AtomicU64,
    pub(crate) jwks: AtomicU64,
    pub(crate) authorize: AtomicU64,
    pub(crate) token: AtomicU64,
}

impl Counters {
    pub(crate) fn so_far(&self) -> Requests {
        Requests {
            discovery: self.discovery.load(Ordering::Relaxed),
            jwks: self.jwks.load(Ordering::Relaxed),
            authorize: self.authorize.load(Ordering::Relaxed),
            token: self.token.load(Ordering::Relaxed),
        }
    }
}

/// The one client that may use the provider.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// What a test may change while the provider runs.
pub(crate) struct Changeable {
    pub(crate) misbehaviour: Misbehaviour,
    /// The keys are still to be rotated for [`Misbehaviour::UnknownKeyThenRotated`].
    pub(crate) rotation_due: bool,
    pub(crate) people: Vec<DemoPerson>,
    pub(crate) redirect_uris: BTreeSet<String>,
    pub(crate) grants: Grants,
    pub(crate) keys: KeyRing,
}

/// Everything the endpoints share.
pub(crate) struct State {
    pub(crate) issuer: String,
    pub(crate) client: Client,
    pub(crate) auto_login: bool,
    pub(crate) counters: Counters,
    changeable: Mutex<Changeable>,
    impostor: OnceCell<Arc<Key>>,
}

impl State {
    pub(crate) fn new(issuer: String, client: Client, auto_login: bool, changeable: Changeable) -> State {
        State {
            issuer,
            client,
            auto_login,
            counters: Counters::default(),
            changeable: Mutex::new(changeable),
            impostor: OnceCell::new(),
        }
    }

    /// A panic elsewhere leaves nothing half-changed here, so that a poisoned lock is as good as another.
    pub(crate) fn changeable(&self) -> MutexGuard<'_, Changeable> {
        self.changeable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn misbehaviour(&self) -> Misbehaviour {
        self.changeable().misbehaviour
    }

    pub(crate) fn script(&self, misbehaviour: Misbehaviour) {
        let mut changeable = self.changeable();
        changeable.misbehaviour = misbehaviour;
        changeable.rotation_due = misbehaviour == Misbehaviour::UnknownKeyThenRotated;
    }

    pub(crate) fn rename(&self, id: &str, email: Option<&str>, name: Option<&str>) -> Result<(), UnknownPerson> {
        let mut changeable = self.changeable();
        let person = changeable.people.iter_mut().find(|person| person.id == id);
        let person = person.ok_or_else(|| UnknownPerson(id.to_owned()))?;
        if let Some(email) = email {
            email.clone_into(&mut person.email);
        }
        if let Some(name) = name {
            name.clone_into(&mut person.name);
        }
        Ok(())
    }

    /// The key to sign with and the id to sign under. They match, unless the provider misbehaves.
    pub(crate) async fn signing_key(&self) -> io::Result<(Arc<Key>, String)> {
        let due = std::mem::take(&mut self.changeable().rotation_due);
        if due {
            let next = Key::generate().await?;
            self.changeable().keys.rotate(next);
        }
        let current = self.changeable().keys.current();
        let id = current.id().to_owned();
        if self.misbehaviour() != Misbehaviour::WrongKey {
            return Ok((current, id));
        }
        let impostor = self.impostor.get_or_try_init(|| async { Key::generate().await.map(Arc::new) }).await?;
        Ok((Arc::clone(impostor), id))
    }
}
