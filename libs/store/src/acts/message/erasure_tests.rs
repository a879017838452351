use std::collections::BTreeSet;

use super::*;
use crate::testing::*;
use crate::{Draft, Seen, TemplateChange, TemplateDraft, TemplateName, TemplateRows, TemplateTexts};

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// What SQLite uses of a page; after it come the cipher's random and checking bytes.
const USABLE: usize = 4096 - 80;

/// Every page of the database in plaintext, and the size of the write-ahead log.
fn pages(test: &TestStore) -> (Vec<u8>, u64) {
    let raw = test.raw();
    let mut select = raw.prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno").unwrap();
    let mut all = Vec::new();
    let mut rows = select.query(()).unwrap();
    while let Some(row) = rows.next().unwrap() {
        all.extend_from_slice(&row.get_ref(0).unwrap().as_blob().unwrap()[..USABLE]);
        // So that no mark is read across the border of two pages.
        all.push(0);
    }
    let mut log = test.path.clone().into_os_string();
    log.push("-wal");
    (all, std::fs::metadata(log).map_or(0, |log| log.len()))
}

/// A text of about `length` bytes, all of it whole marks that tell whose they are: `<s17>`, `<b17>`, `<d17>`.
fn marked(kind: char, number: usize, length: usize) -> String {
    let mark = format!("<{kind}{number}>");
    mark.repeat((length / mark.len()).max(1))
}

/// The marks that occur in the pages.
fn marks(pages: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in pages.iter().enumerate().filter(|(_, byte)| **byte == b'<') {
        let rest = &pages[start + 1..pages.len().min(start + 12)];
        if let Some(end) = rest.iter().position(|byte| *byte == b'>')
            && matches!(rest[0], b's' | b'b' | b'd')
            && end > 1
            && rest[1..end].iter().all(u8::is_ascii_digit)
        {
            found.insert(String::from_utf8_lossy(&rest[..end]).into_owned());
        }
    }
    found
}

/// Drafts come, grow, shrink and go, messages of every length are sent, and some deleted, in an order that makes SQLite
/// split, merge and refill its pages. What is left in any page is exactly what is live.
#[tokio::test]
async fn nothing_of_a_deleted_message_or_draft_is_left_in_any_page() {
    let test = TestStore::new().await;
    let store = &test.store;
    let mut numbers = Numbers(7);
    let mut authors = Vec::new();
    for name in ["ada", "ben", "cyd", "dan", "eve", "fay", "gus", "hal", "ida", "jon"] {
        authors.push(staff(store, name).await);
    }
    let mut live = Vec::new();
    let mut drafts = vec![None; authors.len()];
    for number in 0..400 {
        let who = numbers.below(authors.len());
        let author = authors[who];
        match numbers.below(10) {
            0..=4 => {
                let length = [numbers.below(60), numbers.below(2_000), numbers.below(20_000)][numbers.below(3)];
                let subject = marked('s', number, numbers.below(255));
                let id = send(store, author, &subject, &marked('b', number, length)).await;
                live.push((id, author, number));
            }
            5 | 6 => {
                let length = [numbers.below(50), numbers.below(4_000), numbers.below(40_000)][numbers.below(3)];
                let draft = Draft {
                    conversation: None,
                    key: IdempotencyKey::fresh(),
                    subject: String::new(),
                    body: marked('d', number, length),
                    addressed: Addressed::default(),
                    saved_at: at(1),
                };
                store.save_draft(author, draft, Seen::Unknown).await.unwrap();
                drafts[who] = Some(number);
            }
            7 => {
                store.discard_draft(author, None, IdempotencyKey::fresh(), Seen::Unknown, at(1)).await.unwrap();
                drafts[who] = None;
            }
            _ if !live.is_empty() => {
                let (id, author, _) = live.swap_remove(numbers.below(live.len()));
                assert_eq!(store.delete_message(author, id, at(20)).await.unwrap(), Deletion::Deleted);
            }
            _ => {}
        }
    }
    store.check_writable().await.unwrap();

    let (pages, _) = pages(&test);
    let mut expected: BTreeSet<String> =
        live.iter().flat_map(|(_, _, number)| [format!("s{number}"), format!("b{number}")]).collect();
    expected.extend(drafts.into_iter().flatten().map(|number| format!("d{number}")));
    assert!(expected.len() > 100, "too little is left to compare with");
    assert_left(&pages, &expected);
    assert_sound(store).await;
}

/// Pages with many short messages that almost all go: here SQLite would put what is left of several pages together, and
/// leave copies behind, if deleting made rows shorter.
#[tokio::test]
async fn nothing_is_left_of_short_messages_of_which_most_are_deleted() {
    let test = TestStore::new().await;
    let author = staff(&test.store, "ada").await;
    let mut numbers = Numbers(11);
    let mut live = Vec::new();
    for number in 0..500 {
        let (subject, body) = (marked('s', number, numbers.below(250)), marked('b', number, numbers.below(700)));
        live.push((send(&test.store, author, &subject, &body).await, number));
    }
    while live.len() > 20 {
        let (id, _) = live.swap_remove(numbers.below(live.len()));
        test.store.delete_message(author, id, at(20)).await.unwrap();
    }
    test.store.check_writable().await.unwrap();
    let expected = live.iter().flat_map(|(_, number)| [format!("s{number}"), format!("b{number}")]).collect();
    assert_left(&pages(&test).0, &expected);
}

/// A field that is added to messages is among them: it has to be overwritten.
#[tokio::test]
async fn no_column_of_a_deleted_message_holds_anything_of_it() {
    const COLUMNS: &str = "SELECT t.name, c.name, c.type FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
         WHERE t.name IN ('message', 'message_body') AND c.type IN ('TEXT', 'BLOB')";
    let test = TestStore::new().await;
    let author = staff(&test.store, "ada").await;
    let id = send(&test.store, author, "subject", "body").await;
    test.store.delete_message(author, id, at(20)).await.unwrap();
    let raw = test.raw();
    let mut select = raw.prepare(COLUMNS).unwrap();
    let columns = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let columns: Vec<(String, String, String)> = columns.map(Result::unwrap).collect();
    assert!(columns.len() >= 3, "{columns:?}");
    for (table, column, kind) in columns {
        let rest = if kind == "TEXT" { format!("trim({column})") } else { format!("trim(hex({column}), '0')") };
        let left: i64 =
            raw.query_row(&format!("SELECT count(*) FROM {table} WHERE {rest} <> ''"), (), |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "{table}.{column} is not overwritten");
    }
}

fn assert_left(pages: &[u8], expected: &BTreeSet<String>) {
    let found = marks(pages);
    let left: Vec<_> = found.difference(expected).collect();
    let lost: Vec<_> = expected.difference(&found).collect();
    assert!(left.is_empty() && lost.is_empty(), "left behind: {left:?}, not found: {lost:?}");
}

#[tokio::test]
async fn deleting_empties_the_write_ahead_log() {
    let test = TestStore::new().await;
    let author = staff(&test.store, "ada").await;
    let id = send(&test.store, author, "<s1> subject", "<b1> body").await;
    let (before, log) = pages(&test);
    assert_eq!(marks(&before).len(), 2, "the text is found while it is there");
    assert!(log > 0);

    test.store.delete_message(author, id, at(20)).await.unwrap();
    // The next job runs after the writer's checkpoint.
    test.store.check_writable().await.unwrap();
    let (after, log) = pages(&test);
    assert_eq!((marks(&after).len(), log), (0, 0));
}

/// A reader that is in the middle of something holds the checkpoint up; the writer comes back to it.
#[tokio::test]
async fn the_write_ahead_log_is_emptied_once_a_slow_reader_is_done() {
    let test = TestStore::new().await;
    let author = staff(&test.store, "ada").await;
    let id = send(&test.store, author, "subject", "body").await;
    let slow = test.raw();
    slow.execute_batch("BEGIN; SELECT count(*) FROM message").unwrap();
    test.store.delete_message(author, id, at(20)).await.unwrap();
    test.store.check_writable().await.unwrap();
    assert!(pages(&test).1 > 0, "the reader still needs the log");
    slow.execute_batch("COMMIT").unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while pages(&test).1 > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the log is emptied");
}

/// A program that died after a deletion has left the text in the log; opening the database for something else holds
/// nobody up.
#[tokio::test]
async fn what_a_deletion_left_is_emptied_when_its_program_asks_for_it() {
    let test = TestStore::new().await;
    let author = staff(&test.store, "ada").await;
    send(&test.store, author, "subject", "body").await;
    let other = test.another().await;
    other.check_writable().await.unwrap();
    other.check_writable().await.unwrap();
    assert!(pages(&test).1 > 0, "opening does not empty it");

    other.finish_deletions().await.unwrap();
    other.check_writable().await.unwrap();
    assert_eq!(pages(&test).1, 0);
}

fn half(body: &str, key: u8) -> Draft {
    Draft {
        conversation: None,
        key: IdempotencyKey([key; 16]),
        subject: String::new(),
        body: body.into(),
        addressed: Addressed::default(),
        saved_at: at(1),
    }
}

async fn log_is_emptied(test: &TestStore) {
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while pages(test).1 > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the log is emptied");
}

/// Nobody writes any more, so nothing else would empty it before it is large.
#[tokio::test]
async fn a_draft_that_is_replaced_sent_or_given_up_leaves_the_write_ahead_log_at_rest() {
    let test = TestStore::new().await;
    let author = staff(&test.store, "ada").await;
    test.store.save_draft(author, half("<d1> first", 1), Seen::Unknown).await.unwrap();
    assert!(pages(&test).1 > 0);
    test.store.save_draft(author, half("<d2> second", 1), Seen::Unknown).await.unwrap();
    log_is_emptied(&test).await;
    assert_eq!(marks(&pages(&test).0), BTreeSet::from(["d2".to_owned()]));

    test.store.discard_draft(author, None, IdempotencyKey::fresh(), Seen::Unknown, at(2)).await.unwrap();
    log_is_emptied(&test).await;
    assert!(marks(&pages(&test).0).is_empty());

    test.store.save_draft(author, half("<d3> third", 3), Seen::Unknown).await.unwrap();
    let subject = crate::Subject::parse("<s1>").unwrap();
    let message = crate::NewMessage {
        subject,
        body: crate::Body::parse("<b1>").unwrap(),
        addressed: crate::Addressed::default(),
        key: IdempotencyKey([3; 16]),
    };
    test.store.send_message(author, message, at(3)).await.unwrap();
    log_is_emptied(&test).await;
    assert_eq!(marks(&pages(&test).0), BTreeSet::from(["s1".to_owned(), "b1".to_owned()]));
}

#[tokio::test]
async fn a_half_written_form_that_is_replaced_or_given_up_leaves_nothing() {
    let test = TestStore::new().await;
    let author = staff(&test.store, "ada").await;
    let (name, rows) = (TemplateName::parse("Ward 3").unwrap(), TemplateRows::parse("Room 1").unwrap());
    let TemplateChange::Done(template) = test.store.create_template(author, name, rows, at(1)).await.unwrap() else {
        panic!("it was not made");
    };
    let save = async |text: String, millis| {
        let texts = TemplateTexts { subject: String::new(), rows: vec![("Room 1".into(), text)] };
        let draft = TemplateDraft { template, key: IdempotencyKey::fresh(), texts, saved_at: at(millis) };
        test.store.save_template_draft(author, draft, Seen::Unknown).await.unwrap();
    };
    for (number, length) in [(1, 40), (2, 9_000), (3, 20), (4, 30_000)] {
        save(marked('d', number, length), 2).await;
        // The first one replaces nothing.
        if number > 1 {
            log_is_emptied(&test).await;
        }
        assert_eq!(marks(&pages(&test).0), BTreeSet::from([format!("d{number}")]));
    }
    test.store.discard_template_draft(author, template, at(3)).await.unwrap();
    log_is_emptied(&test).await;
    assert!(marks(&pages(&test).0).is_empty());
}
