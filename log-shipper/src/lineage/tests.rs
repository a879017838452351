use proptest::prelude::*;
use store::{RecordedHead, RestoreDetails, genesis_hash};

use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn id(number: i64) -> AuditId {
    AuditId::new(number).unwrap()
}

fn hash(word: &str) -> Hash {
    genesis_hash(word)
}

fn day(number: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000).plus(DAY * u32::try_from(number).unwrap())
}

/// A copy with what its streams really had, made by writing, backing up and restoring as the programs do.
#[derive(Clone, Default)]
struct World {
    /// The hash of each row of a stream, from its first on.
    streams: BTreeMap<String, Vec<Hash>>,
    facts: BTreeMap<String, StreamFacts>,
    backups: Vec<(String, ChainPosition, Vec<Hash>, Vec<LocalRestore>)>,
    current: String,
    restores: Vec<LocalRestore>,
    count: u64,
}

impl World {
    fn new() -> World {
        let mut world = World { current: "d".into(), ..World::default() };
        world.facts.insert("d".into(), StreamFacts { is_there: true, created: Some(day(0)), ..StreamFacts::default() });
        world.write(3);
        world
    }

    fn rows(&mut self) -> &mut Vec<Hash> {
        self.streams.entry(self.current.clone()).or_default()
    }

    fn write(&mut self, rows: usize) {
        for _ in 0..rows {
            self.count += 1;
            let new = hash(&format!("row {}", self.count));
            self.rows().push(new);
        }
        let last = id(i64::try_from(self.rows().len()).unwrap());
        self.facts.get_mut(&self.current).unwrap().last = Some(last);
    }

    fn back_up(&mut self) -> String {
        let rows = self.rows().clone();
        let head = ChainPosition { id: id(i64::try_from(rows.len()).unwrap()), hash: *rows.last().unwrap() };
        let name = format!("backup-{}", self.backups.len());
        self.backups.push((name.clone(), head, rows, self.restores.clone()));
        self.write(1);
        let recorded = BackupRow { row: head.id.next(), name: name.clone(), head: Some(head) };
        self.facts.get_mut(&self.current).unwrap().backups.entry(name.clone()).or_default().push(recorded);
        name
    }

    /// Puts a backup back, `knows` the old log or not (the machine was lost).
    fn restore(&mut self, which: usize, knows: bool) {
        let (backup, head, mut rows, mut restores) = self.backups[which].clone();
        self.count += 1;
        let end = self.rows().len();
        let given_up_head = RecordedHead { row: i64::try_from(end).unwrap(), hash: self.rows()[end - 1].to_string() };
        let record = RestoreRecord {
            id: head.id.next(),
            at: day(self.count),
            previous_hash: head.hash,
            hash: hash(&format!("row {}", self.count)),
            details: RestoreDetails {
                backup,
                restored_head: Some(head.into()),
                given_up_head: knows.then_some(given_up_head),
                given_up_stream: knows.then(|| self.current.clone()),
                ..RestoreDetails::default()
            },
        };
        rows.push(record.hash);
        restores.push(LocalRestore { record: record.clone(), head_at: Some(day(0)) });
        self.current = record.stream("d");
        let facts = StreamFacts {
            is_there: true,
            created: Some(day(self.count)),
            last: Some(record.id),
            restores: restores.iter().map(|restore| (restore.record.id, restore.record.clone())).collect(),
            ..StreamFacts::default()
        };
        self.facts.insert(self.current.clone(), facts);
        self.streams.insert(self.current.clone(), rows);
        self.restores = restores;
    }

    fn scope(&self) -> Scope {
        Scope {
            database_id: "d".into(),
            restores: self.restores.clone(),
            first: id(1),
            last: id(i64::try_from(self.streams[&self.current].len()).unwrap()),
            until: None,
            cursors: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            kept_from: id(1),
            retention_days: None,
            now: day(10_000),
        }
    }

    /// The verdict, after everything that is wanted was looked up.
    fn judge(&self, scope: &Scope) -> Vec<JudgedStream> {
        let mut facts = self.facts.clone();
        for (stream, wanted) in wanted(scope, &facts.clone()) {
            let Some(facts) = facts.get_mut(&stream) else { continue };
            let rows = self.streams.get(&stream).cloned().unwrap_or_default();
            facts.heads.extend(wanted.heads.into_iter().map(|head| {
                let row = usize::try_from(head.get()).unwrap() - 1;
                (head, rows.get(row).copied().into_iter().collect())
            }));
        }
        judge(scope, &facts)
    }

    fn judged(&self) -> Vec<(Role, Option<Proof>)> {
        shape(&self.judge(&self.scope()))
    }
}

fn shape(judged: &[JudgedStream]) -> Vec<(Role, Option<Proof>)> {
    judged.iter().map(|stream| (stream.role, stream.restore.as_ref().map(|(_, proof)| *proof))).collect()
}

fn is_sound(judged: &[(Role, Option<Proof>)]) -> bool {
    judged.iter().all(|(role, proof)| *role != Role::Unexplained && !proof.is_some_and(Proof::fails_verification))
}

/// One backup that was put back, with some rows given up.
fn once_restored() -> World {
    let mut world = World::new();
    world.back_up();
    world.write(4);
    world.restore(0, true);
    world.write(2);
    world
}

#[test]
fn a_log_without_a_restore_is_one_stream() {
    assert_eq!(World::new().judged(), [(Role::Current, None)]);
}

#[test]
fn a_real_restore_is_proved_and_what_it_gave_up_begins_with_its_row() {
    let world = once_restored();
    let judged = world.judge(&world.scope());
    assert_eq!(shape(&judged), [(Role::Before, None), (Role::Current, Some(Proof::Proved))]);
    assert_eq!((judged[0].shared_to, judged[1].shared_to), (Some(id(3)), None));
}

#[test]
fn each_thing_that_a_forged_restore_can_get_wrong_is_found() {
    let spoilt = |spoil: fn(&mut World)| {
        let mut world = once_restored();
        spoil(&mut world);
        world.judged()[1].1
    };
    assert_eq!(spoilt(|_| {}), Some(Proof::Proved));
    // The stream before it never had that row so.
    assert_eq!(spoilt(|world| world.streams.get_mut("d").unwrap()[2] = hash("other")), Some(Proof::HeadUnknown));
    assert_eq!(spoilt(|world| world.streams.get_mut("d").unwrap().truncate(2)), Some(Proof::HeadUnknown));
    // The row does not follow on the head that it names, or names none.
    assert_eq!(spoilt(|world| world.restores[0].record.previous_hash = hash("other")), Some(Proof::HeadUnknown));
    assert_eq!(spoilt(|world| world.restores[0].record.details.restored_head = None), Some(Proof::HeadUnknown));
    // No such backup, one that ended elsewhere, or one that was made before the head.
    assert_eq!(spoilt(|world| world.restores[0].record.details.backup = "x".into()), Some(Proof::BackupUnknown));
    fn recorded(world: &mut World) -> &mut BackupRow {
        &mut world.facts.get_mut("d").unwrap().backups.get_mut("backup-0").unwrap()[0]
    }
    assert_eq!(
        spoilt(|world| recorded(world).head = Some(ChainPosition { id: id(2), hash: hash("row 2") })),
        Some(Proof::BackupUnknown)
    );
    assert_eq!(spoilt(|world| recorded(world).row = id(3)), Some(Proof::BackupUnknown));
    assert_eq!(spoilt(|world| recorded(world).head = None), Some(Proof::ByNameOnly));
    assert_eq!(spoilt(|world| drop(world.facts.remove("d"))), Some(Proof::StreamMissing));
}

#[test]
fn a_restore_that_is_not_asked_for_is_none_only_where_it_gave_up_nothing_that_is() {
    let world = once_restored();
    // Row 4 is the restore; the stream before it went on to row 8.
    for (first, proof) in [(4, Proof::Proved), (5, Proof::Proved), (8, Proof::Proved), (9, Proof::NotAsked)] {
        let judged = world.judge(&Scope { first: id(first), ..world.scope() });
        assert_eq!(judged[1].restore.as_ref().unwrap().1, proof, "from row {first}");
    }
    let judged = world.judge(&Scope { until: Some(id(3)), ..world.scope() });
    assert_eq!(judged[1].restore.as_ref().unwrap().1, Proof::NotAsked);
}

#[test]
fn a_stream_beside_the_local_log_must_have_been_given_up() {
    let mut world = once_restored();
    let other = world.current.clone();
    world.restore(0, true);
    let judged = world.judge(&world.scope());
    assert_eq!(
        shape(&judged),
        [(Role::Before, None), (Role::Current, Some(Proof::Proved)), (Role::GivenUp, Some(Proof::Proved))]
    );
    assert_eq!((judged[2].name.as_str(), judged[2].shared_to), (other.as_str(), Some(id(3))));
    // The last restore gave up another one: somebody goes on with it.
    world.restores[0].record.details.given_up_stream = Some("d".into());
    assert_eq!(world.judged()[2], (Role::Unexplained, Some(Proof::Proved)));
    // It does not say which one: whatever had begun by then.
    world.restores[0].record.details.given_up_stream = None;
    assert_eq!(world.judged()[2].0, Role::GivenUp);
    world.restores[0].record.at = day(0);
    assert_eq!(world.judged()[2].0, Role::Unexplained);
}

#[test]
fn a_stream_that_was_given_up_must_itself_come_from_a_real_restore() {
    let mut world = once_restored();
    let other = world.current.clone();
    world.restore(0, true);
    for record in world.facts.get_mut(&other).unwrap().restores.values_mut() {
        record.details.backup = "x".into();
    }
    assert_eq!(world.judged()[2], (Role::Unexplained, Some(Proof::BackupUnknown)));
}

#[test]
fn another_database_is_explained_where_a_restore_says_that_it_took_its_place() {
    let mut world = once_restored();
    let empty = StreamFacts { is_there: true, last: Some(id(9)), ..StreamFacts::default() };
    world.facts.insert("empty".into(), empty);
    assert_eq!(world.judged()[2], (Role::Unexplained, None));
    world.restores[0].record.details.given_up_stream = None;
    assert_eq!(world.judged()[2], (Role::Unexplained, None), "no restore without a name says that");
    world.restores[0].record.details.given_up_stream = Some("empty".into());
    let judged = world.judge(&world.scope());
    assert_eq!((judged[2].role, judged[2].shared_to), (Role::GivenUp, Some(AuditId::ZERO)));
    world.restores[0].record.details.backup = "x".into();
    assert_eq!(world.judged()[2], (Role::Unexplained, None), "a restore that is not proved explains nothing");
}

#[test]
fn two_strangers_cannot_vouch_for_each_other() {
    let mut world = once_restored();
    let mut second = world.clone();
    second.restore(0, true);
    let (one, other) = (world.current.clone(), second.current.clone());
    world.facts.extend(second.facts.clone());
    world.streams.extend(second.streams.clone());
    // The local log is the first stream; both others say that they gave up the other one.
    for (name, gives_up) in [(&one, &other), (&other, &one)] {
        for record in world.facts.get_mut(name).unwrap().restores.values_mut() {
            record.details.given_up_stream = Some(gives_up.clone());
        }
    }
    (world.current, world.restores) = ("d".into(), Vec::new());
    let judged = world.judged();
    assert_eq!(judged[0], (Role::Current, None));
    assert_eq!([judged[1].0, judged[2].0], [Role::Unexplained; 2]);
}

#[test]
fn an_empty_stream_is_explained_by_its_age_alone() {
    let mut world = World::new();
    let stranger = StreamFacts { is_there: true, created: Some(day(9_700)), ..StreamFacts::default() };
    world.facts.insert("stranger".into(), stranger);
    let role = |world: &World, days: Option<i32>| world.judge(&Scope { retention_days: days, ..world.scope() })[1].role;
    assert_eq!(role(&world, None), Role::Unexplained);
    assert_eq!(role(&world, Some(301)), Role::Unexplained);
    assert_eq!(role(&world, Some(299)), Role::PastRetention);
}

#[test]
fn a_restore_is_past_proving_only_once_it_is_old_in_the_place_itself() {
    let mut world = once_restored();
    let current = world.current.clone();
    world.streams.get_mut("d").unwrap().clear();
    world.facts.get_mut("d").unwrap().backups.clear();
    let mut proof = |created: u64, head: u64, days: i32| {
        world.facts.get_mut(&current).unwrap().created = Some(day(created));
        world.restores[0].head_at = Some(day(head));
        world.judge(&Scope { retention_days: Some(days), now: day(1_000), ..world.scope() })[1].proof()
    };
    assert_eq!(proof(600, 590, 365), Proof::PastRetention, "all of it is old");
    assert_eq!(proof(640, 620, 365), Proof::PastRetention, "the head is, and was there on the day of the restore");
    assert_eq!(proof(640, 636, 365), Proof::HeadUnknown, "the head should still be there");
    assert_eq!(proof(999, 100, 365), Proof::HeadUnknown, "the head was too old on the day of the restore");
    assert_eq!(proof(640, 620, 9_999), Proof::HeadUnknown);
}

trait ProofOf {
    fn proof(&self) -> Proof;
}

impl ProofOf for JudgedStream {
    fn proof(&self) -> Proof {
        self.restore.as_ref().unwrap().1
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Write(usize),
    BackUp,
    Restore(prop::sample::Index, bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (1..4_usize).prop_map(Act::Write),
        Just(Act::BackUp),
        (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, knows)| Act::Restore(which, knows)),
    ];
    proptest::collection::vec(act, 0..14)
}

fn lived(acts: &[Act]) -> World {
    let mut world = World::new();
    world.back_up();
    for act in acts {
        match act {
            Act::Write(rows) => world.write(*rows),
            Act::BackUp => drop(world.back_up()),
            Act::Restore(which, knows) => world.restore(which.index(world.backups.len()), *knows),
        }
    }
    world
}

proptest! {
    /// Whatever is written, backed up and put back in whatever order: the streams follow from each other, and rows up to where a stream
    /// parts from the local log are the local log's.
    #[test]
    fn what_really_happened_is_always_explained(acts in acts()) {
        let world = lived(&acts);
        let judged = world.judge(&world.scope());
        prop_assert!(is_sound(&shape(&judged)), "{:?}", shape(&judged));
        let local = &world.streams[&world.current];
        for stream in &judged {
            let rows = &world.streams[&stream.name];
            let same = rows.iter().zip(local).take_while(|(one, other)| one == other).count();
            match stream.shared_to {
                None => prop_assert_eq!(rows, local),
                Some(shared) => prop_assert_eq!(usize::try_from(shared.get()).unwrap(), same),
            }
        }
    }

    /// One row of the log is changed, and a restore made up to hide it, of any backup: never explained.
    #[test]
    fn a_restore_that_was_made_up_is_never_explained(
        acts in acts(),
        changed in any::<prop::sample::Index>(),
        backup in any::<prop::sample::Index>(),
    ) {
        let mut world = lived(&acts);
        let truth = world.clone();
        let row = changed.index(world.rows().len());
        let position = ChainPosition { id: id(i64::try_from(row).unwrap() + 1), hash: hash("changed") };
        // The chain was made to hold again up to there, so that its head is another one.
        let mut rows = world.rows()[..=row].to_vec();
        rows[row] = position.hash;
        let mut restores = world.restores.clone();
        restores.retain(|restore| restore.record.id <= position.id);
        let (name, ..) = world.backups[backup.index(world.backups.len())].clone();
        world.backups.push((name, position, rows, restores));
        world.restore(world.backups.len() - 1, true);
        // Outside, the old stream is as it was.
        prop_assert_eq!(&world.streams[&truth.current], &truth.streams[&truth.current]);
        prop_assert!(!is_sound(&world.judged()), "{:?}", world.judged());
    }
}
