use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn environment<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(OsString, OsString)> {
    pairs.map(|(name, value)| (name.into(), value.into())).into()
}

fn settings<const N: usize>(pairs: [(&str, &str); N], file: &str) -> Settings {
    Settings::from_parts(environment(pairs), Some(EnvFile::parse(file).unwrap()))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address and port, such as 127.0.0.1:8080"))
}

fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn errors(settings: Settings) -> String {
    settings.finish(|| Some(())).unwrap_err().to_string()
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let mut settings = settings([("WARDPOST_DB", "/env")], "WARDPOST_DB=/file\nWARDPOST_LOG=warn\n");
    let database = settings.or_default("WARDPOST_DB", "/default", text);
    let log = settings.or_default("WARDPOST_LOG", "info", text);
    let listen = settings.or_default("WARDPOST_LISTEN", "127.0.0.1:8080", text);
    let target = settings.optional("WARDPOST_BACKUP_TARGET", text);
    let (read, effective) = settings.finish(|| Some((database?, log?, listen?, target?))).unwrap();
    assert_eq!(read, ("/env".into(), "warn".into(), "127.0.0.1:8080".into(), None));
    let shown = |name, value: &str, source| Effective { name, value: value.to_owned(), source };
    assert_eq!(
        effective,
        [
            shown("WARDPOST_DB", "/env", Source::Environment),
            shown("WARDPOST_LOG", "warn", Source::File),
            shown("WARDPOST_LISTEN", "127.0.0.1:8080", Source::Default),
            shown("WARDPOST_BACKUP_TARGET", "", Source::Unset),
        ]
    );
}

#[test]
fn every_fault_is_told_at_once_with_its_source() {
    let mut settings =
        settings([("WARDPOST_LISTEN", "80800"), ("WARDPOST_LITSEN", "x")], "WARDPOST_DB=bad\nWARDPOST_X=y\n");
    assert_eq!(settings.or_default("WARDPOST_LISTEN", "127.0.0.1:8080", address), None);
    assert_eq!(settings.optional("WARDPOST_DB", |_| Err::<(), _>("is bad".to_owned())), None);
    assert_eq!(settings.required("WARDPOST_PUBLIC_URL", text), None);
    settings.add_error("WARDPOST_STAFF_DOMAINS", "says nobody may sign in");
    assert_eq!(
        errors(settings),
        "WARDPOST_X: no such setting (set in the env file)\n\
         WARDPOST_LITSEN: no such setting; did you mean WARDPOST_LISTEN? (set in the environment)\n\
         WARDPOST_LISTEN: `80800` is not an address and port, such as 127.0.0.1:8080 (set in the environment)\n\
         WARDPOST_DB: is bad (set in the env file)\n\
         WARDPOST_PUBLIC_URL: is not set; set it in the environment or in the env file\n\
         WARDPOST_STAFF_DOMAINS: says nobody may sign in"
    );
}

#[test]
fn an_empty_value_is_not_set() {
    let mut settings =
        settings([("WARDPOST_DB", ""), ("WARDPOST_LOG", ""), ("WARDPOST_LISTEN", "")], "WARDPOST_DB=/file\n");
    assert_eq!(settings.optional("WARDPOST_DB", text), Some(None), "the environment switches the file's value off");
    assert_eq!(settings.or_default("WARDPOST_LOG", "info", text), Some("info".into()));
    assert_eq!(settings.required("WARDPOST_LISTEN", text), None);
    assert_eq!(
        errors(settings),
        "WARDPOST_LISTEN: is empty; set it in the environment or in the env file (set in the environment)"
    );
}

#[test]
fn names_of_others_are_left_alone_and_those_of_other_programs_allowed() {
    let settings =
        settings([("PATH", "/bin"), ("WARDPOSTAL", "x"), ("WARDPOST_DRILL_SCHEDULE", "x")], "AWS_REGION=x\n");
    assert!(settings.finish(|| Some(())).is_ok());
}

#[test]
fn a_value_that_is_no_text_is_one_fault_and_only_if_it_is_ours() {
    let not_text = || OsString::from_vec(vec![b'a', 0xff]);
    let mut settings = Settings::from_parts([("WARDPOST_DB".into(), not_text()), ("LESS".into(), not_text())], None);
    assert_eq!(settings.required("WARDPOST_DB", text), None);
    assert_eq!(errors(settings), "WARDPOST_DB: the value is not UTF-8 text (set in the environment)");
    let mut name = b"WARDPOST_DB".to_vec();
    name.push(0xff);
    let settings = Settings::from_parts([(OsString::from_vec(name), "x".into())], None);
    assert!(errors(settings).contains("did you mean WARDPOST_DB?"));
}

#[test]
fn a_secret_is_in_no_fault_and_in_no_effective_setting_however_it_is_read() {
    const HUSH: &str = "hush-hush";
    let mut settings = settings([("APP_SECRET", HUSH)], "DB_ENCRYPTION_KEY=hush-hush\nGOOGLE_CLIENT_ID=hush-hush\n");
    assert_eq!(settings.required("APP_SECRET", text), Some(HUSH.into()));
    assert_eq!(settings.secret("GOOGLE_CLIENT_ID", text), Some(HUSH.into()));
    let (_, effective) = settings.finish(|| Some(())).unwrap();
    assert!(effective.iter().all(|shown| shown.value == "***"), "{effective:?}");
    assert_eq!(effective.len(), 2);

    let mut settings = self::settings([("APP_SECRET", HUSH)], "DB_ENCRYPTION_KEY=hush-hush\n");
    settings.secret("APP_SECRET", |text| Err::<(), _>(format!("`{text}` is too short")));
    settings.optional("DB_ENCRYPTION_KEY", |text| Err::<(), _>(format!("`{text}` is too short")));
    assert_eq!(
        errors(settings),
        "APP_SECRET: the value is not acceptable (set in the environment)\n\
         DB_ENCRYPTION_KEY: the value is not acceptable (set in the env file)"
    );

    let mut settings = self::settings([("APP_SECRET", "hush")], "");
    settings.secret("APP_SECRET", |_| Err::<(), _>("must be at least 32 bytes long".to_owned()));
    assert!(errors(settings).starts_with("APP_SECRET: must be at least 32 bytes long"), "honest words are kept");
}

#[test]
fn a_secret_that_is_missing_is_a_fault() {
    let mut settings = settings([], "");
    assert_eq!(settings.secret("APP_SECRET", text), None);
    assert!(errors(settings).starts_with("APP_SECRET: is not set"));
}

#[test]
fn errors_and_values_cannot_forge_a_line() {
    let mut settings = settings([("WARDPOST_LISTEN", "a\nAPP_SECRET: fine\u{1b}[2J")], "");
    settings.required("WARDPOST_LISTEN", address);
    let shown = errors(settings);
    assert!(shown.starts_with("WARDPOST_LISTEN: `a\\nAPP_SECRET: fine\\u{1b}[2J` is not"), "{shown}");
    assert_eq!(shown.lines().count(), 1);
}

#[test]
fn nothing_is_built_from_faulty_settings_and_nothing_at_all_is_a_fault() {
    let mut settings = settings([], "");
    settings.add_error("WARDPOST_DB", "is odd");
    assert!(settings.finish(|| -> Option<()> { panic!("built in spite of an error") }).is_err());
    let nothing = self::settings([], "").finish(|| None::<()>).unwrap_err().to_string();
    assert_eq!(nothing, "settings: could not be put together, though each is right by itself");
}

#[test]
fn the_env_file_is_found_by_name_or_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("env");
    let load = |named: Option<&str>| {
        let named = named.map(|named| (OsString::from(ENV_FILE), OsString::from(named)));
        Settings::load_from(named.into_iter().collect(), &path).map_err(|errors| errors.to_string())
    };
    let missing = directory.path().join("missing");
    let missing = missing.to_str().unwrap();

    let (_, effective) = load(None).expect("a missing default file is fine").finish(|| Some(())).unwrap();
    assert_eq!(
        effective,
        [Effective { name: ENV_FILE, value: format!("{} (none there)", path.display()), source: Source::Default }]
    );
    let error = load(Some(missing)).map(drop).unwrap_err();
    assert!(error.starts_with(&format!("WARDPOST_ENV_FILE: the env file {missing}: cannot be read")), "{error}");

    let write = |text: &str| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    write("WARDPOST_DB=/file\n");
    for named in [None, Some(""), path.to_str()] {
        let mut settings = load(named).unwrap();
        assert_eq!(settings.required("WARDPOST_DB", text), Some("/file".into()), "{named:?}");
    }
    write("WARDPOST_ENV_FILE=/elsewhere\n");
    assert!(load(None).map(drop).unwrap_err().contains("cannot be set in the env file itself"));
    write("WARDPOST_DB='x'\n");
    assert!(load(None).map(drop).unwrap_err().contains("line 1, WARDPOST_DB"));
}

#[test]
fn what_is_in_force_can_be_printed_for_people_and_for_machines() {
    let mut settings = settings([("APP_SECRET", "hush-hush"), ("WARDPOST_DB", "/a b")], "");
    settings.secret("APP_SECRET", text);
    settings.required("WARDPOST_DB", text);
    settings.optional("WARDPOST_SECRET", text);
    settings.optional("WARDPOST_SECRET", text);
    let (_, effective) = settings.finish(|| Some(())).unwrap();
    assert_eq!(
        print_effective(&effective, false),
        "APP_SECRET       ***  (set in the environment)\n\
         WARDPOST_DB      /a b  (set in the environment)\n\
         WARDPOST_SECRET  (not set)\n"
    );
    let json: serde_json::Value = serde_json::from_str(&print_effective(&effective, true)).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "APP_SECRET": {"value": "***", "source": "environment"},
            "WARDPOST_DB": {"value": "/a b", "source": "environment"},
            "WARDPOST_SECRET": {"value": null, "source": "unset"},
        })
    );
}
