use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;
use crate::timeouts::Stage;

const EDGE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn peer(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn table(connections: usize, of_one_peer: usize, served: usize) -> Arc<ConnectionTable> {
    ConnectionTable::new(Capacity { connections, of_one_peer, served, unread: 1000 }, Timeouts::default())
}

fn at_work(entry: &Entry) {
    entry.slot().bytes_came();
    entry.slot().asks(false);
}

fn leaves(entry: &Entry) -> bool {
    entry.slot().take_order() == Some(Order::Close)
}

#[test]
fn the_one_that_kept_us_waiting_longest_makes_room_and_those_at_work_stay() {
    let table = table(3, 100, 3);
    let busy = table.admit(EDGE, true).unwrap();
    at_work(&busy);
    let first = table.admit(EDGE, true).unwrap();
    // Times are kept in milliseconds.
    std::thread::sleep(Duration::from_millis(3));
    let second = table.admit(EDGE, true).unwrap();
    std::thread::sleep(Duration::from_millis(3));
    let third = table.admit(EDGE, true).unwrap();
    assert!(leaves(&first) && !leaves(&second) && !leaves(&busy));
    // Its entry is given away once, although it has not left yet.
    drop(first);
    assert_eq!(table.len(), 3);
    let fourth = table.admit(EDGE, true).unwrap();
    assert!(leaves(&second) && !leaves(&third) && !leaves(&fourth));
}

#[test]
fn when_all_are_at_work_the_newcomer_is_refused_until_one_is_done() {
    let table = table(2, 100, 2);
    let all: Vec<Entry> = (0..2).map(|_| table.admit(EDGE, true).unwrap()).collect();
    all.iter().for_each(at_work);
    assert!(table.admit(EDGE, true).is_none());
    all[0].slot().answered();
    assert!(table.admit(EDGE, true).is_some());
    assert!(leaves(&all[0]) && !leaves(&all[1]));
}

#[test]
fn one_address_has_so_many_and_the_edge_has_all() {
    let table = table(100, 2, 100);
    let hers: Vec<Entry> = (0..2).map(|_| table.admit(peer(1), false).unwrap()).collect();
    hers.iter().for_each(at_work);
    assert!(table.admit(peer(1), false).is_none());
    let _other = table.admit(peer(2), false).unwrap();
    let _edge: Vec<Entry> = (0..50).map(|_| table.admit(EDGE, true).unwrap()).collect();
    drop(hers);
    assert!(table.admit(peer(1), false).is_some());
}

#[test]
fn an_address_that_has_too_many_makes_room_for_itself_alone() {
    let table = table(100, 2, 100);
    let other = table.admit(peer(2), false).unwrap();
    std::thread::sleep(Duration::from_millis(3));
    let hers: Vec<Entry> = (0..3).map(|_| table.admit(peer(1), false).unwrap()).collect();
    assert_eq!(hers.iter().filter(|entry| leaves(entry)).count(), 1);
    assert!(!leaves(&other));
}

#[test]
fn the_places_of_those_who_left_are_free_again() {
    let table = table(4, 2, 4);
    for _ in 0..100 {
        let few: Vec<Option<Entry>> = (0..6).map(|n| table.admit(peer(n % 3), false)).collect();
        drop(few);
    }
    let taken = table.entries();
    assert!(taken.slots.is_empty() && taken.peers.is_empty());
    assert_eq!(taken.leaving, 0);
}

#[tokio::test]
async fn for_a_permit_an_idle_connection_gives_its_buffers_back_and_one_that_stalls_goes() {
    for (stage, order) in [(Stage::Idle, Order::Park), (Stage::Head, Order::Close)] {
        let table = table(10, 10, 1);
        let one = table.admit(EDGE, true).unwrap();
        let permit = table.permit().await.unwrap();
        one.slot().set_served(true);
        one.slot().bytes_came();
        if stage == Stage::Idle {
            one.slot().asks(false);
            one.slot().answered();
        }
        let wants = {
            let table = Arc::clone(&table);
            tokio::spawn(async move {
                tokio::select! {
                    permit = table.permit() => permit.is_some(),
                    never = table.free_permits() => match never {},
                }
            })
        };
        one.slot().called().await;
        assert_eq!(one.slot().take_order(), Some(order));
        drop(permit);
        assert!(wants.await.unwrap());
    }
}

#[tokio::test]
async fn as_many_permits_are_freed_as_there_are_who_wait_and_no_more() {
    let table = table(1000, 1000, 300);
    let mut stalled = Vec::new();
    for _ in 0..300 {
        let entry = table.admit(EDGE, true).unwrap();
        let permit = table.permit().await.unwrap();
        entry.slot().set_served(true);
        entry.slot().bytes_came();
        stalled.push((entry, permit));
    }
    let all_have_one = async {
        let wanting = futures_util::future::join_all((0..200).map(|_| table.permit()));
        let leaving = async {
            // As their own tasks do, a while after they were told.
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                stalled.retain(|(entry, _)| !leaves(entry));
            }
        };
        tokio::select! {
            permits = wanting => permits.iter().all(Option::is_some),
            never = table.free_permits() => match never {},
            () = leaving => false,
        }
    };
    assert!(all_have_one.await, "one who wanted a permit waited for more than a second");
    assert_eq!(stalled.len(), 100);
}

#[tokio::test]
async fn without_a_permit_within_a_second_there_is_none() {
    let table = table(10, 10, 1);
    let one = table.admit(EDGE, true).unwrap();
    let _permit = table.permit().await.unwrap();
    one.slot().set_served(true);
    at_work(&one);
    assert!(table.permit().await.is_none());
}

#[test]
fn what_slow_readers_make_us_keep_is_bounded() {
    let table = table(10, 10, 10);
    let slow: Vec<Entry> = (0..4)
        .map(|_| {
            let entry = table.admit(EDGE, true).unwrap();
            at_work(&entry);
            entry.slot().blocks(400);
            std::thread::sleep(Duration::from_millis(3));
            entry
        })
        .collect();
    table.sweep();
    let leaving: Vec<bool> = slow.iter().map(leaves).collect();
    assert_eq!(leaving, [true, true, false, false], "1600 bytes are kept and 1000 may be");
}

#[test]
fn who_was_answered_finishes_at_once_and_who_has_just_come_may_still_ask() {
    let table = table(10, 10, 10);
    let (asked, fresh) = (table.admit(EDGE, true).unwrap(), table.admit(EDGE, true).unwrap());
    at_work(&asked);
    table.finish_all();
    assert_eq!((asked.slot().take_order(), fresh.slot().take_order()), (Some(Order::Finish), Some(Order::Finish)));
    table.close_those_who_have_not_asked();
    assert_eq!((asked.slot().take_order(), fresh.slot().take_order()), (Some(Order::Finish), Some(Order::Close)));
}
