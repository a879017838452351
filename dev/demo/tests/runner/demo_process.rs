//! The real `demo` binary as a child process, in a folder where the stand-ins have the names of the programs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use process::EnvFile;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A folder with the demo, and stand-ins for the programs. The same for all runs, since a debug binary is large.
pub(crate) fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runner");
        fs::create_dir_all(&folder).unwrap();
        // Other test processes do the same at the same time: make each file aside, and put it in place in one step.
        let aside = tempfile::tempdir_in(&folder).unwrap();
        let demo = aside.path().join("demo");
        fs::hard_link(env!("CARGO_BIN_EXE_demo"), &demo).unwrap();
        fs::rename(demo, folder.join("demo")).unwrap();
        let own = std::env::current_exe().unwrap();
        let test = |name| format!("'{}' --exact stand_in::{name} --nocapture", own.display());
        for (name, command) in [
            ("web", test("stand_in_for_web")),
            ("secrets-init", test("stand_in_for_secrets_init")),
            ("log-shipper", "tail -f /dev/null".to_owned()),
            ("backup-worker", "tail -f /dev/null".to_owned()),
        ] {
            let program = aside.path().join(name);
            let script = format!("#!/bin/sh\nexec {command}\n");
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(program, folder.join(name)).unwrap();
        }
        folder
    })
}

/// How a demo is to be started.
#[derive(Clone)]
pub(crate) struct DemoOptions {
    scratch: Rc<TempDir>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl DemoOptions {
    /// As tests start it: any free ports, a folder of its own.
    pub(crate) fn new() -> DemoOptions {
        DemoOptions::for_a_person().arguments(&["--for-tests"])
    }

    pub(crate) fn for_a_person() -> DemoOptions {
        let scratch = Rc::new(tempfile::tempdir().unwrap());
        let options = DemoOptions { scratch, arguments: Vec::new(), environment: Vec::new() };
        let data = options.data().to_str().unwrap().to_owned();
        options.arguments(&["--data", &data])
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.scratch.path().canonicalize().unwrap().join("data")
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> DemoOptions {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    pub(crate) fn only_arguments(mut self, arguments: &[&str]) -> DemoOptions {
        self.arguments.clear();
        self.arguments(arguments)
    }

    /// A variable in the demo's own environment.
    pub(crate) fn own(mut self, name: &str, value: &str) -> DemoOptions {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A variable for web.
    pub(crate) fn web(self, name: &str, value: &str) -> DemoOptions {
        self.arguments(&["--web-env", &format!("{name}={value}")])
    }

    pub(crate) fn start(self) -> Demo {
        self.start_in(binaries())
    }

    pub(crate) fn start_in(self, binaries: &Path) -> Demo {
        self.start_as(Command::new(binaries.join("demo")))
    }

    /// As the child of a shell, which is what [`Demo`] then signals.
    pub(crate) fn start_under_a_shell(self) -> Demo {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#""$0" "$@" & wait"#]).arg(binaries().join("demo"));
        self.start_as(shell)
    }

    fn start_as(self, mut command: Command) -> Demo {
        for flag in ["--port", "--provider-port"] {
            let chosen = self.arguments.iter().any(|argument| argument == flag);
            if !chosen && self.arguments.iter().any(|argument| argument == "--data") {
                command.args([flag, "0"]);
            }
        }
        command.args(&self.arguments).envs(self.environment.clone());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Said::default());
        let (errors, heard) = (child.stderr.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                heard.text.lock().unwrap().0.push_str(&format!("{line}\n"));
                heard.more.notify_all();
            }
            heard.text.lock().unwrap().1 = true;
            heard.more.notify_all();
        });
        let output = BufReader::new(child.stdout.take().unwrap());
        Demo { data: self.data(), _options: self, child, output, said }
    }
}

/// What came on standard error so far, and whether that was all.
#[derive(Default)]
struct Said {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

/// A running demo, ended when dropped.
pub(crate) struct Demo {
    data: PathBuf,
    _options: DemoOptions,
    child: Child,
    output: BufReader<ChildStdout>,
    said: Arc<Said>,
}

impl Demo {
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The line of JSON that says where everything is.
    pub(crate) fn announced(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}; {}", self.said()))
    }

    pub(crate) fn rest_of_standard_output(&mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        rest
    }

    /// What it printed up to and including `text`.
    pub(crate) fn until_printed(&mut self, text: &str) -> String {
        let mut printed = String::new();
        while !printed.contains(text) {
            assert!(self.output.read_line(&mut printed).unwrap() > 0, "never printed: {text}; {printed}");
        }
        printed
    }

    /// What it said on standard error so far; all of it, once it has ended.
    pub(crate) fn said(&self) -> String {
        self.said.text.lock().unwrap().0.clone()
    }

    pub(crate) fn until_said(&self, text: &str) {
        let waiting = self.said.text.lock().unwrap();
        let not_yet = |said: &mut (String, bool)| !said.0.contains(text) && !said.1;
        let (said, _) = self.said.more.wait_timeout_while(waiting, DEADLINE, not_yet).unwrap();
        assert!(said.0.contains(text), "never said: {text}; {}", said.0);
    }

    pub(crate) fn secrets(&self) -> BTreeMap<String, String> {
        let file = EnvFile::read(&self.data.join("env")).unwrap();
        file.keys().map(|key| (key.to_owned(), file.get(key).unwrap().to_owned())).collect()
    }

    pub(crate) fn terminate(&self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
    }

    /// SIGTERM, and the exit code. No program may need to be killed for it.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.terminate();
        let code = self.wait();
        assert!(!self.said().contains("was killed"), "{}", self.said());
        code
    }

    /// The exit code, once it has ended and everything it said was heard.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let waiting = self.said.text.lock().unwrap();
        let (said, _) = self.said.more.wait_timeout_while(waiting, DEADLINE, |said| !said.1).unwrap();
        let (text, all) = said.clone();
        drop(said);
        assert!(all, "still running: {text}");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Demo {
    /// After a failure: asked to end first, since a demo that is killed leaves its programs behind.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
            let said = self.said.text.lock().unwrap();
            drop(self.said.more.wait_timeout_while(said, DEADLINE, |said| !said.1));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
