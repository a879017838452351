//! A panic in every command of a program: provoked from outside, so that the program under test has nothing for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::error::ErrorKind;
use tempfile::TempDir;

use crate::program::Launch;

/// What the panic quotes, and nobody may read.
const WORDS: &str = "the words of a message";

/// Values for what a command wants to be told, until one is understood.
const VALUES: [&str; 4] = ["1", "latest", "2026-11-20T12:00:00Z", "amina@clinic.example"];

/// Runs a program once for each of its commands, and for each option of it, and makes it panic as soon as it has read its
/// settings. Each time it must end with code 1 and one line that quotes nothing, and must not be able to leave a core file.
///
/// `launch` has the settings that all of its commands need, and `commands` is the program's command line as clap has it.
pub async fn assert_every_command_panics_in_one_line(launch: Launch, commands: clap::Command) {
    let injector = PanicInjector::compile();
    let lines = command_lines(commands);
    for line in &lines {
        injector.panic_in(line, &launch).await;
    }
    assert!(lines.len() > 2, "the command line was read: {lines:?}");
}

/// A library that is loaded into a program: see `faulty_clock.c`.
struct PanicInjector {
    folder: TempDir,
}

impl PanicInjector {
    fn compile() -> PanicInjector {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/faulty_clock.c");
        let injector = PanicInjector { folder };
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(injector.library()).arg(source).output();
        let compiled = compiled.expect("a C compiler, which SQLCipher needs too");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        injector
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("faulty_clock.so")
    }

    async fn panic_in(&self, line: &[String], launch: &Launch) {
        let notes = self.folder.path().join("notes");
        let _ = fs::remove_file(&notes);
        let launch = line.iter().fold(launch.clone(), Launch::arg);
        let launch = launch.env("LD_PRELOAD", self.library()).env("FAULT_NOTES", &notes).env("FAULT_WORDS", WORDS);
        let ended = launch.run().await;
        let told = format!("{line:?} ended with {}\n{}{}", ended.status, ended.stdout, ended.stderr);
        let notes = fs::read_to_string(&notes).unwrap_or_else(|error| panic!("it did not panic ({error}): {told}"));
        assert_eq!(notes, "core 0 0 dumpable 0\n", "a core file could be left behind: {told}");
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(1), ""), "{told}");
        assert!(!ended.stderr.contains(WORDS), "the panic is quoted: {told}");
        let [line] = ended.stderr.lines().collect::<Vec<_>>()[..] else { panic!("not one line: {told}") };
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no line of a log: {told}"));
        assert_eq!((&line["message"], &line["words"]), (&"panic".into(), &"(not shown)".into()), "{told}");
        assert!(line["place"].as_str().is_some_and(|place| place.contains(".rs:")), "{told}");
    }
}

/// A command line for each command, and one more for each of its options: what must be said with it is said.
fn command_lines(mut root: clap::Command) -> Vec<Vec<String>> {
    // Hands global options down, and adds what clap itself does.
    root.build();
    let mut lines = Vec::new();
    add_lines(&root, &root, &[], &mut lines);
    lines
}

fn add_lines(root: &clap::Command, command: &clap::Command, path: &[String], lines: &mut Vec<Vec<String>>) {
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        let path: Vec<_> = path.iter().cloned().chain([inner.get_name().to_owned()]).collect();
        add_lines(root, inner, &path, lines);
    }
    if command.is_subcommand_required_set() {
        return;
    }
    let said = |arg: &clap::Arg| [path, &words_of(root, path, arg)].concat();
    let needed: Vec<_> = command.get_arguments().filter(|arg| arg.is_required_set() || arg.is_positional()).collect();
    let least: Vec<_> = path.iter().cloned().chain(needed.iter().flat_map(|arg| words_of(root, path, arg))).collect();
    let options = command.get_arguments().filter(|arg| {
        !arg.is_positional() && !arg.is_required_set() && !["help", "version"].contains(&arg.get_id().as_str())
    });
    for arg in options {
        // Behind what is needed, or, where that excludes it (restore --at), in its place.
        let ways = [[least.as_slice(), &words_of(root, path, arg)].concat(), {
            let others = needed.iter().filter(|needed| !needed.is_positional());
            others.fold(said(arg), |line, needed| [line, words_of(root, path, needed)].concat())
        }];
        let way = ways.into_iter().find(|way| error_of(root, way).is_none());
        lines.push(way.unwrap_or_else(|| panic!("no way to say {arg} to {path:?}")));
    }
    assert!(error_of(root, &least).is_none(), "{least:?}: {:?}", error_of(root, &least));
    lines.push(least);
}

/// How an argument is said, with a value that is understood if it takes one.
fn words_of(root: &clap::Command, path: &[String], arg: &clap::Arg) -> Vec<String> {
    let name = arg.get_long().map(|long| format!("--{long}"));
    if !arg.get_action().takes_values() {
        return name.into_iter().collect();
    }
    let said = VALUES.iter().map(|value| name.iter().cloned().chain([(*value).to_owned()]).collect::<Vec<_>>());
    let understood = |words: &Vec<String>| {
        let error = error_of(root, &[path, words].concat());
        !matches!(error, Some(ErrorKind::InvalidValue | ErrorKind::ValueValidation))
    };
    said.into_iter().find(understood).unwrap_or_else(|| panic!("none of {VALUES:?} is a value for {arg}"))
}

fn error_of(root: &clap::Command, line: &[String]) -> Option<ErrorKind> {
    let line = [root.get_name()].into_iter().chain(line.iter().map(String::as_str));
    root.clone().try_get_matches_from(line).err().map(|error| error.kind())
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command, value_parser};

    use super::*;

    #[test]
    fn every_command_has_its_line_and_every_option_too() {
        let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let commands = Command::new("program")
            .arg(flag("json").global(true))
            .subcommand(Command::new("list"))
            .subcommand(
                Command::new("staff").subcommand_required(true).subcommand(
                    Command::new("grant")
                        .arg(Arg::new("email").required(true).value_parser(["amina@clinic.example"]))
                        .arg(Arg::new("minutes").long("minutes").required(true).value_parser(value_parser!(u8))),
                ),
            )
            .subcommand(
                Command::new("restore")
                    .arg(Arg::new("backup").required_unless_present("at").conflicts_with("at"))
                    .arg(Arg::new("at").long("at")),
            );
        let mut lines: Vec<_> = command_lines(commands).into_iter().map(|line| line.join(" ")).collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "",
                "--json",
                "list",
                "list --json",
                "restore --at 1",
                "restore 1",
                "restore 1 --json",
                "staff grant amina@clinic.example --minutes 1",
                "staff grant amina@clinic.example --minutes 1 --json",
            ]
        );
    }
}
