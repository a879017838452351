use nix::unistd::{Gid, Uid, getegid, geteuid};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::secret::tests::{whole, writable};

fn secret(more: &[(&str, &str)]) -> Secret {
    Secret::parse(&whole(more), Some("version-1".to_owned())).unwrap()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("env");
    (folder, path)
}

fn names(folder: &TempDir) -> Vec<String> {
    fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What changes when a file is replaced, or only touched.
fn identity(path: &Path) -> (u64, i64, i64) {
    let found = fs::metadata(path).unwrap();
    (found.ino(), found.mtime(), found.mtime_nsec())
}

#[test]
fn the_file_is_private_says_its_version_and_reads_back() {
    let (folder, path) = folder();
    assert_eq!(write(&path, None, &secret(&[])).unwrap(), Written::New);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(EnvFile::read(&path).unwrap().get("WARDPOST_SECRET_VERSION"), Some("version-1"));
    assert!(differences(&EnvFile::read(&path).unwrap(), &secret(&[])).is_empty());
    assert_eq!(names(&folder), ["env"]);
}

#[test]
fn what_is_unchanged_is_not_touched_and_what_changed_is_replaced() {
    let (folder, path) = folder();
    write(&path, None, &secret(&[("A", "1")])).unwrap();
    let before = identity(&path);
    assert_eq!(write(&path, None, &secret(&[("A", "1")])).unwrap(), Written::Unchanged);
    let other_version = Secret::parse(&whole(&[("A", "1")]), Some("version-2".to_owned())).unwrap();
    assert_eq!(write(&path, None, &other_version).unwrap(), Written::Unchanged, "nothing restarts for a number");
    assert_eq!(identity(&path), before);
    for changed in [&[("A", "2")][..], &[("A", "2"), ("B", "")], &[]] {
        assert_eq!(write(&path, None, &secret(changed)).unwrap(), Written::New, "{changed:?}");
        assert!(differences(&EnvFile::read(&path).unwrap(), &secret(changed)).is_empty());
    }
    assert_eq!(names(&folder), ["env"]);
}

#[test]
fn a_file_that_others_may_read_or_that_is_broken_is_replaced() {
    let (_folder, path) = folder();
    write(&path, None, &secret(&[])).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(write(&path, None, &secret(&[])).unwrap(), Written::New);
    fs::write(&path, "APP_SECRET='broken").unwrap();
    assert_eq!(write(&path, None, &secret(&[])).unwrap(), Written::New);
    assert!(EnvFile::read(&path).is_ok());
}

#[test]
fn what_a_killed_run_has_left_is_removed_and_nothing_else() {
    let (folder, path) = folder();
    let left = unfinished_name(&path, 42);
    let others = [
        ".env.42.unfinished",
        ".other.000000000000002a.unfinished",
        "env.000000000000002a.unfinished",
        ".env.unfinished",
        "notes",
    ];
    for name in others.iter().copied().chain([left.as_str()]) {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    write(&path, None, &secret(&[])).unwrap();
    let mut found = names(&folder);
    let mut expected: Vec<String> = others.iter().map(|name| (*name).to_owned()).chain(["env".to_owned()]).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_run_that_fails_leaves_the_old_file_and_nothing_beside_it() {
    let (folder, path) = folder();
    write(&path, None, &secret(&[])).unwrap();
    let before = identity(&path);
    // Nobody can be given to -1 (chown takes it for "as it is"); so a folder stands in the way instead.
    let blocked = folder.path().join("blocked");
    fs::create_dir(&blocked).unwrap();
    fs::write(blocked.join("inside"), "x").unwrap();
    let error = write(&blocked, None, &secret(&[])).unwrap_err();
    assert_eq!(error.exit(), Exit::Configuration, "{error}");
    assert_eq!(identity(&path), before);
    let mut found = names(&folder);
    found.sort();
    assert_eq!(found, ["blocked", "env"]);
}

#[test]
fn the_file_belongs_to_the_owner_that_was_named() {
    let (_folder, path) = folder();
    let own = Owner { user: geteuid(), group: getegid() };
    assert_eq!(write(&path, Some(&own), &secret(&[])).unwrap(), Written::New);
    assert_eq!(write(&path, Some(&own), &secret(&[])).unwrap(), Written::Unchanged);
    let other = Owner { user: Uid::from_raw(65_534), group: Gid::from_raw(65_534) };
    let given = write(&path, Some(&other), &secret(&[]));
    if geteuid().is_root() {
        assert_eq!(given.unwrap(), Written::New);
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (65_534, 65_534, 0o600));
    } else {
        assert!(matches!(given.unwrap_err(), WriteError::Owner { .. }));
    }
}

#[test]
fn two_runs_do_not_write_at_once() {
    let (folder, path) = folder();
    let lock = Flock::lock(File::open(folder.path()).unwrap(), FlockArg::LockExclusive).unwrap();
    let error = write(&path, None, &secret(&[])).unwrap_err();
    assert!(matches!(error, WriteError::Busy(_)) && error.exit() == Exit::Unavailable, "{error}");
    drop(lock);
    write(&path, None, &secret(&[])).unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_named_with_what_makes_it() {
    let (folder, _) = folder();
    let error = write(&folder.path().join("missing/env"), None, &secret(&[])).unwrap_err();
    assert_eq!(error.exit(), Exit::Configuration);
    assert!(error.to_string().contains("/missing") && error.to_string().contains("RuntimeDirectory="), "{error}");
}

#[test]
fn a_reader_that_would_read_it_otherwise_keeps_it_out() {
    let (folder, path) = folder();
    for (text, reader) in [
        (render(&secret(&[("A", "x")])).unwrap().replace("A=\"x\"", "A=\"y\""), "this program"),
        // Our reader takes a plain value, and a blank after a quote; the others, as they are kept here, do not.
        (render(&secret(&[("A", "x")])).unwrap().replace("A=\"x\"", "A=\"x\" "), "systemd"),
    ] {
        let error = replace(&path, folder.path(), &text, None, &secret(&[("A", "x")])).unwrap_err();
        assert!(matches!(error, WriteError::ReadOtherwise { reader: found } if found == reader), "{error}");
    }
    assert_eq!(names(&folder), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_legal_secret_survives_write_and_read(
        pairs in proptest::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,12}", r#"([\\"$#=;'`\n ]|[^\x00\r]){0,60}"#.prop_map(writable), 0..8)
    ) {
        let (_folder, path) = folder();
        let pairs: Vec<_> = pairs.iter().filter(|(name, _)| !name.starts_with("WARDPOST_")).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let secret = secret(&pairs);
        prop_assert_eq!(write(&path, None, &secret).unwrap(), Written::New);
        let file = EnvFile::read(&path).unwrap();
        for (name, value) in pairs {
            prop_assert_eq!(file.get(name), Some(value));
        }
        prop_assert_eq!(write(&path, None, &secret).unwrap(), Written::Unchanged);
    }
}
