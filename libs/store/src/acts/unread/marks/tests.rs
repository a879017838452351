use super::*;
use crate::acts::conversation::tests::{list_of, open, send_reply};
use crate::testing::*;
use crate::{Actor, Addressed, Body, Draft, IdempotencyKey, ListQuery, NewReply, Seen, Show};

/// The same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Whether each conversation has something new and a draft, and how many have something new, asked of every message there is.
fn plainly(raw: &Connection, person: PersonId, conversations: &[MessageId]) -> (Vec<ReaderMark>, usize) {
    let new = "SELECT DISTINCT coalesce(r.root_id, m.id) FROM message m LEFT JOIN message_reply r ON r.message_id = m.id \
         WHERE m.author_id <> ?1 AND m.id NOT IN (SELECT message_id FROM message_deletion) AND NOT EXISTS \
         (SELECT 1 FROM read_range g WHERE g.person_id = ?1 AND m.id BETWEEN g.first_id AND g.last_id)";
    let roots = |sql| -> Vec<MessageId> {
        let mut select = raw.prepare_cached(sql).unwrap();
        let found = select.query_map([person], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    };
    let (new, drafts) = (roots(new), roots("SELECT root_id FROM draft WHERE person_id = ?1 AND root_id > 0"));
    let mark = |root| ReaderMark { unread: new.contains(root), draft: drafts.contains(root) };
    (conversations.iter().map(mark).collect(), new.len())
}

/// What is there to be done something to.
#[derive(Default)]
struct There {
    roots: Vec<MessageId>,
    drafts: Vec<(Actor, IdempotencyKey)>,
}

/// Somebody does something, perhaps through another process.
async fn act(dice: &mut Dice, stores: [&Store; 2], people: &[Actor], there: &mut There, step: i64) {
    let (store, actor) = (stores[dice.below(2)], people[dice.below(people.len())]);
    let There { roots, drafts } = there;
    // Old conversations now and then, new ones mostly.
    let near = if dice.below(4) == 0 { roots.len() } else { 12 };
    let any = |dice: &mut Dice| roots[roots.len() - 1 - dice.below(near)];
    let draft = |conversation, key| Draft {
        conversation,
        key,
        subject: String::new(),
        body: format!("half of {step}"),
        addressed: Addressed::default(),
        saved_at: at(step),
    };
    match dice.below(16) {
        0..3 => roots.push(send(store, actor, "s", "text").await),
        3..6 => {
            send_reply(store, actor, any(dice), "reply", step).await;
        }
        6..10 => {
            let (root, page) = (any(dice), dice.below(3));
            open(store, actor, root, page as u64, 2).await;
        }
        10 => {
            store.mark_unread(actor, any(dice), at(step)).await.unwrap();
        }
        11 => {
            // The actor's own, if chance finds one.
            let message = any(dice).get() + i64::try_from(dice.below(3)).unwrap();
            store.delete_message(actor, MessageId::new(message).unwrap(), at(step)).await.unwrap();
        }
        12 => {
            let (root, done) = (any(dice), dice.below(2) == 0);
            store.set_done(actor, root, done, at(step)).await.unwrap();
        }
        13 => {
            let (root, key) = (any(dice), IdempotencyKey::fresh());
            store.save_draft(actor, draft(Some(root), key), Seen::Unknown).await.unwrap();
            drafts.push((actor, key));
        }
        14 => {
            let (root, key) = (any(dice), IdempotencyKey::fresh());
            store.discard_draft(actor, Some(root), key, Seen::Unknown, at(step)).await.unwrap();
        }
        _ => {
            // A draft that is sent under its key, perhaps as a reply to something else.
            let Some((actor, key)) = drafts.pop() else { return };
            let reply =
                NewReply { to: any(dice), body: Body::parse("sent").unwrap(), addressed: Addressed::default(), key };
            store.send_reply(actor, reply, at(step)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn marks_that_are_brought_up_to_date_are_those_of_a_fresh_look_whatever_happened() {
    for seed in 0..3 {
        let (mut dice, test) = (Dice(seed), TestStore::new().await);
        let (store, another) = (&test.store, test.another().await);
        let people = [staff(store, "ada").await, staff(store, "ben").await, staff(store, "cleo").await];
        let mut there = There::default();
        // Near the number up to which conversations are counted.
        for _ in 0..COUNTED + 5 {
            there.roots.push(send(store, people[0], "s", "text").await);
        }
        let (raw, mut known) = (test.raw(), [None, None, None]);
        for step in 0..300 {
            act(&mut dice, [store, &another], &people, &mut there, step).await;
            let reader = dice.below(people.len());
            if step % 2 == 0 {
                continue;
            }
            let before = (dice.below(3) == 0).then(|| there.roots[dice.below(there.roots.len())]);
            let show = if dice.below(3) == 0 { Show::Unread(people[reader].person) } else { Show::All };
            let list: Arc<[MessageId]> =
                list_of(store, ListQuery { before, show, limit: 9, ..ListQuery::default() }).await.into();
            let person = people[reader].person;
            let fresh = store.reader_marks(person, &list, None).await.unwrap();
            let brought = store.reader_marks(person, &list, known[reader].as_ref()).await.unwrap();
            assert_eq!(brought.marks, fresh.marks, "seed {seed}, step {step}");
            assert_eq!(brought.as_of, fresh.as_of);
            let (marks, count) = plainly(&raw, person, &list);
            assert_eq!(fresh.marks.conversations, marks, "seed {seed}, step {step}");
            let expected = UnreadCount { counted: count.min(COUNTED), more: count >= COUNTED };
            assert_eq!(fresh.marks.unread, expected, "seed {seed}, step {step}");
            known[reader] = Some(brought);
        }
        another.close().await;
    }
}

/// What was looked up is used again: a change that has no row stays unseen, and one of another conversation leaves it so.
#[tokio::test]
async fn only_what_the_rows_since_name_is_looked_at() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let (first, second) = (send(store, ada, "s", "text").await, send(store, ada, "s", "text").await);
    let list: Arc<[MessageId]> = [second, first].into();
    let known = store.reader_marks(ben.person, &list, None).await.unwrap();
    let unread = |known: &KnownMarks| known.marks.conversations.iter().map(|mark| mark.unread).collect::<Vec<_>>();
    assert_eq!(unread(&known), [true, true]);
    let forget = "INSERT INTO read_range VALUES (?1, 1, 2)";
    test.raw().execute(forget, [ben.person]).unwrap();
    send_reply(store, ada, second, "reply", 20).await;
    let known = store.reader_marks(ben.person, &list, Some(&known)).await.unwrap();
    assert_eq!((unread(&known), known.marks.unread.counted), (vec![true, true], 2), "nothing names the first one");
    open(store, ada, first, 0, 50).await;
    let known = store.reader_marks(ben.person, &list, Some(&known)).await.unwrap();
    assert_eq!(unread(&known), [true, true], "what others open is nothing to him");
    store.delete_message(ada, first, at(30)).await.unwrap();
    let known = store.reader_marks(ben.person, &list, Some(&known)).await.unwrap();
    assert_eq!((unread(&known), known.marks.unread.counted), (vec![true, false], 1));
    let of_ada = store.reader_marks(ada.person, &list, Some(&known)).await.unwrap();
    assert_eq!(unread(&of_ada), [false, false], "what is known of another person is of no use");
}

/// Adds a conversation of so many replies that have no rows in the log; gives its number.
fn long_conversation(raw: &Connection, author: PersonId, replies: i64) -> MessageId {
    let root: i64 = raw.query_row("SELECT max(id) + 1 FROM message", (), |row| row.get(0)).unwrap();
    let last = root + replies;
    raw.execute_batch(&format!(
        "BEGIN; CREATE TEMP TABLE number AS WITH RECURSIVE n (id) AS (SELECT {root} UNION ALL SELECT id + 1 FROM n WHERE id < {last}) \
         SELECT id FROM n; INSERT INTO message SELECT id, {author}, 0, zeroblob(16), 's' FROM number; \
         INSERT INTO message_reply SELECT id, {root} FROM number WHERE id > {root}; \
         INSERT INTO conversation VALUES ({last}, {root}, {replies}, NULL); DROP TABLE number; COMMIT"
    ))
    .unwrap();
    MessageId::new(root).unwrap()
}

#[tokio::test]
async fn a_long_conversation_with_something_new_hides_none_of_the_others_from_the_count() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    for _ in 0..30 {
        send(store, ada, "s", "text").await;
    }
    let raw = test.raw();
    let long = long_conversation(&raw, ada.person, 10_000);
    let list: Arc<[MessageId]> = [long].into();
    let known = store.reader_marks(ben.person, &list, None).await.unwrap();
    assert_eq!(known.marks.unread, UnreadCount { counted: 31, more: false });
    let page = ListQuery { show: Show::Unread(ben.person), limit: 20, ..ListQuery::default() };
    let list = store.list_conversations(page).await.unwrap();
    assert_eq!((list.conversations.len(), list.conversations[0].root), (20, long));
    let rest = store.list_conversations(ListQuery { before: list.next, ..page }).await.unwrap();
    assert_eq!((rest.conversations.len(), rest.next), (11, None), "it stands on no later page");
}

/// One look is bounded, and says that it is; the next one goes on where it stopped.
#[tokio::test]
async fn a_count_that_stopped_short_goes_on_where_it_stopped() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    for _ in 0..3 {
        send(store, ada, "s", "text").await;
    }
    let long = long_conversation(&test.raw(), ada.person, 50_000);
    let list: Arc<[MessageId]> = [long].into();
    let mut known = store.reader_marks(ben.person, &list, None).await.unwrap();
    assert_eq!(known.marks.unread, UnreadCount { counted: 1, more: true });
    for _ in 0..2 {
        known = store.reader_marks(ben.person, &list, Some(&known)).await.unwrap();
    }
    assert_eq!(known.marks.unread, UnreadCount { counted: 4, more: false });
}
