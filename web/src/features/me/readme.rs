//! The text that lies in the archive and says what each file is.

/// When it was made, for whom, and up to which row of the audit log.
pub(super) fn readme(name: &str, email: &str, made: &str, up_to: i64) -> String {
    format!(
        "Everything in Wardpost that concerns {name} ({email})
Made {made}. It goes up to row {up_to} of the audit log.

Each file that ends in .jsonl holds one JSON object a line, the oldest first, as text in UTF-8. Any text editor opens it.
Times are UTC. A file without a line says that there is nothing of its kind.

account.json         who you are to Wardpost: what your identity provider told it
messages.jsonl       the messages and replies that you sent. `conversation` is the number of the first message of the
                     conversation. Of a deleted message nothing is left but its number and when it was deleted
drafts.jsonl         what you have half written. `conversation` is the one that it replies to, `for` whom it would be for, by number
template-drafts.jsonl  what you have half written in the form of a template, row by row
teams.jsonl          the teams that you are in or were in, from when until when, under the names that they have today
sessions.jsonl       each time you signed in: when, from which address, with which browser. When a session was last active
                     and when it ended stands here for 30 days after its end; its end stands in acts.jsonl for good
acts.jsonl           every row of the audit log that concerns you, with its hash and the hash before it: what you did, and, with
                     an empty `user_id`, what an operator or Wardpost itself did to your account. Whom a message of yours was for
                     stands in its row MESSAGE_CREATE as `for` and `for_teams`; what you answered to messages that were for you
                     are the rows DUTY_DONE, DUTY_TAKEN, URGENT_ON_MY_WAY and URGENT_CANNOT
opened-by-you.jsonl  which messages you opened, and when: the rows MESSAGE_VIEW of acts.jsonl. `messages` are the numbers
opened-of-yours.jsonl  who else opened a message of yours, and when. `row` is the row of the audit log

Not in it: messages of others, also those for you, which you can read in Wardpost as everybody on staff can; passwords, of which Wardpost has none;
and backups, which hold copies of all this until they expire.
"
    )
}
