//! The runner of `make demo`, with a stand-in for `web` beside it, so that these tests need no program but their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod demo_process;
mod stand_in;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use demo_process::{Demo, DemoOptions, binaries};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The environment that the stand-in was started with.
fn environment(demo: &Demo) -> BTreeMap<String, String> {
    let log = fs::read_to_string(demo.data().join("logs/web.log")).unwrap();
    let line = log.lines().find(|line| line.starts_with('{')).expect("the stand-in tells its environment");
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_demo_says_where_it_is_once_it_is_ready_and_stops_when_asked() {
    let mut demo = DemoOptions::new().web("BEHAVIOUR", "late").start();
    let line = demo.announced();
    let site = line["site"].as_str().unwrap().to_owned();
    let provider = line["provider"].as_str().unwrap();
    let log = fs::read_to_string(line["programs"]["web"]["log"].as_str().unwrap()).unwrap();
    assert!(log.contains(stand_in::READY), "announced before it was ready");
    assert!(TcpStream::connect(site.trim_start_matches("http://")).is_ok());
    assert!(TcpStream::connect(provider.trim_start_matches("http://")).is_ok());
    assert!(line["programs"]["web"]["pid"].is_u64());

    assert_eq!(demo.stop(), Some(0), "{}", demo.said());
    assert!(TcpStream::connect(site.trim_start_matches("http://")).is_err(), "web is still there");
    assert_eq!(demo.rest_of_standard_output(), "", "standard output carries one line of JSON");
}

#[test]
fn the_provider_alone_leaves_the_site_to_others() {
    let mut demo = DemoOptions::new().arguments(&["--provider-only"]).start();
    let line = demo.announced();
    assert_eq!(line["programs"], serde_json::json!({}));
    assert!(TcpStream::connect(line["provider"].as_str().unwrap().trim_start_matches("http://")).is_ok());
    let site = TcpListener::bind(line["site"].as_str().unwrap().trim_start_matches("http://"));
    assert!(site.is_ok(), "the port is free for the site: {site:?}");
    assert_eq!(mode(&demo.data().join("secret.json")), 0o600);
    assert_eq!(demo.stop(), Some(0), "{}", demo.said());
}

#[test]
fn every_program_runs_unless_it_is_left_out() {
    for (arguments, expected) in [
        (&[] as &[&str], &["backup-worker", "log-shipper", "web"] as &[&str]),
        (&["--without", "log-shipper"], &["backup-worker", "web"]),
        (&["--without", "log-shipper", "--without", "backup-worker"], &["web"]),
    ] {
        let mut demo = DemoOptions::new().arguments(arguments).start();
        let line = demo.announced();
        let running: Vec<_> = line["programs"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(running, expected);
        assert_eq!(mode(&demo.data().join("backups")), 0o700);
        assert_eq!(demo.stop(), Some(0), "{}", demo.said());
    }
}

#[test]
fn its_data_is_private_and_no_secret_is_in_an_environment() {
    let mut demo = DemoOptions::new().start();
    demo.announced();
    assert_eq!(mode(demo.data()), 0o700);
    assert_eq!(mode(&demo.data().join("secret.json")), 0o600);
    assert_eq!(mode(&demo.data().join("env")), 0o600);
    assert_eq!(mode(&demo.data().join("logs/web.log")), 0o600);

    let secrets = demo.secrets();
    assert_eq!(
        secrets.keys().map(String::as_str).collect::<Vec<_>>(),
        ["APP_SECRET", "DB_ENCRYPTION_KEY", "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"]
    );
    for (name, value) in &secrets {
        assert!(value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        assert!(!environment(&demo).values().any(|other| other.contains(value)), "{name} is in web's environment");
        assert!(!demo.said().contains(value), "{name} was printed");
    }
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn web_is_told_where_everything_is_and_nothing_foreign() {
    let mut demo = DemoOptions::new()
        .own("WARDPOST_SESSION_IDLE_MINUTES", "2")
        .own("WARDPOST_DB", "/somewhere/else.db")
        .own("GOOGLE_CLIENT_SECRET", "a real one")
        .own("AWS_PROFILE", "somebody's")
        .web("LD_PRELOAD", "")
        .web("WARDPOST_STAFF_EMAILS", "a=b@clinic.example")
        .start();
    let line = demo.announced();
    let told = environment(&demo);
    let get = |name: &str| told.get(name).map(String::as_str);
    assert_eq!(get("WARDPOST_PUBLIC_URL"), line["site"].as_str());
    assert_eq!(get("WARDPOST_OIDC_ISSUER"), line["provider"].as_str());
    assert_eq!(get("WARDPOST_LISTEN"), line["site"].as_str().map(|site| site.trim_start_matches("http://")));
    assert_eq!(get("WARDPOST_DB"), demo.data().join("wardpost.db").to_str());
    assert_eq!(get("WARDPOST_ENV_FILE"), demo.data().join("env").to_str());
    assert_eq!(get("WARDPOST_STAFF_DOMAINS"), Some("clinic.example"));
    assert_eq!(get("WARDPOST_STAFF_EMAILS"), Some("a=b@clinic.example"));
    assert_eq!(get("WARDPOST_SESSION_IDLE_MINUTES"), Some("2"));
    assert_eq!(get("LD_PRELOAD"), Some(""));
    assert_eq!((get("GOOGLE_CLIENT_SECRET"), get("AWS_PROFILE")), (None, None));
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn data_is_kept_from_run_to_run_until_it_is_reset() {
    let options = DemoOptions::new();
    let run = |arguments: &[&str]| {
        let mut demo = options.clone().arguments(arguments).start();
        demo.announced();
        let secrets = demo.secrets();
        assert_eq!(demo.stop(), Some(0));
        secrets
    };
    let first = run(&[]);
    assert_eq!(run(&[]), first);
    assert!(options.data().join("logs/web.before.log").exists());

    let mut unasked = options.clone().arguments(&["--reset"]).start();
    assert_eq!(unasked.wait(), Some(64), "{}", unasked.said());
    assert!(unasked.said().contains("--yes"), "{}", unasked.said());
    assert_eq!(unasked.secrets(), first);

    fs::write(options.data().join("wardpost.db"), "old").unwrap();
    let second = run(&["--reset", "--yes"]);
    assert!(second["DB_ENCRYPTION_KEY"] != first["DB_ENCRYPTION_KEY"]);
    assert!(!options.data().join("wardpost.db").exists());
}

#[test]
fn a_database_whose_key_is_gone_is_not_started_with_another() {
    let options = DemoOptions::new();
    let mut demo = options.clone().start();
    demo.announced();
    assert_eq!(demo.stop(), Some(0));
    fs::write(options.data().join("wardpost.db"), "encrypted").unwrap();
    fs::remove_file(options.data().join("secret.json")).unwrap();
    let mut demo = options.start();
    assert_eq!(demo.wait(), Some(1));
    assert!(demo.said().contains("--reset"), "{}", demo.said());
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let options = DemoOptions::new().arguments(&["--reset", "--yes"]);
    fs::create_dir(options.data()).unwrap();
    fs::write(options.data().join("thesis.txt"), "years of work").unwrap();
    let mut demo = options.start();
    assert_eq!(demo.wait(), Some(64));
    assert!(demo.said().contains("--data"), "{}", demo.said());
    assert_eq!(fs::read_dir(demo.data()).unwrap().count(), 1);
}

#[test]
fn two_demos_do_not_share_a_folder() {
    let options = DemoOptions::new();
    let mut first = options.clone().start();
    first.announced();
    let mut second = options.start();
    assert_eq!(second.wait(), Some(69));
    assert!(second.said().contains("another demo"), "{}", second.said());
    assert_eq!(first.stop(), Some(0));
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_helps() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for flag in ["--port", "--provider-port"] {
        let mut demo = DemoOptions::new().arguments(&[flag, &address.port().to_string()]).start();
        assert_eq!(demo.wait(), Some(69));
        assert!(demo.said().contains(&format!("{address} is taken")), "{}", demo.said());
        assert!(demo.said().contains(flag), "{}", demo.said());
    }
}

#[test]
fn a_program_that_ends_takes_the_demo_down_with_its_last_words() {
    for (behaviour, ready_before) in [("fail", false), ("fail_once_asked", true)] {
        let mut demo = DemoOptions::new().web("BEHAVIOUR", behaviour).start();
        if ready_before {
            let site = demo.announced()["site"].as_str().unwrap().to_owned();
            // Its last words are all that comes of this request.
            let _ = TcpStream::connect(site.trim_start_matches("http://"));
        }
        assert_eq!(demo.wait(), Some(1), "{behaviour}");
        assert!(demo.said().contains("exit status: 78"), "{}", demo.said());
        assert!(demo.said().contains("the disk is on fire"), "{}", demo.said());
        assert!(demo.said().contains("logs/web.log"), "{}", demo.said());
    }
}

#[test]
fn without_secrets_nothing_is_served_and_the_reason_is_shown() {
    let options = DemoOptions::new();
    let mut demo = options.clone().start();
    demo.announced();
    assert_eq!(demo.stop(), Some(0));
    fs::remove_file(options.data().join("logs/web.log")).unwrap();
    let mut demo = options.own(stand_in::BROKEN_SECRET, "1").start();
    assert_eq!(demo.wait(), Some(1));
    assert!(demo.said().contains("secrets-init failed (exit status: 78)"), "{}", demo.said());
    assert!(demo.said().contains("the disk is on fire"), "{}", demo.said());
    assert!(!demo.data().join("logs/web.log").exists(), "web was started");
}

#[test]
fn a_program_that_is_not_built_is_named_with_the_way_to_build_it() {
    let lonely = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::hard_link(binaries().join("demo"), lonely.path().join("demo")).unwrap();
    let mut demo = DemoOptions::new().start_in(lonely.path());
    assert_eq!(demo.wait(), Some(1));
    assert!(demo.said().contains("cargo build --bin secrets-init"), "{}", demo.said());
}

#[test]
fn a_second_signal_ends_a_program_that_will_not_stop() {
    let mut demo = DemoOptions::new().web("BEHAVIOUR", "stubborn").start();
    demo.announced();
    demo.terminate();
    demo.until_said("Stopping");
    let second_signal = Instant::now();
    demo.terminate();
    assert_eq!(demo.wait(), Some(0), "{}", demo.said());
    assert!(second_signal.elapsed() < Duration::from_secs(15), "only the deadline of 20 s ended it");
    assert!(demo.said().contains("web did not end"), "{}", demo.said());
}

#[test]
fn a_login_hint_signs_in_for_tests_and_not_for_a_person() {
    let mut for_tests = DemoOptions::new().start();
    let line = for_tests.announced();
    let (site, provider) = (line["site"].as_str().unwrap(), line["provider"].as_str().unwrap());
    assert!(sign_in_by_hint(&for_tests, site, provider).starts_with("HTTP/1.1 303"));
    assert_eq!(for_tests.stop(), Some(0));

    let mut for_a_person = DemoOptions::for_a_person().start();
    let said = for_a_person.until_printed("Ctrl-C stops everything.");
    let addresses: Vec<&str> = said.split_whitespace().filter(|word| word.starts_with("http://")).collect();
    assert!(sign_in_by_hint(&for_a_person, addresses[0], addresses[1]).starts_with("HTTP/1.1 200"));
    assert_eq!(for_a_person.stop(), Some(0));
}

/// What the provider answers to an authorization request that names a person.
fn sign_in_by_hint(demo: &Demo, site: &str, provider: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &demo.secrets()["GOOGLE_CLIENT_ID"])
        .append_pair("redirect_uri", &format!("{site}/sign-in/callback"))
        .extend_pairs([("response_type", "code"), ("scope", "openid"), ("login_hint", "amina@clinic.example")])
        .extend_pairs([("code_challenge", "c".repeat(43).as_str()), ("code_challenge_method", "S256")])
        .finish();
    let mut stream = TcpStream::connect(provider.trim_start_matches("http://")).unwrap();
    write!(stream, "GET /authorize?{query} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_demo_under_a_test_ends_with_the_process_that_started_it() {
    let mut demo = DemoOptions::new().start_under_a_shell();
    demo.announced();
    demo.terminate();
    assert_eq!(demo.wait(), None, "the shell was to die of the signal");
    assert!(demo.said().contains("Stopped."), "{}", demo.said());
}

#[test]
fn a_person_is_told_what_to_open_who_to_be_and_how_to_stop() {
    let mut demo = DemoOptions::for_a_person().start();
    let said = demo.until_printed("Ctrl-C stops everything.");
    assert!(said.contains("Open  http://127.0.0.1:"), "{said}");
    for person in demo::DemoPerson::everyone() {
        assert!(said.contains(&person.email) && said.contains(&person.name), "{said}");
    }
    assert!(said.contains(demo.data().to_str().unwrap()) && said.contains("logs/web.log"), "{said}");
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_wrong_command_line_and_a_cry_for_help_are_told_apart() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--prot", "80"], 64),
        (&["--web-env", "LD_PRELOAD"], 64),
        (&["--port", "8080", "--provider-port", "8080"], 64),
        (&["--yes"], 64),
    ] {
        let mut demo = DemoOptions::new().only_arguments(arguments).start();
        assert_eq!(demo.wait(), Some(code), "{arguments:?}: {}", demo.said());
    }
}
