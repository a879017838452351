use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Vec<(String, String)> {
    let file = EnvFile::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    file.keys().map(|key| (key.to_owned(), file.get(key).unwrap().to_owned())).collect()
}

fn error(text: &str) -> String {
    match EnvFile::parse(text) {
        Ok(file) => panic!("{text:?} was accepted with {file:?}"),
        Err(error) => error.to_string(),
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn both_ways_of_writing_a_value_are_read() {
    assert_eq!(
        parse("B=plain-1.2/x:y@z%+,=[::1]\nA=\"in quotes\"\n"),
        [pair("A", "in quotes"), pair("B", "plain-1.2/x:y@z%+,=[::1]"),]
    );
    assert_eq!(parse("A=\nB=\"\""), [pair("A", ""), pair("B", "")]);
    assert_eq!(parse("_a1=x"), [pair("_a1", "x")], "the last line needs no line break");
}

#[test]
fn the_three_escapes_are_undone_and_line_breaks_kept() {
    assert_eq!(parse(r#"A="\\ \" \$ 'x' # no comment ü""#), [pair("A", r#"\ " $ 'x' # no comment ü"#)]);
    assert_eq!(parse("A=\"one\n\nthree\n\"\nB=x\n"), [pair("A", "one\n\nthree\n"), pair("B", "x")]);
    assert_eq!(parse(r#"A="ends in a backslash\\""#), [pair("A", r"ends in a backslash\")]);
}

#[test]
fn comments_and_blank_lines_are_skipped_and_counted() {
    assert_eq!(parse("# comment = \"\n\n  \t\nA=x\n#\n"), [pair("A", "x")]);
    assert!(error("# one\n\nA=\"two\nlines\"\nB=a b\n").starts_with("line 5, B: "));
    assert_eq!(parse(""), []);
}

#[test]
fn what_the_dialects_read_differently_is_refused_with_its_place() {
    for (text, expected) in [
        ("A=a b", "line 1, A: the value has characters that need double quotes"),
        ("A='a'", "line 1, A: the value has characters that need double quotes"),
        ("A=a#b", "line 1, A: the value has characters that need double quotes"),
        ("A=a\\b", "line 1, A: the value has characters that need double quotes"),
        ("A=\"a$b\"", "line 1, A: a dollar sign"),
        ("A=\"a\\nb\"", "line 1, A: a backslash"),
        ("A=\"a\\`b\"", "line 1, A: a backslash"),
        ("A=\"a", "line 1, A: the closing double quote is missing"),
        ("A=\"a\\\"", "line 1, A: the closing double quote is missing"),
        ("A=\"a\"b", "line 1, A: there is text after"),
        ("A=\"a\nb\" # c", "line 2, A: there is text after"),
        ("A=x\n\nA=y", "line 3, A: this key was set before, in line 1"),
        ("export A=x", "line 1 does not begin with KEY="),
        (" A=x", "line 1 does not begin with KEY="),
        ("A =x", "line 1 does not begin with KEY="),
        ("1A=x", "line 1 does not begin with KEY="),
        ("=x", "line 1 does not begin with KEY="),
        ("\u{feff}A=x", "line 1 does not begin with KEY="),
        ("A.B=x", "line 1 does not begin with KEY="),
        ("nothing", "line 1 does not begin with KEY="),
        ("A=x\r\nB=y", "line 1 has a NUL, a carriage return or"),
        ("A=x\nB=\"\0\"", "line 2 has a NUL, a carriage return or"),
    ] {
        let found = error(text);
        assert!(found.starts_with(expected), "{text:?} gave: {found}");
    }
}

#[test]
fn a_fault_never_holds_a_value_or_what_may_be_a_piece_of_one() {
    for text in [
        "A=hush hush",
        "A='hush'",
        "A=\"hush$\"",
        "A=\"hush\\q\"",
        "A=\"hush",
        "A=\"x\" hush",
        "A=\"x\"\nhush\n",
        "A=x\nhush==\nhush==\n",
        "hush=a b\n",
        "A=hush\r",
    ] {
        assert!(!error(text).contains("hush"), "{text:?} gave: {}", error(text));
        assert!(!format!("{:?}", EnvFile::parse(text)).contains("hush"), "Debug of the error of {text:?}");
    }
    assert!(!format!("{:?}", EnvFile::parse("A=hush")).contains("hush"));
}

#[test]
fn only_a_private_regular_file_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("env");
    assert!(EnvFile::read(&path).unwrap_err().is_missing());
    fs::write(&path, "A=x\n").unwrap();
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o601, false)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let read = EnvFile::read(&path);
        assert_eq!(read.is_ok(), good, "mode {mode:o}: {read:?}");
        if let Err(error) = read {
            assert!(error.to_string().contains("chmod 600"), "{error}");
            assert!(!error.is_missing());
        }
    }
    let error = EnvFile::read(directory.path()).unwrap_err().to_string();
    assert!(error.ends_with("is not a regular file"), "{error}");
}

#[test]
fn a_named_pipe_is_refused_without_waiting_for_its_writer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
    // On a thread of its own, or a reader that waits would hang the test instead of failing it.
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = path.clone();
    std::thread::spawn(move || sender.send(EnvFile::read(&reader).unwrap_err().to_string()));
    let error = receiver.recv_timeout(std::time::Duration::from_secs(10)).expect("an answer without a writer");
    assert!(error.ends_with("is not a regular file"), "{error}");
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("env");
    let write = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        EnvFile::read(&path).unwrap_err().to_string()
    };
    assert!(write(b"A=\"\xff\"\n").ends_with("is not UTF-8 text"));
    assert!(write(&vec![b'#'; MAX_BYTES as usize + 1]).contains("is larger than"));
}

#[test]
fn what_no_dialect_can_hold_is_not_written() {
    assert!(quote("a\rb").is_err());
    assert!(quote("a\0b").is_err());
    for pairs in [vec![("A B", "x")], vec![("", "x")], vec![("A", "x"), ("A", "y")], vec![("A", "\r")]] {
        assert!(render(pairs.clone()).is_err(), "{pairs:?}");
    }
    assert_eq!(*render([("A", r#"\"$"#), ("B", "")]).unwrap(), "A=\"\\\\\\\"\\$\"\nB=\"\"\n");
}

#[test]
fn noncharacters_are_refused_and_their_neighbours_are_not() {
    for c in ['\u{FFFF}', '\u{FFFE}', '\u{FDD0}', '\u{FDEF}', '\u{1FFFE}', '\u{10FFFF}'] {
        assert!(quote(&format!("a{c}")).is_err(), "{c:?}");
        assert!(error(&format!("A=\"{c}\"")).starts_with("line 1 has"), "{c:?}");
    }
    for c in ['\u{FFFD}', '\u{FDCF}', '\u{FDF0}', '\u{1FFFD}', '\u{20000}', '\u{1}', '\u{7f}', '\t'] {
        assert_eq!(parse(&format!("A={}", *quote(&c.to_string()).unwrap())), [pair("A", &c.to_string())], "{c:?}");
    }
}

/// Files as they were found in the wild, or made for us: `corpus/env-files/OUTCOME/NAME`, byte for byte.
#[test]
fn files_that_others_wrote_are_read_or_refused_as_they_should_be() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/env-files");
    let inputs = |outcome: &str| {
        let files = fs::read_dir(corpus.join(outcome)).unwrap().map(|entry| entry.unwrap().path());
        let inputs: Vec<_> = files.map(|path| (fs::read(&path).unwrap(), path)).collect();
        assert!(inputs.len() > 5, "the corpus is gone");
        inputs
    };
    let directory = tempfile::tempdir().unwrap();
    let private = directory.path().join("env");
    let read = |bytes: &[u8]| {
        fs::write(&private, bytes).unwrap();
        fs::set_permissions(&private, Permissions::from_mode(0o600)).unwrap();
        EnvFile::read(&private)
    };
    for (bytes, path) in inputs("read") {
        let file = read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let rendered = render(file.keys().map(|key| (key, file.get(key).unwrap()))).unwrap();
        assert_eq!(parse(&rendered).len(), file.keys().count(), "{}", path.display());
    }
    for (bytes, path) in inputs("refused") {
        let error = read(&bytes).map(|file| format!("{file:?}")).expect_err(&path.display().to_string()).to_string();
        assert!(!error.contains("hush"), "{}: {error}", path.display());
        assert!(!error.contains(char::is_control), "{}: {error:?}", path.display());
    }
}

/// The same without what no env file can hold.
fn writable(text: String) -> String {
    text.chars().filter(|c| !is_unwritable(*c)).collect()
}

proptest! {
    #[test]
    fn what_is_rendered_reads_back_the_same(
        pairs in proptest::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,12}", r#"([\\"$#=\n a-z]|[^\x00\r]){0,40}"#.prop_map(writable), 0..8)
    ) {
        let text = render(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))).unwrap();
        let read: BTreeMap<_, _> = parse(&text).into_iter().collect();
        prop_assert_eq!(read, pairs);
    }

    #[test]
    fn no_text_makes_the_reader_panic_or_leak_into_an_error(text in r#"([A-B]=|["\\$\n#=]|hush|[^\x00]){0,30}"#) {
        if let Err(error) = EnvFile::parse(&text) {
            prop_assert!(!error.to_string().contains("hush"));
        }
    }

    /// What is read, whatever it looked like, is written and read again as the same: the reader takes nothing that the writer
    /// could not have meant.
    #[test]
    fn what_is_read_is_what_could_have_been_written(
        text in r#"((A|b|_c1)=(plain-1\.2|"[a-z\n]{0,4}(\\\\|\\"|\\\$|\$|é)?"|[a-z $#'"\\]{0,4})[ \t]{0,1}\n|# [ -~]{0,8}\n|\n){0,6}"#
    ) {
        if let Ok(file) = EnvFile::parse(&text) {
            let pairs: Vec<_> = file.keys().map(|key| (key.to_owned(), file.get(key).unwrap().to_owned())).collect();
            let rendered = render(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))).unwrap();
            prop_assert_eq!(parse(&rendered), pairs);
        }
    }
}
