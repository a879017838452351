//! Waiting for a condition, with a deadline and an account of what was seen last.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Long enough for anything that happens at all, on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(30);

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Looks again and again until `condition` gives `Ok`, and gives what it held. `Err` is what was seen instead. After the
/// deadline it panics with `what` was wanted and the last thing seen.
pub async fn wait_until<T, Seen: Debug>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, Seen>,
) -> T {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    loop {
        match timeout_at(end, condition()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(seen)) => last = Some(seen),
            Err(_) => panic!("{what}: not within {deadline:?}; the last look did not end, the one before saw {last:?}"),
        }
        if Instant::now() + pause > end {
            panic!("{what}: not within {deadline:?}; last seen: {:?}", last.as_ref());
        }
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_gives_what_the_condition_found() {
        let mut looks = 0;
        let found = wait_until("three looks", SOON, async || {
            looks += 1;
            if looks == 3 { Ok("found") } else { Err(looks) }
        })
        .await;
        assert_eq!((found, looks), ("found", 3));
    }

    #[tokio::test]
    #[should_panic(expected = "pigs fly: not within 10ms; last seen: Some(\"no wings\")")]
    async fn it_says_what_it_saw_last() {
        wait_until("pigs fly", Duration::from_millis(10), async || Err::<(), _>("no wings")).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the last look did not end")]
    async fn a_look_that_never_ends_is_cut_off() {
        wait_until("an answer", Duration::from_millis(10), async || std::future::pending::<Result<(), ()>>().await)
            .await;
    }
}
