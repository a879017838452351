//! How long a client may keep the site waiting, and who goes first when there are too many. Nothing here looks at a clock
//! or a socket: what it is told decides.

use std::cmp::Reverse;
use std::time::Duration;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was accepted, and has not said anything yet.
    Silent,
    /// It has had its answer, and may ask again.
    Idle,
    /// The head of a request is arriving.
    Head,
    /// A form is arriving.
    Body,
    /// The site is at work: the client waits, not we.
    Working,
}

/// How a connection stands. Times are on one clock, whichever it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) stage: Stage,
    /// Since when.
    pub(crate) since: Duration,
    /// Since when a reply finds no room, because the client does not take what was sent before.
    pub(crate) blocked: Option<Duration>,
    /// Whether it has buffers, and not only a socket.
    pub(crate) served: bool,
}

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Give the buffers back until there is something to read.
    Park,
    /// Answer what is in progress, and close.
    Finish,
    /// Close.
    Close,
}

/// How long a client may keep the site waiting.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the first byte.
    pub silent: Duration,
    /// From the first byte of a request's head to its last, on the first request and on every later one.
    pub head: Duration,
    /// For a form. The route that reads it has its own deadline, and a page that explains; this one is behind it.
    pub body: Duration,
    /// For the next request. Longer than a load balancer keeps its own connections (60 s by default), so that it never
    /// sends a request into a connection that we are closing.
    pub idle: Duration,
    /// For [`crate::socket::LEAST_TAKEN`] bytes of a reply to be taken, or its rest.
    pub reply: Duration,
    /// When an idle connection gives its buffers back.
    pub park: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            silent: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            reply: Duration::from_secs(30),
            park: Duration::from_secs(2),
        }
    }
}

/// One that has kept us waiting for less than this may just be on the way.
const GRACE: Duration = Duration::from_secs(1);

impl Status {
    /// Since when the client keeps us waiting; None while it is the site that works.
    fn waiting_since(&self) -> Option<Duration> {
        self.blocked.or((self.stage != Stage::Working).then_some(self.since))
    }

    /// What its time is up for, if anything.
    pub(crate) fn due(&self, timeouts: &Timeouts, now: Duration) -> Option<Order> {
        let waited = now.saturating_sub(self.waiting_since()?);
        let most = match (self.blocked, self.stage) {
            (Some(_), _) => timeouts.reply,
            (None, Stage::Silent) => timeouts.silent,
            (None, Stage::Idle) => timeouts.idle,
            (None, Stage::Head) => timeouts.head,
            (None, Stage::Body) => timeouts.body,
            (None, Stage::Working) => return None,
        };
        if waited >= most {
            Some(Order::Close)
        } else if self.may_park() && waited >= timeouts.park {
            Some(Order::Park)
        } else {
            None
        }
    }

    /// Whether it could do without its buffers.
    pub(crate) fn may_park(&self) -> bool {
        self.served && self.stage == Stage::Idle && self.blocked.is_none()
    }

    /// Who goes first has the smallest. None: it stays.
    fn rank(&self, now: Duration) -> Option<(Reverse<bool>, Duration)> {
        let since = self.waiting_since()?;
        let idle = self.stage == Stage::Idle && self.blocked.is_none();
        let stalled = !idle && now.saturating_sub(since) >= GRACE;
        Some((Reverse(stalled), since))
    }
}

/// Up to `most` connections to let go, so that others get their turn: first those that have begun something and stall,
/// then all others, and of each the ones that have kept us waiting longest. Nobody whose answer is being made.
pub(crate) fn longest_waiting<K>(
    all: impl IntoIterator<Item = (K, Status)>,
    most: usize,
    now: Duration,
) -> Vec<(K, Status)> {
    let mut waiting: Vec<_> =
        all.into_iter().filter_map(|(key, status)| Some((status.rank(now)?, key, status))).collect();
    if waiting.len() > most && most > 0 {
        waiting.select_nth_unstable_by_key(most - 1, |(rank, ..)| *rank);
    }
    waiting.truncate(most);
    waiting.into_iter().map(|(_, key, status)| (key, status)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAGES: [Stage; 5] = [Stage::Silent, Stage::Idle, Stage::Head, Stage::Body, Stage::Working];

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn status(stage: Stage, since: u64) -> Status {
        Status { stage, since: seconds(since), blocked: None, served: true }
    }

    fn any_status() -> impl Strategy<Value = Status> {
        (0..STAGES.len(), 0..100_u64, prop::option::of(0..100_u64), any::<bool>()).prop_map(
            |(stage, since, blocked, served)| Status {
                stage: STAGES[stage],
                since: seconds(since),
                blocked: blocked.map(seconds),
                served,
            },
        )
    }

    #[test]
    fn each_wait_has_its_end_and_work_has_none() {
        let timeouts = Timeouts::default();
        for (stage, most) in [(Stage::Silent, 10), (Stage::Head, 10), (Stage::Body, 30), (Stage::Idle, 75)] {
            let status = status(stage, 100);
            assert_ne!(status.due(&timeouts, seconds(100 + most - 1)), Some(Order::Close), "{stage:?}");
            assert_eq!(status.due(&timeouts, seconds(100 + most)), Some(Order::Close), "{stage:?}");
        }
        assert_eq!(status(Stage::Working, 0).due(&timeouts, seconds(100_000)), None);
    }

    #[test]
    fn a_reply_that_is_not_taken_ends_whatever_is_at_work_behind_it() {
        let timeouts = Timeouts::default();
        let unread = Status { blocked: Some(seconds(50)), ..status(Stage::Working, 0) };
        assert_eq!(unread.due(&timeouts, seconds(79)), None);
        assert_eq!(unread.due(&timeouts, seconds(80)), Some(Order::Close));
    }

    #[test]
    fn who_is_idle_gives_buffers_back_and_keeps_the_connection() {
        let timeouts = Timeouts::default();
        let idle = status(Stage::Idle, 0);
        assert_eq!(idle.due(&timeouts, seconds(1)), None);
        assert_eq!(idle.due(&timeouts, seconds(2)), Some(Order::Park));
        assert_eq!(Status { served: false, ..idle }.due(&timeouts, seconds(2)), None);
        let unsent = Status { blocked: Some(seconds(0)), ..idle };
        assert_eq!(unsent.due(&timeouts, seconds(20)), None, "a reply is still on its way");
    }

    #[test]
    fn one_that_stalls_goes_before_one_that_is_idle_and_who_has_just_come_goes_last() {
        let now = seconds(100);
        let all = [
            ("at work", status(Stage::Working, 0)),
            ("idle for long", status(Stage::Idle, 30)),
            ("just come", status(Stage::Silent, 100)),
            ("half a head", status(Stage::Head, 98)),
            ("half a form", status(Stage::Body, 95)),
            ("does not read", Status { blocked: Some(seconds(90)), ..status(Stage::Working, 0) }),
        ];
        let mut order = Vec::new();
        for most in 1..=all.len() {
            for (name, _) in longest_waiting(all, most, now) {
                if !order.contains(&name) {
                    order.push(name);
                }
            }
        }
        assert_eq!(order, ["does not read", "half a form", "half a head", "idle for long", "just come"]);
    }

    proptest! {
        /// Nobody goes whose answer is being made, no more than asked for, as many as there are, and nobody who goes has a
        /// better claim than anybody who stays.
        #[test]
        fn those_who_go_are_those_who_keep_us_waiting_longest(
            all in prop::collection::vec(any_status(), 0..60),
            most in 0..70_usize,
            now in 0..200_u64,
        ) {
            let now = seconds(now);
            let going = longest_waiting(all.iter().copied().enumerate(), most, now);
            let waiting = all.iter().filter(|status| status.waiting_since().is_some()).count();
            prop_assert_eq!(going.len(), most.min(waiting));
            let last = going.iter().map(|(_, status)| status.rank(now).unwrap()).max();
            let gone: Vec<usize> = going.iter().map(|(key, _)| *key).collect();
            for (key, status) in all.iter().enumerate().filter(|(key, _)| !gone.contains(key)) {
                prop_assert!(status.rank(now).is_none_or(|rank| Some(rank) >= last || most == 0), "{} stays", key);
            }
        }
    }
}
