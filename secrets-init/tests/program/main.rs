//! The real `secrets-init` as a child process, with a stand-in for AWS on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stand_in;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use process::EnvFile;
use stand_in::{Answer, Asked, StandIn, refusal, secret};
use tempfile::TempDir;
use testkit::{Finished, Launch};

/// The signal that a program must not find ignored, or its pipelines do not end.
const SIGPIPE: u32 = 13;

const HUSH: &str = "hush$\"\\\n#hush";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The text of a good secret; `app_secret` tells versions apart.
fn text(app_secret: &str) -> String {
    let app_secret = format!("{app_secret}-an-app-secret-of-enough-bytes");
    serde_json::json!({
        "APP_SECRET": app_secret, "DB_ENCRYPTION_KEY": KEY, "GOOGLE_CLIENT_ID": "client", "GOOGLE_CLIENT_SECRET": HUSH,
    })
    .to_string()
}

/// A folder for the env file, and the program that is to write it.
struct Machine {
    folder: TempDir,
    launch: Launch,
}

impl Machine {
    fn new() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch::new(env!("CARGO_BIN_EXE_secrets-init"))
            .env("WARDPOST_ENV_FILE", folder.path().join("env"))
            .env("WARDPOST_SECRET_DEADLINE_SECONDS", "3")
            // Where a test says nothing of it, there is no AWS account to be found.
            .env("HOME", folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("PATH", "/usr/bin:/bin");
        Machine { folder, launch }
    }

    /// With credentials of its own.
    fn with_secrets_manager(stand_in: &StandIn) -> Machine {
        Machine::new()
            .env("AWS_ENDPOINT_URL", &stand_in.address)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "access-key")
            .env("AWS_SECRET_ACCESS_KEY", "hush-secret-access-key")
    }

    /// With the role of its instance.
    fn with_role(stand_in: &StandIn) -> Machine {
        Machine::new()
            .env("AWS_ENDPOINT_URL", &stand_in.address)
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &stand_in.address)
            .env("AWS_EC2_METADATA_DISABLED", "false")
    }

    fn with_file(text: &str) -> Machine {
        let machine = Machine::new();
        let path = machine.folder.path().join("secret.json");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        machine.env("WARDPOST_SECRET", &format!("file://{}", path.display()))
    }

    fn env(mut self, name: &str, value: &str) -> Machine {
        self.launch = self.launch.env(name, value);
        self
    }

    fn env_file(&self) -> PathBuf {
        self.folder.path().join("env")
    }

    /// Runs it; whatever it says, it says no secret.
    async fn run(&self, arguments: &[&str]) -> Finished {
        let launch = arguments.iter().fold(self.launch.clone(), Launch::arg);
        let finished = launch.run().await;
        assert!(!finished.stderr.contains("hush") && !finished.stderr.contains(KEY), "{}", finished.stderr);
        finished
    }

    /// The same, with the exit code that must come of it. Gives the log.
    async fn run_to(&self, code: i32) -> String {
        let finished = self.run(&[]).await;
        assert_eq!(finished.code(), Some(code), "{}", finished.stderr);
        finished.stderr
    }
}

fn app_secret(path: &Path) -> String {
    EnvFile::read(path).unwrap().get("APP_SECRET").unwrap().split('-').next().unwrap().to_owned()
}

/// The metadata service as it should be, but for what `instead` says.
fn metadata(asked: &Asked, instead: impl Fn(&str) -> Option<Answer>) -> Answer {
    const TOKEN: &str = "the-token";
    if let Some(answer) = instead(&asked.line) {
        return answer;
    }
    if asked.line.starts_with("PUT /latest/api/token") {
        return Some((200, TOKEN.to_owned()));
    }
    if asked.line.starts_with("POST /") {
        return secret(&text("role"), "version-of-role");
    }
    if !asked.headers.contains(&format!("x-aws-ec2-metadata-token: {TOKEN}")) {
        return Some((401, String::new()));
    }
    match asked.line.split(' ').nth(1).unwrap() {
        "/latest/meta-data/placement/region" => Some((200, "eu-north-1".to_owned())),
        "/latest/meta-data/iam/security-credentials/" => Some((200, "the-role".to_owned())),
        "/latest/meta-data/iam/security-credentials/the-role" => {
            let credentials = serde_json::json!({
                "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "role-key", "SecretAccessKey": "hush-role",
                "Token": "hush-token", "LastUpdated": "2020-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z",
            });
            Some((200, credentials.to_string()))
        }
        _ => Some((404, String::new())),
    }
}

#[tokio::test]
async fn a_secret_from_a_file_becomes_an_env_file_and_an_unchanged_one_changes_nothing() {
    let machine = Machine::with_file(&text("one"));
    machine.run_to(0).await;
    let file = EnvFile::read(&machine.env_file()).unwrap();
    assert_eq!((file.get("GOOGLE_CLIENT_SECRET"), file.get("DB_ENCRYPTION_KEY")), (Some(HUSH), Some(KEY)));
    let identity =
        || fs::metadata(machine.env_file()).map(|found| (found.ino(), found.mtime(), found.mtime_nsec())).unwrap();
    let before = identity();
    assert!(machine.run_to(0).await.contains("unchanged"));
    assert_eq!(identity(), before);
}

#[tokio::test]
async fn a_secrets_file_that_others_may_read_is_refused() {
    let machine = Machine::with_file(&text("one"));
    fs::set_permissions(machine.folder.path().join("secret.json"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(machine.run_to(78).await.contains("has mode 644"));
    assert!(!machine.env_file().exists());
}

#[tokio::test]
async fn a_rotated_secret_is_noticed_by_check_and_then_written_with_its_version() {
    let stand_in =
        StandIn::start(|_, before| if before < 2 { secret(&text("old"), "v-1") } else { secret(&text("new"), "v-2") });
    let machine = Machine::with_secrets_manager(&stand_in);
    machine.run_to(0).await;
    assert_eq!(machine.run(&["--check"]).await.code(), Some(0));
    let check = machine.run(&["--check", "--json"]).await;
    let result: serde_json::Value = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!((check.code(), &result["same"], &result["version"]), (Some(1), &false.into(), &"v-2".into()));
    assert_eq!(result["differences"], serde_json::json!({ "APP_SECRET": "changed" }));
    assert_eq!(app_secret(&machine.env_file()), "old", "--check writes nothing");
    assert!(machine.run_to(0).await.contains("\"version\":\"v-2\""));
    assert_eq!(app_secret(&machine.env_file()), "new");
    assert!(fs::read_to_string(machine.env_file()).unwrap().contains("\nWARDPOST_SECRET_VERSION=\"v-2\"\n"));
    assert!(stand_in.asked().iter().all(|asked| asked.body.contains("\"VersionStage\":\"AWSCURRENT\"")));
}

#[tokio::test]
async fn what_passes_is_waited_out() {
    let stand_in = StandIn::start(|_, before| match before {
        0 => refusal(400, "ThrottlingException", "Rate exceeded"),
        1 => None,
        2 => refusal(400, "InvalidSignatureException", "Signature expired: now is later"),
        _ => secret(&text("late"), "v-1"),
    });
    let log = Machine::with_secrets_manager(&stand_in).env("WARDPOST_SECRET_DEADLINE_SECONDS", "60").run_to(0).await;
    assert_eq!(log.matches("not yet: ").count(), 3, "{log}");
    assert!(
        log.contains("ThrottlingException") && log.contains("cannot be reached") && log.contains("refuses the time"),
        "{log}"
    );
}

#[tokio::test]
async fn what_does_not_pass_keeps_the_last_good_file_and_says_so() {
    let stand_in = StandIn::start(|_, before| {
        if before == 0 { secret(&text("good"), "v-1") } else { refusal(500, "InternalServiceError", "") }
    });
    let machine = Machine::with_secrets_manager(&stand_in);
    machine.run_to(0).await;
    let log = machine.run_to(69).await;
    assert!(log.contains("gave up after") && log.contains("the env file that is there stays"), "{log}");
    assert_eq!(app_secret(&machine.env_file()), "good");
}

#[tokio::test]
async fn a_denial_names_action_and_resource_and_is_not_repeated() {
    let message = "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: secretsmanager:GetSecretValue";
    let stand_in = StandIn::start(move |_, _| refusal(400, "AccessDeniedException", message));
    let log = Machine::with_secrets_manager(&stand_in).run_to(78).await;
    for part in
        ["secretsmanager:GetSecretValue", "wardpost/app-secrets", "assumed-role/x", "kms:Decrypt", "eu-central-1"]
    {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn a_broken_secret_is_told_key_by_key_and_the_old_file_stays() {
    let broken =
        serde_json::json!({ "APP_SECRET": "hush", "DB_ENCRYPTION_KEY": 7, "GOOGLE_CLIENT_ID": "", "a-b": "hush" });
    let stand_in =
        StandIn::start(move |_, before| secret(&if before == 0 { text("good") } else { broken.to_string() }, "v"));
    let machine = Machine::with_secrets_manager(&stand_in);
    machine.run_to(0).await;
    let log = machine.run_to(78).await;
    for name in [
        "APP_SECRET must be",
        "DB_ENCRYPTION_KEY is a number",
        "GOOGLE_CLIENT_ID is empty",
        "a-b is no name",
        "GOOGLE_CLIENT_SECRET is missing",
    ] {
        assert!(log.contains(name), "{name}: {log}");
    }
    assert_eq!(app_secret(&machine.env_file()), "good");
}

#[tokio::test]
async fn a_reply_that_is_none_a_binary_secret_and_a_huge_one_are_told_apart() {
    for (body, code, said) in [
        ("<html>hush</html>".to_owned(), 69, "not one of Secrets Manager"),
        (r#"{"SecretBinary": "aHVzaA=="}"#.to_owned(), 78, "binary data"),
        (secret(&text(&"x".repeat(70_000)), "v").unwrap().1, 78, "a secret has 65536 at most"),
    ] {
        let stand_in = StandIn::start(move |_, _| Some((200, body.clone())));
        let machine = Machine::with_secrets_manager(&stand_in);
        let log = machine.run_to(code).await;
        assert!(log.contains(said), "{said}: {log}");
        assert!(!machine.env_file().exists());
    }
}

#[tokio::test]
async fn the_role_of_the_instance_signs_and_its_region_is_used() {
    let stand_in = StandIn::start(|asked, _| metadata(asked, |_| None));
    // Asked for in every way there is, the SDK's log still shows nothing.
    let machine = Machine::with_role(&stand_in)
        .env("LOG_SENSITIVE_BODIES", "true")
        .env("WARDPOST_LOG", "trace,aws_config=trace,aws_smithy_runtime=trace");
    machine.run_to(0).await;
    assert_eq!(app_secret(&machine.env_file()), "role");
    let call = stand_in.asked().into_iter().find(|asked| asked.line.starts_with("POST /")).unwrap();
    assert!(
        call.headers.contains("credential=role-key/") && call.headers.contains("/eu-north-1/secretsmanager/"),
        "{}",
        call.headers
    );
}

#[tokio::test]
async fn an_instance_without_a_role_is_told_from_one_without_an_answer() {
    let stand_in = StandIn::start(|asked, _| {
        metadata(asked, |line| line.contains("security-credentials").then(|| Some((404, String::new()))))
    });
    let log = Machine::with_role(&stand_in).run_to(69).await;
    assert!(log.contains("the instance has no role") && log.contains("attach an instance profile"), "{log}");

    let closed = StandIn::start(|_, _| None);
    let log = Machine::with_role(&closed).run_to(69).await;
    assert!(log.contains("no metadata service answers"), "{log}");

    let log = Machine::new().run_to(78).await;
    assert!(log.contains("AWS_EC2_METADATA_DISABLED"), "{log}");
}

#[tokio::test]
async fn a_role_that_comes_late_is_waited_for() {
    let late = std::sync::atomic::AtomicUsize::new(0);
    let stand_in = StandIn::start(move |asked, _| {
        metadata(asked, |line| {
            let is_role = line.contains("security-credentials/ ");
            let early = is_role && late.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3;
            early.then(|| Some((404, String::new())))
        })
    });
    let machine = Machine::with_role(&stand_in).env("WARDPOST_SECRET_DEADLINE_SECONDS", "60");
    let log = machine.run_to(0).await;
    assert!(log.contains("the instance has no role"), "{log}");
    assert_eq!(app_secret(&machine.env_file()), "role");
}

#[tokio::test]
async fn a_command_gets_the_secrets_and_no_file_is_written() {
    // What the command is to find switched off must be on before. Only root may raise it where it is off for good.
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    let _ = setrlimit(Resource::RLIMIT_CORE, hard.max(4096), hard.max(4096));
    let machine = Machine::with_file(&text("exec")).env("KEPT", "kept");
    let script = r#"printf '%s|%s|%s|\n' "$KEPT" "$GOOGLE_CLIENT_SECRET" "$1"; grep SigIgn /proc/self/status; ulimit -c; tr '\0' ' ' </proc/self/cmdline; exit 7"#;
    let finished = machine.run(&["--exec", "sh", "-c", script, "sh", "--json"]).await;
    assert_eq!(finished.code(), Some(7), "{}", finished.stderr);
    assert!(finished.stdout.starts_with(&format!("kept|{HUSH}|--json|\n")), "{}", finished.stdout);
    let lines: Vec<_> = finished.stdout.lines().skip(2).collect();
    let ignored = u64::from_str_radix(lines[0].rsplit('\t').next().unwrap(), 16).unwrap();
    assert_eq!(ignored & (1 << (SIGPIPE - 1)), 0, "SIGPIPE is ignored: {}", finished.stdout);
    assert_eq!(lines[1], "0", "core dumps are on: {}", finished.stdout);
    assert!(!lines[2].contains("hush"), "a secret is in its arguments: {}", finished.stdout);
    assert!(!machine.env_file().exists());
    let missing = machine.run(&["--exec", "no-such-command"]).await;
    assert_eq!(missing.code(), Some(1));
    assert!(missing.stderr.contains("no-such-command"), "{}", missing.stderr);
}

#[tokio::test]
async fn wrong_settings_are_refused_together_before_anything_is_asked() {
    let machine = Machine::new()
        .env("WARDPOST_SECRET", "https://example.org/secret")
        .env("WARDPOST_ENV_OWNER", "no-such-user:root")
        .env("WARDPOST_SECRET_DEADLINE_SECONDS", "0")
        .env("WARDPOST_LITSEN", "x");
    let log = machine.run_to(78).await;
    for name in [
        "WARDPOST_SECRET:",
        "WARDPOST_ENV_OWNER: this machine has no user",
        "WARDPOST_SECRET_DEADLINE_SECONDS:",
        "did you mean WARDPOST_LISTEN?",
    ] {
        assert!(log.contains(name), "{name}: {log}");
    }
    assert_eq!(machine.run(&["--nonsense"]).await.code(), Some(64));
}

#[tokio::test]
async fn the_settings_in_force_can_be_asked_for() {
    let machine = Machine::with_file(&text("x"));
    let shown = machine.run(&["--check-config", "--json"]).await;
    let settings: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(settings["WARDPOST_SECRET_DEADLINE_SECONDS"]["value"], "3");
    assert_eq!(settings["WARDPOST_ENV_FILE"]["value"], machine.env_file().to_str().unwrap());
    assert!(!machine.env_file().exists());
}
