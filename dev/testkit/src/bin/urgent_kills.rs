//! Kills the task of urgent messages at random instants: `urgent_kills --kills 1000`, and `--seed N` for the same course again.
//!
//! A child process carries out steps as fast as it can, under a clock that stands in a file; this process moves the clock (minutes
//! ahead, an hour ahead, back), answers some messages through a store of its own, kills the child with SIGKILL up to 40 ms after
//! it was started or the clock was moved, and starts the next one, in some rounds two at once. At the end every step of each
//! message that nobody answered must be there, carried out or passed over, once and in order, and the audit chain sound.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a tool for tests")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use store::{
    Actor, Addressed, AuditFilter, AuditId, AuditRow, Body, ChainVerdict, DatabaseKey, IdempotencyKey, IfMissing,
    Location, MessageId, NewMessage, NextStep, Sent, StepKind, Store, Subject, TeamName, TeamNamed, Timestamp, Urgent,
    UrgentAnswer, UrgentPolicy, UrgentState,
};
use wardpost_testkit::{TemporaryStore, member};

/// The longest time from a start or a move of the clock to the kill.
const LATEST_KILL: u64 = 40;
/// Messages about which not everything is over are kept at this number, so that there is always something to do.
const OPEN: usize = 12;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut kills, mut seed) = (30_u64, None);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().expect("every option takes a value");
        match name.as_str() {
            "--kills" => kills = value().parse().expect("--kills takes a number"),
            "--seed" => seed = Some(value().parse().expect("--seed takes a number")),
            "--carry-out" => return carry_out(value().into(), value().into(), &value()).await,
            other => panic!("unknown option {other}"),
        }
    }
    let seed = seed.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        u64::from_le_bytes(bytes)
    });
    println!("seed {seed}");
    let begun = Instant::now();
    let mut clinic = Clinic::open(seed).await;
    for _ in 0..kills {
        clinic.round().await;
    }
    println!("{}; {:.0} s", clinic.check(kills).await, begun.elapsed().as_secs_f64());
}

/// The child: carries out steps until it is killed.
async fn carry_out(database: PathBuf, clock: PathBuf, key: &str) {
    let key = DatabaseKey::from_hex(key).expect("a key");
    let store = Store::open(&Location::file(&database, &key), IfMissing::Refuse).await.expect("the database opens");
    println!("ready");
    loop {
        // While the other one holds the database, it is tried again, as the site does.
        let _ = store.carry_out_urgent_steps(read_clock(&clock)).await;
        tokio::task::yield_now().await;
    }
}

fn read_clock(file: &Path) -> Timestamp {
    Timestamp::from_millis(std::fs::read_to_string(file).expect("a clock").parse().expect("milliseconds"))
}

/// Random numbers that a seed gives again (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

/// A message that was sent, and whether nothing but "Cannot" was answered.
struct SentMessage {
    id: MessageId,
    policy: UrgentPolicy,
    sent_at: Timestamp,
    unanswered: bool,
    handed_on: bool,
}

struct Clinic {
    place: TemporaryStore,
    store: Store,
    clock: PathBuf,
    now: Timestamp,
    dice: Dice,
    people: Vec<Actor>,
    teams: Vec<store::TeamId>,
    sent: Vec<SentMessage>,
    left_undone: u64,
    answers: u64,
}

impl Clinic {
    /// Two teams, people in both, one and none, all of them signed in.
    async fn open(seed: u64) -> Self {
        let place = TemporaryStore::new();
        let store = place.open().await;
        let now = Timestamp::from_millis(1_795_381_805_123);
        let mut people = Vec::new();
        for name in ["Noor", "Amina", "Tomas", "Huong", "Pilar", "Jonas", "Zoe"] {
            people.push(member(&store, name, now).await.actor);
        }
        let mut teams = Vec::new();
        for (name, members) in [("Ward 3", [1, 2, 3]), ("Pharmacy", [3, 4, 5])] {
            let made = store.create_team(people[0], TeamName::parse(name).unwrap(), now).await.unwrap();
            let TeamNamed::Named(team) = made else { panic!("{made:?}") };
            for member in members {
                store.join_team(people[member], team, now).await.unwrap();
            }
            teams.push(team);
        }
        let clock = place.directory().join("clock");
        let dice = Dice(seed);
        let mut clinic =
            Self { place, store, clock, now, dice, people, teams, sent: Vec::new(), left_undone: 0, answers: 0 };
        clinic.write_clock();
        clinic
    }

    /// In one step: a child may be reading.
    fn write_clock(&mut self) {
        let new = self.clock.with_extension("new");
        std::fs::write(&new, self.now.as_millis().to_string()).unwrap();
        std::fs::rename(new, &self.clock).unwrap();
    }

    /// Minutes ahead, mostly; at times an hour, or back.
    fn move_clock(&mut self) {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        self.now = match self.dice.below(10) {
            0 => self.now.plus(minutes(60)),
            1 => self.now.minus(minutes(1 + self.dice.below(20))),
            _ => self.now.plus(minutes(self.dice.below(8))),
        };
        self.write_clock();
    }

    /// One kill, of one child or of two.
    async fn round(&mut self) {
        self.send_more().await;
        let mut children = vec![self.start()];
        if self.dice.below(3) == 0 {
            children.push(self.start());
        }
        // Some are killed while they start.
        if self.dice.below(4) > 0 {
            children.iter_mut().for_each(wait_until_ready);
            self.move_clock();
            if self.dice.below(3) == 0 {
                self.answer().await;
            }
        }
        std::thread::sleep(Duration::from_micros(self.dice.below(LATEST_KILL * 1_000)));
        for child in &mut children {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
        let due = |urgent: &store::UrgentMessage| urgent.next.is_some_and(|(_, at)| at <= self.now);
        let open = self.store.urgent_messages().await.unwrap();
        self.left_undone += u64::from(open.iter().any(due));
    }

    fn start(&self) -> Child {
        Command::new(std::env::current_exe().expect("this program"))
            .arg("--carry-out")
            .args([&self.place.path(), &self.clock])
            .arg(self.place.key_hex())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child")
    }

    async fn send_more(&mut self) {
        let ahead = self.store.urgent_messages().await.unwrap();
        let ahead = ahead.iter().filter(|urgent| urgent.next.is_some()).count();
        for _ in ahead..OPEN {
            let mut addressed = Addressed { urgent: Some(self.dice.of(&UrgentPolicy::ALL)), ..Addressed::default() };
            if self.dice.below(2) == 0 {
                addressed.teams.insert(self.dice.of(&self.teams));
            }
            if self.dice.below(2) == 0 || addressed.is_empty() {
                addressed.people.insert(self.dice.of(&self.people).person);
            }
            let policy = addressed.urgent.unwrap();
            let message = NewMessage {
                subject: Subject::parse("Room 7").unwrap(),
                body: Body::parse("Please come.").unwrap(),
                addressed,
                key: IdempotencyKey::fresh(),
            };
            let sent = self.store.send_message(self.people[0], message, self.now).await.unwrap();
            let Sent::Created(id) = sent else { panic!("{sent:?}") };
            let sent = SentMessage { id, policy, sent_at: self.now, unanswered: true, handed_on: false };
            self.sent.push(sent);
        }
    }

    /// Somebody answers a message, while the children carry out steps.
    async fn answer(&mut self) {
        let open = self.store.urgent_messages().await.unwrap();
        let waiting: Vec<_> = open.iter().filter(|urgent| urgent.state == UrgentState::Waiting).collect();
        let (Some(urgent), what) = (waiting.first().map(|_| self.dice.of(&waiting)), self.dice.below(4)) else {
            return;
        };
        let has_duty: Vec<_> =
            urgent.duties.iter().filter(|duty| duty.ended.is_none()).map(|duty| duty.person.id).collect();
        let actors: Vec<_> = self.people.iter().copied().filter(|actor| has_duty.contains(&actor.person)).collect();
        let Some(actor) = actors.first().map(|_| self.dice.of(&actors)) else { return };
        let sent = self.sent.iter_mut().find(|sent| sent.id == urgent.message).unwrap();
        let (store, id, now) = (&self.store, sent.id, self.now);
        if what < 2 {
            store.answer_urgent(actor, id, UrgentAnswer::Cannot, now).await.unwrap();
            sent.handed_on = true;
        } else {
            store.answer_urgent(actor, id, UrgentAnswer::OnMyWay, now).await.unwrap();
            if what == 3 {
                store.finish_duty(actor, id, now).await.unwrap();
            }
            sent.unanswered = false;
        }
        self.answers += 1;
    }

    /// Lets one process finish, and compares what there is with what must be.
    async fn check(mut self, kills: u64) -> String {
        self.now = self.now.plus(Duration::from_secs(60 * 60 * 24));
        self.store.carry_out_urgent_steps(self.now).await.unwrap();
        let again = self.store.carry_out_urgent_steps(self.now).await.unwrap();
        assert!(again.is_empty(), "something is due again: {again:?}");
        let rows = self.rows().await;
        let (mut carried_out, mut passed_over) = (0, 0);
        for sent in &self.sent {
            let (done, skipped) = check_message(sent, &rows);
            (carried_out, passed_over) = (carried_out + done, passed_over + skipped);
        }
        let verdict = self.store.verify_chain(None, |_| ()).await.unwrap();
        assert!(matches!(verdict, ChainVerdict::Sound { .. }), "{verdict:?}");
        self.store.close().await;
        format!(
            "{kills} kills: {} messages, {} answers, {carried_out} steps carried out and {passed_over} passed over, each once and \
             in order; after {} kills something due was left to the next child; the chain of {} rows is sound",
            self.sent.len(),
            self.answers,
            self.left_undone,
            rows.len(),
        )
    }

    async fn rows(&self) -> Vec<AuditRow> {
        let head = self.store.audit_head().await.unwrap().id;
        let mut rows: Vec<AuditRow> = Vec::new();
        loop {
            let after = rows.last().map_or(AuditId::ZERO, |row| row.id);
            let more = self.store.audit_rows(&AuditFilter::default(), after, head, 1_000).await.unwrap();
            if more.is_empty() {
                return rows;
            }
            rows.extend(more);
        }
    }
}

fn wait_until_ready(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n", "the child did not start");
}

/// How many steps of a message were carried out, and how many passed over.
fn check_message(sent: &SentMessage, rows: &[AuditRow]) -> (usize, usize) {
    let (steps, mut over) = (sent.policy.steps(), Vec::new());
    let mut skipped_count = 0;
    for row in rows.iter().filter(|row| row.message == Some(sent.id)) {
        let details: serde_json::Value = serde_json::from_str(&row.details).unwrap();
        match row.action.as_str() {
            "URGENT_STEP" => {
                let number = usize::try_from(details["step"].as_u64().unwrap()).unwrap();
                assert_eq!(details["kind"], steps[number - 1].kind.as_str(), "message {}, step {number}", sent.id);
                if !sent.handed_on {
                    // Where there is no teammate to ask, everyone is asked when the teammates would have been.
                    let due = if steps[number - 1].kind == StepKind::Everyone { number - 1 } else { number };
                    assert!(due_at(sent, due) <= row.at, "message {}: step {number} came too early", sent.id);
                }
                over.push(number);
            }
            "URGENT_STEPS_SKIPPED" => {
                let skipped = ranges(details["steps"].as_str().unwrap());
                skipped_count += skipped.len();
                over.extend(skipped);
            }
            _ => {}
        }
    }
    let expected: Vec<usize> = (1..=over.len()).collect();
    assert_eq!(over, expected, "the steps of message {}, in the order of their rows", sent.id);
    if sent.unanswered {
        assert_eq!(over.len(), steps.len(), "message {} was not answered, and lacks a step", sent.id);
    }
    (over.len() - skipped_count, skipped_count)
}

/// When a step is due that nobody brings forward.
fn due_at(sent: &SentMessage, number: usize) -> Timestamp {
    let urgent = Urgent {
        policy: sent.policy,
        sent_at: sent.sent_at,
        carried_out: number - 1,
        handed_on: &[],
        stopped: false,
        has_teammates: true,
    };
    match urgent.next(sent.sent_at) {
        NextStep::At(at) => at,
        other => panic!("a step is due as soon as a message is sent: {other:?}"),
    }
}

/// The numbers of "1-3, 5".
fn ranges(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse::<usize>().unwrap()..=last.parse().unwrap()
    };
    text.split([',', ' ']).filter(|part| !part.is_empty()).flat_map(range).collect()
}
