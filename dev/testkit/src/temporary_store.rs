//! A database that is gone with the test, and staff members who are signed in to it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use store::{
    Actor, Client, DatabaseKey, Environment, Identity, IfMissing, Location, Session, SessionToken, SignIn, Store,
    Timestamp,
};
use tempfile::TempDir;

/// The key of every temporary database: it guards nothing.
const KEY: &str = "00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f";

/// The issuer that vouches for the members of a test.
const ISSUER: &str = "https://provider.example";

/// A place for a database, which is removed on drop. Open it as often as the test needs programs.
#[derive(Debug)]
pub struct TemporaryStore {
    directory: TempDir,
}

impl TemporaryStore {
    /// An empty place; the database comes into being when it is first opened.
    #[expect(clippy::new_without_default, reason = "a default that makes a directory would surprise")]
    pub fn new() -> TemporaryStore {
        TemporaryStore { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// The directory of the database, with nothing else in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The database file.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("wardpost.db")
    }

    /// Its key, as DB_ENCRYPTION_KEY has it.
    pub fn key_hex(&self) -> &'static str {
        KEY
    }

    /// Its key.
    pub fn key(&self) -> DatabaseKey {
        DatabaseKey::from_hex(KEY).expect("a key of 64 hexadecimal characters")
    }

    /// Opens it, as one program does; creates it the first time.
    pub async fn open(&self) -> Store {
        self.open_with(Environment::default()).await
    }

    /// The same with another clock.
    pub async fn open_with(&self, environment: Environment) -> Store {
        let location = Location::file(self.path(), &self.key());
        let opened = Store::open_with(&location, IfMissing::Create, environment).await;
        opened.unwrap_or_else(|error| panic!("{}: {error}", self.path().display()))
    }
}

/// A staff member who is signed in.
#[derive(Debug)]
pub struct Member {
    /// As whom to act.
    pub actor: Actor,
    /// What their browser holds.
    pub token: SessionToken,
    /// The session as it began.
    pub session: Session,
}

/// Signs a member in from a browser of this machine. The same name is the same person, with a new session each time:
/// `Amina Diallo` is `amina.diallo@clinic.example`.
pub async fn member(store: &Store, name: &str, at: Timestamp) -> Member {
    let handle = name.to_lowercase().replace(' ', ".");
    let identity = Identity {
        issuer: ISSUER.to_owned(),
        subject: format!("subject-of-{handle}"),
        email: format!("{handle}@clinic.example"),
        name: name.to_owned(),
    };
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = Client { ip, user_agent: "testkit".to_owned() };
    match store.sign_in(identity, None, client, at).await {
        Ok(SignIn::SignedIn { token, session }) => {
            let actor = Actor { person: session.person, session: session.id, ip };
            Member { actor, token, session }
        }
        Ok(SignIn::Disabled) => panic!("{name} is disabled and cannot sign in"),
        Err(error) => panic!("{name} cannot sign in: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use store::{SessionLimits, SessionState};

    use super::*;
    use crate::wait::SOON;

    #[tokio::test]
    async fn members_are_signed_in_and_the_same_name_is_the_same_person() {
        let place = TemporaryStore::new();
        assert!(!place.path().exists());
        let store = place.open().await;
        let at = Timestamp::now();
        let first = member(&store, "Amina Diallo", at).await;
        let again = member(&store, "Amina Diallo", at).await;
        let other = member(&store, "Zoë Ö", at).await;
        assert_eq!(first.actor.person, again.actor.person);
        assert_ne!(first.actor.session, again.actor.session);
        assert_ne!(first.actor.person, other.actor.person);
        assert_eq!(first.session.person_email, "amina.diallo@clinic.example");
        let limits = SessionLimits { idle: SOON, absolute: SOON };
        for member in [first, again, other] {
            let state = store.session(&member.token, limits, at).await.unwrap();
            assert!(matches!(state, SessionState::Live(live) if live.id == member.actor.session));
        }
        store.close().await;

        // A second program finds the same database.
        let store = place.open().await;
        assert_eq!(store.people().await.unwrap().len(), 2);
        store.close().await;
    }
}
