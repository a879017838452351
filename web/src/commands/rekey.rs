//! `web rekey`: another key for the database. The new key comes the way all secrets come, as DB_ENCRYPTION_KEY_NEW.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::{Path, PathBuf};

use database::DatabaseSettings;
use process::Exit;
use process::console::Progress;
use serde_json::json;
use store::rekey::{OpensWith, RekeyError, Rekeyed, Step, is_unfinished, opens_with, rekey, tidy_up};
use store::{DatabaseKey, Location, Timestamp};

use super::operator::operator;
use super::{print_err, print_out, refuse_database};

/// The steps around the command are in docs/KEY-ROTATION.md.
pub(super) const HELP: &str = "\
The database is copied under the new key, the copy is inspected, and takes the database's place in one step. Killed at any
instant, the database opens with the one key or with the other: --status says with which, and so does running it again.
As much room as the database takes must be free beside it. docs/KEY-ROTATION.md has every step around this one.

Examples:
  web rekey                      asks, and gives the database the key DB_ENCRYPTION_KEY_NEW
  web rekey --yes --json         for scripts
  web rekey --status             which of the two keys opens the database";

/// What can be said about it.
#[derive(clap::Args)]
pub struct Rekey {
    /// Say which of DB_ENCRYPTION_KEY and DB_ENCRYPTION_KEY_NEW opens the database; change nothing.
    #[arg(long)]
    pub status: bool,
    /// Do not ask: the new key is in the safe, and the key of the old backups too.
    #[arg(long, conflicts_with = "status")]
    pub yes: bool,
}

/// Exit 0 when the database has the new key, 1 when it could not be given it, 78 when no key opens it.
pub async fn run(options: Rekey, database: DatabaseSettings, new: Option<DatabaseKey>, as_json: bool) -> Exit {
    let Location::File { path, key: old } = database.location;
    let work = tokio::task::spawn_blocking(move || {
        if options.status {
            status(&path, &old, new.as_ref(), as_json)
        } else {
            work(path, old, new, &options, as_json)
        }
    });
    work.await.unwrap_or_else(|_| {
        print_err("web: the work panicked; `web rekey --status` says which key opens the database");
        Exit::Failed
    })
}

/// `--status`: also where there is no new key, or none any more.
fn status(path: &Path, old: &DatabaseKey, new: Option<&DatabaseKey>, as_json: bool) -> Exit {
    let found = match opens_with(path, old, new) {
        Ok(found) => found,
        Err(error) => return refuse_database(&error),
    };
    let status = Status { path, key: old.fingerprint(), new_key: new.map(DatabaseKey::fingerprint), found };
    print_out(&if as_json { status.as_json() } else { status.as_text() });
    if found == OpensWith::Neither { Exit::Configuration } else { Exit::Done }
}

fn work(path: PathBuf, old: DatabaseKey, new: Option<DatabaseKey>, options: &Rekey, as_json: bool) -> Exit {
    let Some(new) = new else {
        print_err(
            "web: DB_ENCRYPTION_KEY_NEW is not set: put the new key beside the old one in the secret store, and run secrets-init",
        );
        return Exit::Configuration;
    };
    match opens_with(&path, &old, Some(&new)) {
        Ok(OpensWith::Old) => Keys { path, old, new }.change(options, as_json),
        // An earlier run has come to its end, or was killed behind it.
        Ok(OpensWith::New) => match tidy_up(&path) {
            Ok(()) => status(&path, &old, Some(&new), as_json),
            Err(error) => refuse(&error),
        },
        Ok(OpensWith::Neither) => status(&path, &old, Some(&new), as_json),
        Err(error) => refuse_database(&error),
    }
}

/// What `--status` tells.
struct Status<'a> {
    path: &'a Path,
    key: String,
    new_key: Option<String>,
    found: OpensWith,
}

impl Status<'_> {
    fn as_text(&self) -> String {
        let (path, key) = (self.path.display(), &self.key);
        let new = self.new_key.as_deref().unwrap_or("not set");
        let left = if is_unfinished(self.path) {
            "\nA run is going on, or was killed: the next one removes what it left."
        } else {
            ""
        };
        match (self.found, &self.new_key) {
            (OpensWith::Old, None) => {
                format!("{path} opens with DB_ENCRYPTION_KEY ({key}); DB_ENCRYPTION_KEY_NEW is not set.{left}")
            }
            (OpensWith::Old, Some(_)) => format!(
                "{path} opens with DB_ENCRYPTION_KEY ({key}), not with DB_ENCRYPTION_KEY_NEW ({new}).\nNext: stop web, log-shipper and backup-worker, and run `web rekey`.{left}"
            ),
            (OpensWith::New, _) => {
                format!("{path} opens with DB_ENCRYPTION_KEY_NEW ({new}): the change is made.{left}\n{NEXT}")
            }
            (OpensWith::Neither, _) => format!(
                "{path} opens neither with DB_ENCRYPTION_KEY ({key}) nor with DB_ENCRYPTION_KEY_NEW ({new}): check both, and WARDPOST_DB. The rows DATABASE_REKEYED of the copied audit log name the keys that it had."
            ),
        }
    }

    fn as_json(&self) -> String {
        let opens_with = match self.found {
            OpensWith::Old => Some("DB_ENCRYPTION_KEY"),
            OpensWith::New => Some("DB_ENCRYPTION_KEY_NEW"),
            OpensWith::Neither => None,
        };
        json!({
            "database": self.path,
            "opens_with": opens_with,
            "key": self.key,
            "new_key": self.new_key,
            "unfinished": is_unfinished(self.path),
        })
        .to_string()
    }
}

struct Keys {
    path: PathBuf,
    old: DatabaseKey,
    new: DatabaseKey,
}

impl Keys {
    #[expect(clippy::disallowed_methods, reason = "there is no store while its key is changed")]
    fn change(&self, options: &Rekey, as_json: bool) -> Exit {
        if !options.yes && !self.is_meant() {
            return Exit::Usage;
        }
        let mut shown = Progress::start();
        let done = rekey(&self.path, &self.old, &self.new, &operator(), Timestamp::now(), |step| {
            shown.show(|| words(step));
        });
        drop(shown);
        match done {
            Ok(done) => {
                print_out(&if as_json { self.done_as_json(&done) } else { self.done(&done) });
                Exit::Done
            }
            Err(error) => refuse(&error),
        }
    }

    /// Asks the person at the terminal; without one, the flag is needed.
    fn is_meant(&self) -> bool {
        if !stdin().is_terminal() || !stderr().is_terminal() {
            print_err(
                "web: this changes the key of the database; say --yes when the new key is in the safe, and the key of the old backups too (backup-worker identity)",
            );
            return false;
        }
        let _ = write!(
            stderr(),
            "Give {} the key {} instead of {}?\nIs the new key in the safe, and the key of the old backups too (backup-worker identity)? [y/N] ",
            self.path.display(),
            self.new.fingerprint(),
            self.old.fingerprint()
        );
        let mut answer = String::new();
        let said = stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes");
        if !said {
            print_err("web: you did not say yes; nothing was changed");
        }
        said
    }

    fn done(&self, done: &Rekeyed) -> String {
        format!(
            "{} has the key {} now: {} pages copied and inspected, row {} of its audit log says so.\n{NEXT}",
            self.path.display(),
            self.new.fingerprint(),
            done.pages,
            done.head.id
        )
    }

    fn done_as_json(&self, done: &Rekeyed) -> String {
        json!({
            "database": self.path,
            "opens_with": "DB_ENCRYPTION_KEY_NEW",
            "key": self.old.fingerprint(),
            "new_key": self.new.fingerprint(),
            "unfinished": false,
            "pages": done.pages,
            "row": done.head.id,
        })
        .to_string()
    }
}

const NEXT: &str = "Next: make it DB_ENCRYPTION_KEY in the secret store, remove DB_ENCRYPTION_KEY_NEW there, run secrets-init, start the programs, and make a backup.";

fn words(step: Step) -> String {
    match step {
        Step::Checking => "checking every page of the database".to_owned(),
        Step::Copying(done, all) => format!("copying: {done} of {all} pages"),
        Step::Inspecting(stage) => format!("the copy: {stage}"),
        Step::Placing => "putting the copy in its place".to_owned(),
    }
}

fn refuse(error: &RekeyError) -> Exit {
    if let RekeyError::Open(error) = error {
        return refuse_database(error);
    }
    print_err(&format!("web: {error}"));
    Exit::Failed
}
