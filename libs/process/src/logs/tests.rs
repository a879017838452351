use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A log in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that `act` logs under a filter.
fn lines(filter: &str, act: impl FnOnce()) -> Vec<Value> {
    let memory = Memory::default();
    let subscriber = tracing_subscriber::registry()
        .with(parse_filter(filter).unwrap())
        .with(JsonLines::new("tester", memory.clone()));
    tracing::subscriber::with_default(subscriber, act);
    let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn without_timestamp(mut line: Value) -> Value {
    let timestamp = line.as_object_mut().unwrap().remove("timestamp").expect("every line has a timestamp");
    let timestamp = timestamp.as_str().unwrap();
    assert!(timestamp.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(timestamp).is_ok(), "{timestamp}");
    line
}

#[test]
fn an_event_is_one_flat_line_with_fields_of_their_own_kind() {
    let lines = lines("info", || {
        tracing::info!(target: "here", bytes = 12_u64, delta = -1, share = 0.5, done = true, who = "a\n\"b\"", "two {}", "words");
    });
    assert_eq!(
        lines.into_iter().map(without_timestamp).collect::<Vec<_>>(),
        [json!({
            "level": "INFO", "program": "tester", "target": "here", "message": "two words",
            "bytes": 12, "delta": -1, "share": 0.5, "done": true, "who": "a\n\"b\"",
        })]
    );
}

#[test]
fn a_line_begins_with_the_same_five_members() {
    let memory = Memory::default();
    let subscriber = tracing_subscriber::registry().with(JsonLines::new("tester", memory.clone()));
    tracing::subscriber::with_default(subscriber, || tracing::info!(target: "here", aa = 1, "hello"));
    let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    assert!(text.starts_with(r#"{"timestamp":""#), "{text}");
    let expected = r#"","level":"INFO","program":"tester","target":"here","message":"hello","aa":1}"#;
    assert!(text.trim_end().ends_with(expected), "{text}");
}

#[test]
fn fields_of_spans_are_inherited_and_inner_ones_win() {
    let lines = lines("info", || {
        let outer = tracing::info_span!("outer", request = "r1", person = tracing::field::Empty, depth = 1);
        let _outer = outer.enter();
        outer.record("person", 7);
        let _inner = tracing::info_span!("inner", depth = 2).entered();
        tracing::info!("inside");
        tracing::info!(depth = 3, "deeper");
    });
    let seen: Vec<_> = lines.iter().map(|line| (&line["request"], &line["person"], &line["depth"])).collect();
    assert_eq!(seen, [(&json!("r1"), &json!(7), &json!(2)), (&json!("r1"), &json!(7), &json!(3))]);
}

#[test]
fn a_field_cannot_pretend_to_be_part_of_the_envelope() {
    let lines = lines("info", || tracing::info!(level = "FORGED", program = "forged", "hello"));
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["program"], "tester");
    assert_eq!(lines[0]["field_level"], "FORGED");
}

/// What a person at a terminal sees of the same, colours included.
fn human(act: impl FnOnce()) -> String {
    let memory = Memory::default();
    let writer = memory.clone();
    let layer =
        tracing_subscriber::fmt::layer().fmt_fields(HumanFields).with_ansi(true).with_writer(move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
    String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
}

/// Everything a value of somebody else's can be logged as.
fn log_in_every_way(text: &str) {
    let span = tracing::info_span!("request", path = text, who = %text);
    let _span = span.enter();
    let error: Box<dyn std::error::Error> = io::Error::other(text.to_owned()).into();
    tracing::info!(target: "here", text, shown = %text, debug = ?text, error = &*error, "it said {text}");
}

#[test]
fn a_person_sees_the_message_first_and_values_as_json() {
    let line = human(|| tracing::info!(target: "here", count = 3, who = "a b", "hello"));
    assert!(line.trim_end().ends_with(r#"hello count=3 who="a b""#), "{line}");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::default() })]
    /// Whatever somebody sends, an event is one line, and nothing in it commands a terminal or turns round.
    #[test]
    fn no_value_gets_out_of_its_line(text in r#"([\x00-\x1f\x7f-\u{9f}"=\\{}]|\x1b\[2J|\n\{"level":"ERROR"|\u{202e}|\u{2028}|.){0,12}"#) {
        let memory = Memory::default();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new("tester", memory.clone()));
        tracing::subscriber::with_default(subscriber, || log_in_every_way(&text));
        let machine = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        let told: Value = serde_json::from_str(&machine).unwrap();
        for member in ["path", "who", "text", "shown", "error"] {
            prop_assert_eq!(told[member].as_str(), Some(text.as_str()), "{}", member);
        }
        prop_assert_eq!(told["level"].as_str(), Some("INFO"));

        let colours = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[3m", "\u{1b}[32m"];
        let human = colours.iter().fold(human(|| log_in_every_way(&text)), |line, colour| line.replace(colour, ""));
        for line in [machine, human] {
            let line = line.strip_suffix('\n').unwrap();
            prop_assert_eq!(&sanitize::one_line(line), line);
        }
    }
}

#[test]
fn an_error_is_logged_with_its_sources() {
    #[derive(Debug, thiserror::Error)]
    #[error("the outer thing failed")]
    struct Outer(#[source] io::Error);
    let lines = lines("info", || {
        let error = Outer(io::Error::other("the inner reason"));
        tracing::error!(error = &error as &(dyn std::error::Error + 'static), "failed");
    });
    assert_eq!(lines[0]["error"], "the outer thing failed: the inner reason");
}

#[test]
fn the_filter_gives_levels_to_all_and_to_modules() {
    let seen = lines("warn,one=debug, two::deep=off", || {
        tracing::info!(target: "other", "no");
        tracing::warn!(target: "other", "yes");
        tracing::debug!(target: "one::inside", "yes");
        tracing::error!(target: "two::deep", "no");
        tracing::warn!(target: "two", "yes");
    });
    assert_eq!(seen.iter().map(|line| line["message"].as_str().unwrap()).collect::<Vec<_>>(), ["yes"; 3]);
}

#[test]
fn a_filter_that_would_silence_the_log_by_mistake_is_refused() {
    for bad in ["", "inof", "info,", "info,web", "web=loud", "3", "web=3", "info;web=debug", "=info", "a b=info"] {
        let error = check_filter(bad).expect_err(bad);
        let told = error.contains("neither a level") || error.contains("does not name a module");
        assert!(told, "{bad:?}: {error}");
    }
    for good in ["info", "INFO", "off", "info,wardpost_web=debug", "warn, a::b=trace"] {
        assert_eq!(check_filter(good).as_deref(), Ok(good));
    }
}

#[test]
fn a_panic_is_logged_by_its_place_without_words_that_may_quote_a_message() {
    let lines = lines("info", || {
        panics_quote_nothing("tester");
        let secret = "hush";
        assert!(std::panic::catch_unwind(|| panic!("the text is {secret}")).is_err());
        assert!(std::panic::catch_unwind(|| panic!("fixed words")).is_err());
        drop(std::panic::take_hook());
    });
    let words: Vec<_> = lines.iter().map(|line| line["words"].as_str().unwrap()).collect();
    assert_eq!(words, ["(not shown)", "fixed words"]);
    assert!(lines.iter().all(|line| line["message"] == "panic" && line["level"] == "ERROR"));
    assert!(lines[0]["place"].as_str().unwrap().contains("logs/tests.rs:"), "{}", lines[0]);
}
