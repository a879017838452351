use super::*;
use crate::testing::*;

const TIMEOUT: Duration = Duration::from_secs(60);

fn pages(raw: &Connection) -> i64 {
    Log::look(raw).unwrap().pages
}

fn file_size(test: &TestStore) -> u64 {
    std::fs::metadata(test.path.with_extension("db-wal")).unwrap().len()
}

/// Puts `pages` and more into the log at once, as much as sending for a minute would.
fn fill_log(raw: &Connection, pages: i64) {
    raw.execute_batch(&format!(
        "CREATE TABLE filling (x); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {pages}) \
         INSERT INTO filling SELECT zeroblob(4096) FROM n"
    ))
    .unwrap();
}

/// As beside a backup: what is written meanwhile stays in the log, and afterwards it begins again, while people go on
/// sending.
#[tokio::test]
async fn the_log_begins_again_once_nobody_reads_a_moment_long_past() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let reading = test.raw();
    reading.execute_batch("BEGIN; SELECT count(*) FROM message").unwrap();
    let looking = test.raw();
    looking.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    fill_log(&looking, 20_000);
    for _ in 0..200 {
        send(&test.store, ada, "subject", "body").await;
    }
    assert!(pages(&looking) > 20_000, "the reader needs what is there");
    reading.execute_batch("COMMIT").unwrap();

    let since = Instant::now();
    while pages(&looking) > 20_000 {
        assert!(since.elapsed() < TIMEOUT, "{:?}", Log::look(&looking));
        send(&test.store, ada, "subject", "body").await;
    }
    assert!(file_size(&test) > 20_000 * 4096, "nobody who sends waits for a large file to be cut short");

    let since = Instant::now();
    while file_size(&test) > 0 {
        assert!(since.elapsed() < TIMEOUT, "at rest the file is cut short");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_sound(&test.store).await;
}

/// Without a moment that is long past, the log never grows far beyond what it takes to look after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_short_while_people_send() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let looking = test.raw();
    let mut most = 0;
    for _ in 0..1_500 {
        send(&test.store, ada, "subject", "body").await;
        most = most.max(pages(&looking));
    }
    assert!(most > PAGES, "too little was sent to tell");
    assert!(most < 10 * PAGES, "{most} pages");
}
