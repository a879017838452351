use std::net::Ipv4Addr;
use std::time::Duration;

use super::super::patience::Stage;
use super::*;

const EDGE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn peer(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn places(connections: usize, of_one_peer: usize, served: usize) -> Arc<Places> {
    Places::new(Capacity { connections, of_one_peer, served, unread: 1000 }, Patience::default())
}

fn at_work(place: &Place) {
    place.seat().bytes_came();
    place.seat().asks(false);
}

fn leaves(place: &Place) -> bool {
    place.seat().take_order() == Some(Order::Close)
}

#[test]
fn the_one_that_kept_us_waiting_longest_makes_room_and_those_at_work_stay() {
    let places = places(3, 100, 3);
    let busy = places.admit(EDGE, true).unwrap();
    at_work(&busy);
    let first = places.admit(EDGE, true).unwrap();
    // Times are kept in milliseconds.
    std::thread::sleep(Duration::from_millis(3));
    let second = places.admit(EDGE, true).unwrap();
    std::thread::sleep(Duration::from_millis(3));
    let third = places.admit(EDGE, true).unwrap();
    assert!(leaves(&first) && !leaves(&second) && !leaves(&busy));
    // Its place is given away once, although it has not left yet.
    drop(first);
    assert_eq!(places.len(), 3);
    let fourth = places.admit(EDGE, true).unwrap();
    assert!(leaves(&second) && !leaves(&third) && !leaves(&fourth));
}

#[test]
fn when_all_are_at_work_the_newcomer_is_refused_until_one_is_done() {
    let places = places(2, 100, 2);
    let all: Vec<Place> = (0..2).map(|_| places.admit(EDGE, true).unwrap()).collect();
    all.iter().for_each(at_work);
    assert!(places.admit(EDGE, true).is_none());
    all[0].seat().answered();
    assert!(places.admit(EDGE, true).is_some());
    assert!(leaves(&all[0]) && !leaves(&all[1]));
}

#[test]
fn one_address_has_so_many_and_the_edge_has_all() {
    let places = places(100, 2, 100);
    let hers: Vec<Place> = (0..2).map(|_| places.admit(peer(1), false).unwrap()).collect();
    hers.iter().for_each(at_work);
    assert!(places.admit(peer(1), false).is_none());
    let _other = places.admit(peer(2), false).unwrap();
    let _edge: Vec<Place> = (0..50).map(|_| places.admit(EDGE, true).unwrap()).collect();
    drop(hers);
    assert!(places.admit(peer(1), false).is_some());
}

#[test]
fn an_address_that_has_too_many_makes_room_for_itself_alone() {
    let places = places(100, 2, 100);
    let other = places.admit(peer(2), false).unwrap();
    std::thread::sleep(Duration::from_millis(3));
    let hers: Vec<Place> = (0..3).map(|_| places.admit(peer(1), false).unwrap()).collect();
    assert_eq!(hers.iter().filter(|place| leaves(place)).count(), 1);
    assert!(!leaves(&other));
}

#[test]
fn the_places_of_those_who_left_are_free_again() {
    let places = places(4, 2, 4);
    for _ in 0..100 {
        let few: Vec<Option<Place>> = (0..6).map(|n| places.admit(peer(n % 3), false)).collect();
        drop(few);
    }
    let taken = places.taken();
    assert!(taken.seats.is_empty() && taken.peers.is_empty());
    assert_eq!(taken.leaving, 0);
}

#[tokio::test]
async fn for_a_desk_an_idle_connection_gives_its_buffers_back_and_a_dawdler_goes() {
    for (stage, order) in [(Stage::Idle, Order::Park), (Stage::Head, Order::Close)] {
        let places = places(10, 10, 1);
        let one = places.admit(EDGE, true).unwrap();
        let desk = places.desk().await.unwrap();
        one.seat().set_served(true);
        one.seat().bytes_came();
        if stage == Stage::Idle {
            one.seat().asks(false);
            one.seat().answered();
        }
        let wants = {
            let places = Arc::clone(&places);
            tokio::spawn(async move {
                tokio::select! {
                    desk = places.desk() => desk.is_some(),
                    never = places.make_desks() => match never {},
                }
            })
        };
        one.seat().called().await;
        assert_eq!(one.seat().take_order(), Some(order));
        drop(desk);
        assert!(wants.await.unwrap());
    }
}

#[tokio::test]
async fn as_many_desks_are_made_as_there_are_who_wait_and_no_more() {
    let places = places(1000, 1000, 300);
    let mut dawdlers = Vec::new();
    for _ in 0..300 {
        let place = places.admit(EDGE, true).unwrap();
        let desk = places.desk().await.unwrap();
        place.seat().set_served(true);
        place.seat().bytes_came();
        dawdlers.push((place, desk));
    }
    let all_have_one = async {
        let wanting = futures_util::future::join_all((0..200).map(|_| places.desk()));
        let leaving = async {
            // As their own tasks do, a while after they were told.
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                dawdlers.retain(|(place, _)| !leaves(place));
            }
        };
        tokio::select! {
            desks = wanting => desks.iter().all(Option::is_some),
            never = places.make_desks() => match never {},
            () = leaving => false,
        }
    };
    assert!(all_have_one.await, "one who wanted a desk waited for more than a second");
    assert_eq!(dawdlers.len(), 100);
}

#[tokio::test]
async fn without_a_desk_within_a_second_there_is_none() {
    let places = places(10, 10, 1);
    let one = places.admit(EDGE, true).unwrap();
    let _desk = places.desk().await.unwrap();
    one.seat().set_served(true);
    at_work(&one);
    assert!(places.desk().await.is_none());
}

#[test]
fn what_slow_readers_make_us_keep_is_bounded() {
    let places = places(10, 10, 10);
    let slow: Vec<Place> = (0..4)
        .map(|_| {
            let place = places.admit(EDGE, true).unwrap();
            at_work(&place);
            place.seat().blocks(400);
            std::thread::sleep(Duration::from_millis(3));
            place
        })
        .collect();
    places.sweep();
    let leaving: Vec<bool> = slow.iter().map(leaves).collect();
    assert_eq!(leaving, [true, true, false, false], "1600 bytes are kept and 1000 may be");
}

#[test]
fn who_was_answered_finishes_at_once_and_who_has_just_come_may_still_ask() {
    let places = places(10, 10, 10);
    let (asked, fresh) = (places.admit(EDGE, true).unwrap(), places.admit(EDGE, true).unwrap());
    at_work(&asked);
    places.finish_all();
    assert_eq!((asked.seat().take_order(), fresh.seat().take_order()), (Some(Order::Finish), Some(Order::Finish)));
    places.close_those_who_have_not_asked();
    assert_eq!((asked.seat().take_order(), fresh.seat().take_order()), (Some(Order::Finish), Some(Order::Close)));
}
