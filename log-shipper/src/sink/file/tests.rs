use std::os::unix::fs::PermissionsExt;

use store::Timestamp;
use tempfile::TempDir;

use super::*;

fn events(texts: &[&str]) -> Vec<OutgoingEvent> {
    texts.iter().map(|text| OutgoingEvent { stamp: Timestamp::now(), text: (*text).to_owned() }).collect()
}

fn sink(directory: &TempDir, rotate_bytes: u64) -> FileSink {
    FileSink::new(&directory.path().join("audit.jsonl"), rotate_bytes)
}

async fn everything(sink: &FileSink) -> Vec<String> {
    let (mut texts, mut token) = (Vec::new(), None);
    loop {
        let page = sink.read_back(token).await.unwrap();
        texts.extend(page.texts);
        match page.next {
            Some(next) => token = Some(next),
            None => return texts,
        }
    }
}

fn files(directory: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_sent_is_read_back_in_order_and_the_file_is_private() {
    let directory = TempDir::new().unwrap();
    let sink = sink(&directory, 1 << 20);
    assert_eq!(everything(&sink).await, Vec::<String>::new());
    assert_eq!(sink.send(events(&["a", "b"])).await.unwrap(), [Verdict::Accepted; 2]);
    sink.send(events(&["c\nd"])).await.unwrap();
    assert_eq!(everything(&sink).await, ["a", "b", "c d"]);
    let mode = std::fs::metadata(directory.path().join("audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_half_line_that_a_crash_left_is_cut_off() {
    let directory = TempDir::new().unwrap();
    let sink = sink(&directory, 1 << 20);
    sink.send(events(&["whole"])).await.unwrap();
    for half in ["half".to_owned(), "h".repeat(10_000)] {
        let mut file = OpenOptions::new().append(true).open(directory.path().join("audit.jsonl")).unwrap();
        file.write_all(half.as_bytes()).unwrap();
        let before = everything(&sink).await;
        sink.send(events(&["next"])).await.unwrap();
        let after = everything(&sink).await;
        assert_eq!(after.len(), before.len() + 1);
        assert!(after.iter().all(|line| line == "whole" || line == "next"), "{after:?}");
    }
}

#[tokio::test]
async fn no_half_line_is_put_aside() {
    let directory = TempDir::new().unwrap();
    let sink = sink(&directory, 6);
    sink.send(events(&["whole"])).await.unwrap();
    let mut file = OpenOptions::new().append(true).open(directory.path().join("audit.jsonl")).unwrap();
    file.write_all(b"half").unwrap();
    sink.send(events(&["next"])).await.unwrap();
    assert_eq!(std::fs::read_to_string(directory.path().join("audit.jsonl.000001")).unwrap(), "whole\n");
    assert_eq!(std::fs::read_to_string(directory.path().join("audit.jsonl")).unwrap(), "next\n");
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let sink = sink(&directory, 1 << 30);
    let path = directory.path().join("audit.jsonl");
    let others = format!("a line\n{}", "z".repeat(300_000));
    std::fs::write(&path, &others).unwrap();
    let Err(SendError::Outage(message)) = sink.send(events(&["a"])).await else { panic!() };
    assert!(message.contains("another program's file"), "{message}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), others);
}

#[tokio::test]
async fn a_file_that_was_removed_replaced_or_emptied_is_written_to_all_the_same() {
    let directory = TempDir::new().unwrap();
    let sink = sink(&directory, 1 << 20);
    let path = directory.path().join("audit.jsonl");
    sink.send(events(&["a"])).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    sink.send(events(&["b"])).await.unwrap();
    assert_eq!(everything(&sink).await, ["b"]);
    std::fs::write(directory.path().join("other"), "c\n").unwrap();
    std::fs::rename(directory.path().join("other"), &path).unwrap();
    sink.send(events(&["d"])).await.unwrap();
    assert_eq!(everything(&sink).await, ["c", "d"]);
    OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    sink.send(events(&["e"])).await.unwrap();
    assert_eq!(everything(&sink).await, ["e"]);
}

#[tokio::test]
async fn a_file_that_has_its_size_is_put_aside_and_nothing_is_lost() {
    let directory = TempDir::new().unwrap();
    let sink = sink(&directory, 100);
    let texts: Vec<String> = (0..60).map(|number| format!("event {number:04}")).collect();
    for text in &texts {
        sink.send(events(&[text])).await.unwrap();
    }
    assert_eq!(everything(&sink).await, texts);
    let names = files(&directory);
    assert!(names.len() > 5, "{names:?}");
    assert_eq!(&names[..3], ["audit.jsonl", "audit.jsonl.000001", "audit.jsonl.000002"]);
    std::fs::remove_file(directory.path().join("audit.jsonl.000001")).unwrap();
    let refusals = async {
        for _ in 0..20 {
            if let Err(SendError::Outage(message)) = sink.send(events(&["more"])).await {
                return message;
            }
        }
        panic!("a file was overwritten");
    };
    assert!(refusals.await.contains("gap"));
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let directory = TempDir::new().unwrap();
    for name in ["audit.jsonl.gz", "audit.jsonl.12", "audit.jsonl.00000a", "other.jsonl.000001"] {
        std::fs::write(directory.path().join(name), "not ours\n").unwrap();
    }
    let sink = sink(&directory, 1 << 20);
    sink.send(events(&["ours"])).await.unwrap();
    assert_eq!(everything(&sink).await, ["ours"]);
}

#[tokio::test]
async fn a_long_file_is_read_in_pieces() {
    let directory = TempDir::new().unwrap();
    let sink = sink(&directory, 1 << 30);
    let texts: Vec<String> = (0..30).map(|number| format!("{number} {}", "x".repeat(100_000))).collect();
    sink.send(events(&texts.iter().map(String::as_str).collect::<Vec<_>>())).await.unwrap();
    let first = sink.read_back(None).await.unwrap();
    assert!(first.next.is_some() && first.texts.len() < 15);
    assert_eq!(everything(&sink).await, texts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_never_mix_their_lines() {
    let directory = TempDir::new().unwrap();
    let tasks: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|letter| {
            let sink = sink(&directory, 20_000);
            tokio::spawn(async move {
                for number in 0..100 {
                    sink.send(events(&[&format!("{letter}{number} {}", letter.repeat(500))])).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let lines = everything(&sink(&directory, 1)).await;
    for letter in ["a", "b"] {
        let own: Vec<_> = lines.iter().filter(|line| line.starts_with(letter)).collect();
        let expected: Vec<_> = (0..100).map(|number| format!("{letter}{number} {}", letter.repeat(500))).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_an_outage_that_names_it() {
    let sink = FileSink::new(Path::new("/proc/no/audit.jsonl"), 1);
    let Err(SendError::Outage(message)) = sink.send(events(&["a"])).await else { panic!() };
    assert!(message.contains("/proc/no/audit.jsonl"), "{message}");
}
