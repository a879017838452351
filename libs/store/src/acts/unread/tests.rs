use super::*;
use crate::acts::conversation::tests::{list_of, open, send_reply};
use crate::testing::*;
use crate::{ListQuery, Show, Timestamp};

async fn of(store: &Store, actor: Actor) -> Vec<i64> {
    let query = ListQuery { show: Show::Unread(actor.person), ..ListQuery::default() };
    list_of(store, query).await.into_iter().map(MessageId::get).collect()
}

async fn come(store: &Store, name: &str, time: Timestamp) -> Actor {
    let (_, session) = sign_in(store, name, time).await;
    Actor { person: session.person, session: session.id, ip: IP }
}

#[tokio::test]
async fn new_is_what_others_sent_since_the_first_sign_in_until_it_was_opened() {
    let test = TestStore::new().await;
    let store = &test.store;
    let ada = staff(store, "ada").await;
    let before = send(store, ada, "before Ben", "text").await;
    let ben = staff(store, "ben").await;
    assert_eq!(of(store, ben).await, [0; 0], "what was sent before he first came is not new");
    let own = send(store, ben, "his own", "text").await;
    let news = send(store, ada, "news", "text").await;
    assert_eq!(of(store, ben).await, [news.get()]);
    assert_eq!(of(store, ada).await, [own.get()]);
    come(store, "ben", at(50)).await;
    assert_eq!(of(store, ben).await, [news.get()], "another sign-in changes nothing");
    open(store, ben, news, 0, 50).await;
    assert_eq!(of(store, ben).await, [0; 0]);
    let reply = send_reply(store, ada, before, "a reply", 60).await;
    assert_eq!(of(store, ben).await, [before.get()]);
    let marks = store.reader_marks(ben.person, &[news, before].into(), None).await.unwrap().marks;
    let unread: Vec<_> = marks.conversations.iter().map(|mark| mark.unread).collect();
    assert_eq!((unread, marks.unread.counted), (vec![false, true], 1));
    store.delete_message(ada, reply, at(70)).await.unwrap();
    assert_eq!(of(store, ben).await, [0; 0], "what is gone is new to nobody");
    assert_sound(store).await;
}

#[tokio::test]
async fn a_page_that_was_opened_leaves_the_others_new_and_what_was_opened_can_be_made_new_again() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let root = send(store, ada, "Long", "0").await;
    for number in 1..6 {
        send_reply(store, ada, root, &number.to_string(), 20 + number).await;
    }
    let other = send(store, ada, "Other", "text").await;
    open(store, ben, root, 2, 2).await;
    assert_eq!(of(store, ben).await, [other.get(), root.get()], "the first two pages are new");
    open(store, ben, root, 0, 2).await;
    open(store, ben, root, 1, 2).await;
    assert_eq!(of(store, ben).await, [other.get()]);
    assert_eq!(store.mark_unread(ben, root, at(80)).await.unwrap(), MarkedUnread::Unread);
    assert_eq!(of(store, ben).await, [other.get(), root.get()]);
    assert_eq!(store.mark_unread(ben, root, at(81)).await.unwrap(), MarkedUnread::Unread, "it is so already");
    let marked: Vec<_> = actions(store).await.into_iter().filter(|act| act == "MESSAGE_MARKED_UNREAD").collect();
    assert_eq!(marked.len(), 1);
    let none = MessageId::new(99).unwrap();
    assert_eq!(store.mark_unread(ben, none, at(82)).await.unwrap(), MarkedUnread::Missing);
    assert_eq!(store.mark_unread(ada, root, at(82)).await.unwrap(), MarkedUnread::NothingOfOthers);
    open(store, ben, root, 0, 50).await;
    assert_eq!(of(store, ben).await, [other.get()]);
    assert_sound(store).await;
}

/// The ranges against a plain set, after acts in an order that meets every way in which ranges grow, join and split.
#[tokio::test]
async fn the_ranges_say_the_same_as_a_plain_set() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    // Alone, two in a row, three in a row.
    let is_own = |number: usize| [0, 7, 11, 12, 18, 19, 20, 29].contains(&number);
    let mut roots = Vec::new();
    for number in 0..30 {
        roots.push(send(store, if is_own(number) { ben } else { ada }, &format!("s{number}"), "text").await);
    }
    let mut new: Vec<bool> = (0..30).map(|number| !is_own(number)).collect();
    for step in 0..200_usize {
        let at_step = (step * 17 + step / 30) % 30;
        let opens = step % 3 != 0;
        if opens {
            open(store, ben, roots[at_step], 0, 50).await;
        } else {
            store.mark_unread(ben, roots[at_step], at(100)).await.unwrap();
        }
        new[at_step] = !opens && !is_own(at_step);
        let expected: Vec<i64> =
            (0..30).rev().filter(|number| new[*number]).map(|number| roots[number].get()).collect();
        assert_eq!(of(store, ben).await, expected, "step {step}");
    }
    let touching = "SELECT count(*) FROM read_range a JOIN read_range b USING (person_id) \
         WHERE b.first_id > a.first_id AND b.first_id <= a.last_id + 1";
    let touching: i64 = test.raw().query_row(touching, (), |row| row.get(0)).unwrap();
    assert_eq!(touching, 0, "ranges that touch are one");
}

#[tokio::test]
async fn pages_of_what_is_new_meet_and_the_count_says_where_it_stopped() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let mut roots = Vec::new();
    for number in 0..110 {
        roots.push(send(store, ada, &format!("s{number}"), "text").await);
        send_reply(store, ada, roots[number / 2], "a reply", 20).await;
    }
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let query = ListQuery { before, show: Show::Unread(ben.person), limit: 7, ..ListQuery::default() };
        let list = store.list_conversations(query).await.unwrap();
        assert!(list.conversations.len() <= 7);
        found.extend(list.conversations.iter().map(|conversation| conversation.root));
        before = list.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 110);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, roots, "each once");
    let count = store.reader_marks(ben.person, &[].into(), None).await.unwrap().marks.unread;
    assert_eq!(count, UnreadCount { counted: 100, more: true });
    let of_ben = ListQuery { author: Some(ben.person), show: Show::Unread(ben.person), ..ListQuery::default() };
    assert!(list_of(store, of_ben).await.is_empty());
}

#[tokio::test]
async fn older_databases_learn_from_their_log_what_is_new_to_whom() {
    let test = TestStore::new().await;
    let store = &test.store;
    let ada = staff(store, "ada").await;
    for number in 0..3 {
        send(store, ada, &format!("early {number}"), "text").await;
    }
    let ben = staff(store, "ben").await;
    let mut later = Vec::new();
    for number in 0..6 {
        later.push(send(store, if number == 2 { ben } else { ada }, &format!("later {number}"), "text").await);
    }
    for opened in [later[0], later[1], later[4]] {
        open(store, ben, opened, 0, 50).await;
    }
    let expected = [of(store, ada).await, of(store, ben).await];
    assert_eq!(expected, [vec![6], vec![9, 7]]);
    // Made again from the log, as a migration does.
    let raw = test.raw();
    raw.execute("DELETE FROM read_range", ()).unwrap();
    let migration = include_str!("../../../migrations/0008_conversations.sql");
    let begin = migration.find("INSERT INTO read_range").unwrap();
    let end = begin + migration[begin..].find(';').unwrap();
    raw.execute_batch(&migration[begin..end]).unwrap();
    assert_eq!([of(store, ada).await, of(store, ben).await], expected);
}

/// What keeps a send cheap, and a walk over many own messages short.
#[tokio::test]
async fn own_messages_take_a_range_only_where_they_follow_each_other() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    for author in [ada, ben, ada, ben, ben, ben, ada, ben] {
        send(store, author, "s", "text").await;
    }
    let raw = test.raw();
    let mut select = raw.prepare("SELECT person_id, first_id, last_id FROM read_range ORDER BY 1, 2").unwrap();
    let rows = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let kept: Vec<(i64, i64, i64)> = rows.map(Result::unwrap).collect();
    assert_eq!(kept, [(ben.person.get(), 4, 6)]);
}
