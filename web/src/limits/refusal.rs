//! What somebody who asked too often is told.

use std::time::Duration;

/// A limit, by what it limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anything from one address.
    Requests,
    /// Sign-ins from one address.
    SignIn,
    /// Messages of one member.
    Send,
    /// Drafts of one member.
    Draft,
    /// Exports of one member.
    Export,
    /// Requests under way at once.
    AtOnce,
    /// Lists that are kept up to date at once.
    Streams,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug)]
pub struct TooMany {
    /// Which.
    pub rule: Rule,
    /// How long until the next one is let through, if nothing else is asked for.
    pub wait: Duration,
}

impl Rule {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Rule; 7] =
        [Rule::Requests, Rule::SignIn, Rule::Send, Rule::Draft, Rule::Export, Rule::AtOnce, Rule::Streams];

    /// As the log has it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Requests => "requests",
            Rule::SignIn => "sign_in",
            Rule::Send => "send",
            Rule::Draft => "draft",
            Rule::Export => "export",
            Rule::AtOnce => "at_once",
            Rule::Streams => "streams",
        }
    }
}

impl TooMany {
    /// For Retry-After: whole seconds, rounded up, since coming a moment too early is in vain.
    pub fn seconds(self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0 || self.wait.is_zero())
    }

    /// What happened, as a heading.
    pub fn title(self) -> &'static str {
        match self.rule {
            Rule::Requests | Rule::AtOnce => "Too many requests at once",
            Rule::SignIn => "Too many sign-ins at once",
            Rule::Send => "Too many messages at once",
            Rule::Draft => "Too many drafts at once",
            Rule::Export => "Too many exports at once",
            Rule::Streams => "Too many open lists",
        }
    }

    /// Why, and when to come back.
    pub fn explanation(self) -> String {
        let wait = self.wait_in_words();
        match self.rule {
            Rule::Requests => format!(
                "More came from your network just now than this site answers to one. Nothing was changed. Wait {wait}, then try again."
            ),
            Rule::SignIn => {
                format!("Many people signed in from this network. Your account is fine. Try again in {wait}.")
            }
            Rule::Send => format!(
                "You have sent many messages in a short time, and this one is not sent yet. It is not lost: wait {wait}, then send it again."
            ),
            Rule::Draft => format!(
                "What you write was saved many times just now, and the newest of it not yet. Wait {wait}, then it is saved again."
            ),
            Rule::AtOnce => format!(
                "Earlier requests of yours are still being answered, as many as this site answers to one at a time. Nothing was changed. Wait {wait}, then try again."
            ),
            Rule::Streams => format!(
                "You have more lists open than are kept up to date at a time. Close some, or wait {wait} and try again."
            ),
            Rule::Export => format!("You have exported the log several times just now. Wait {wait}, then try again."),
        }
    }

    fn wait_in_words(self) -> String {
        match self.seconds() {
            1 => "a second".to_owned(),
            seconds @ ..=90 => format!("{seconds} seconds"),
            seconds => format!("{} minutes", seconds.div_ceil(60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_rounded_up_and_never_nothing() {
        let seconds = |millis| TooMany { rule: Rule::Send, wait: Duration::from_millis(millis) }.seconds();
        assert_eq!((seconds(0), seconds(1), seconds(1_000), seconds(1_001), seconds(12_000)), (1, 1, 1, 2, 12));
    }

    #[test]
    fn the_wait_is_told_in_words() {
        let told = |seconds| TooMany { rule: Rule::SignIn, wait: Duration::from_secs(seconds) }.explanation();
        assert!(told(1).ends_with("Try again in a second."));
        assert!(told(12).ends_with("Try again in 12 seconds."));
        assert!(told(100).ends_with("Try again in 2 minutes."));
    }
}
