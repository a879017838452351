//! Who is connected: how many there may be, and who makes room.
//!
//! Two things are scarce. A connection costs a socket: there are some twelve thousand places for them, and fewer where the
//! system grants fewer open files. A connection that is served costs buffers too: there are some two thousand desks, and
//! whoever is idle gives theirs back and keeps the connection. When either runs out, those go who have kept the site
//! waiting longest (`patience.rs`); only when nobody keeps it waiting is a newcomer refused.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::client_network;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::patience::{Order, Patience, Standing, longest_waiting};
use super::seat::{Seat, now};

/// Files that the program opens besides connections: the database, the provider, the log.
const OTHER_FILES: u64 = 256;
/// Out of so many, one makes room at a time: a look at all of them is then for many newcomers, not for one.
const AT_A_TIME: usize = 64;
/// How long a connection that wants to be served waits for a desk.
const DESK_WAIT: Duration = Duration::from_secs(1);
/// How often desks are made for all who wait for one: a look at all connections for each would cost more than serving it.
const DESKS_EVERY: Duration = Duration::from_millis(20);
/// Lines about pressure are written at most this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// How many there may be at once.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Connections.
    pub connections: usize,
    /// Connections from one address that is no trusted proxy. The edge brings everybody, and is not counted.
    pub of_one_peer: usize,
    /// Connections that have buffers: those with a request, and those that had one a moment ago.
    pub served: usize,
    /// Bytes of replies that wait for clients who do not read.
    pub unread: u64,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { connections: 12_288, of_one_peer: 256, served: 2_048, unread: 16 << 20 }
    }
}

impl Capacity {
    /// As much of it as the files allow that the process may have open.
    pub fn within(self, open_files: u64) -> Self {
        let most = usize::try_from(open_files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(64);
        Self { connections: self.connections.min(most), served: self.served.min(most), ..self }
    }
}

/// All connections.
pub(super) struct Places {
    capacity: Capacity,
    patience: Patience,
    taken: Mutex<Taken>,
    desks: Arc<Semaphore>,
    /// How many wait for a desk.
    waiting: AtomicUsize,
    desk_wanted: Notify,
    emptied: Notify,
}

/// One that waits for a desk.
struct Waiting<'p>(&'p Places);

#[derive(Default)]
struct Taken {
    seats: HashMap<u64, (IpAddr, Arc<Seat>)>,
    peers: HashMap<IpAddr, usize>,
    /// Those that were told to close and have not done so yet: their places are given away already.
    leaving: usize,
    next: u64,
    log: PressureLog,
}

/// A place among the connections, for as long as it is held.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    seat: Arc<Seat>,
}

impl Places {
    pub(super) fn new(capacity: Capacity, patience: Patience) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            patience,
            taken: Mutex::default(),
            desks: Arc::new(Semaphore::new(capacity.served)),
            waiting: AtomicUsize::new(0),
            desk_wanted: Notify::new(),
            emptied: Notify::new(),
        })
    }

    /// A place for a connection from `peer`. None when all are busy.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, trusted: bool) -> Option<Place> {
        let peer = client_network(peer);
        let mut taken = self.taken();
        if !trusted && taken.peers.get(&peer).is_some_and(|count| *count >= self.capacity.of_one_peer) {
            let made = taken.make_room(1, |(of, _)| *of == peer);
            taken.log.note(if made > 0 { Pressure::PeerEvicted } else { Pressure::PeerRefused });
            if made == 0 {
                return None;
            }
        }
        if taken.seats.len() - taken.leaving >= self.capacity.connections {
            let made = taken.make_room(self.capacity.connections.div_ceil(AT_A_TIME), |_| true);
            taken.log.note(if made > 0 { Pressure::Evicted } else { Pressure::Refused });
            if made == 0 {
                return None;
            }
        }
        let seat = Arc::new(Seat::new());
        let number = taken.next;
        taken.next += 1;
        taken.seats.insert(number, (peer, Arc::clone(&seat)));
        *taken.peers.entry(peer).or_default() += 1;
        Some(Place { places: Arc::clone(self), number, seat })
    }

    /// What it takes to be served. None when all desks are busy and stay so.
    pub(super) async fn desk(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(desk) = Arc::clone(&self.desks).try_acquire_owned() {
            return Some(desk);
        }
        self.taken().log.note(Pressure::NoDesk);
        let _waiting = Waiting::new(self);
        tokio::time::timeout(DESK_WAIT, Arc::clone(&self.desks).acquire_owned()).await.ok()?.ok()
    }

    /// Makes desks for as long as somebody waits for one: as many as wait, less those that are being cleared already.
    pub(super) async fn make_desks(&self) -> Infallible {
        loop {
            let wanted = self.desk_wanted.notified();
            let waiting = self.waiting.load(Relaxed);
            if waiting == 0 {
                wanted.await;
            } else {
                self.taken().make_desks(waiting);
                tokio::time::sleep(DESKS_EVERY).await;
            }
        }
    }

    /// Makes room when the system has no file left for another connection.
    pub(super) fn out_of_files(&self) {
        let mut taken = self.taken();
        taken.make_room(self.capacity.connections.div_ceil(AT_A_TIME), |_| true);
    }

    /// Tells those whose time is up: also those that were told before, and had an answer to finish. To be called about
    /// once a second.
    pub(super) fn sweep(&self) {
        let now = now();
        let mut taken = self.taken();
        let due: Vec<(Arc<Seat>, Order)> = taken
            .seats
            .values()
            .filter_map(|(_, seat)| Some((Arc::clone(seat), seat.standing().due(&self.patience, now)?)))
            .collect();
        for (seat, order) in due {
            taken.tell(&seat, order);
        }
        taken.press_slow_readers(self.capacity.unread);
        taken.log.speak();
    }

    /// Asks all to finish: at once for those who have been answered before, and those who have just come may still ask.
    pub(super) fn finish_all(&self) {
        for (_, seat) in self.taken().seats.values() {
            seat.tell(Order::Finish);
        }
    }

    /// Closes those who have still not asked, and asks the others once more to finish.
    pub(super) fn close_those_who_have_not_asked(&self) {
        let mut taken = self.taken();
        for (_, seat) in taken.seats.values().map(Clone::clone).collect::<Vec<_>>() {
            taken.tell(&seat, if seat.has_asked() { Order::Finish } else { Order::Close });
        }
    }

    /// Waits until nobody is left.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.taken().seats.len()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Lets up to `most` of those go who keep the site waiting, and says how many.
    fn make_room(&mut self, most: usize, which: impl Fn(&(IpAddr, Arc<Seat>)) -> bool) -> usize {
        let going = longest_waiting(self.standings(which), most, now());
        for (seat, _) in &going {
            self.tell(seat, Order::Close);
        }
        going.len()
    }

    /// Frees desks, so that `wanted` become free with those that are about to: who is idle keeps the connection.
    fn make_desks(&mut self, wanted: usize) {
        let (clearing, staying): (Vec<_>, Vec<_>) = self
            .seats
            .values()
            .map(|(_, seat)| (Arc::clone(seat), seat.standing()))
            .filter(|(_, standing)| standing.served)
            .partition(|(seat, _)| seat.is_clearing());
        for (seat, standing) in longest_waiting(staying, wanted.saturating_sub(clearing.len()), now()) {
            let parks = standing.may_park() && seat.may_park();
            self.tell(&seat, if parks { Order::Park } else { Order::Close });
        }
    }

    fn standings(&self, which: impl Fn(&(IpAddr, Arc<Seat>)) -> bool) -> Vec<(Arc<Seat>, Standing)> {
        let staying = self.seats.values().filter(|taken| !taken.1.is_leaving() && which(taken));
        staying.map(|(_, seat)| (Arc::clone(seat), seat.standing())).collect()
    }

    fn tell(&mut self, seat: &Seat, order: Order) {
        if order == Order::Close && !seat.is_leaving() {
            self.leaving += 1;
        }
        seat.tell(order);
    }

    /// What slow readers make us keep is bounded: those who have kept it longest lose it.
    fn press_slow_readers(&mut self, most: u64) {
        let mut slow: Vec<(Duration, u64, Arc<Seat>)> = self
            .seats
            .values()
            .filter_map(|(_, seat)| Some((seat.standing().blocked?, seat.owed(), Arc::clone(seat))))
            .collect();
        let mut kept: u64 = slow.iter().map(|(_, owed, _)| owed).sum();
        if kept <= most {
            return;
        }
        slow.sort_unstable_by_key(|(since, ..)| *since);
        for (_, owed, seat) in slow {
            if kept <= most {
                break;
            }
            kept -= owed;
            self.tell(&seat, Order::Close);
            self.log.note(Pressure::SlowReader);
        }
    }
}

impl<'p> Waiting<'p> {
    fn new(places: &'p Places) -> Self {
        places.waiting.fetch_add(1, Relaxed);
        places.desk_wanted.notify_one();
        Self(places)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl Place {
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Some((peer, seat)) = taken.seats.remove(&self.number) else { return };
        taken.leaving -= usize::from(seat.is_leaving());
        if let Some(count) = taken.peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                taken.peers.remove(&peer);
            }
        }
        if taken.seats.is_empty() {
            self.places.emptied.notify_waiters();
        }
    }
}

#[derive(Clone, Copy)]
enum Pressure {
    Evicted,
    Refused,
    PeerEvicted,
    PeerRefused,
    NoDesk,
    SlowReader,
}

/// Adds up what pressure did between lines of the log: a flood must not become one there.
#[derive(Default)]
struct PressureLog {
    counts: [u64; 6],
    last: Option<Instant>,
}

impl PressureLog {
    fn note(&mut self, what: Pressure) {
        self.counts[what as usize] += 1;
    }

    fn speak(&mut self) {
        let quiet = self.counts.iter().all(|count| *count == 0);
        if quiet || self.last.is_some_and(|last| last.elapsed() < LOG_EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let [evicted, refused, peer_evicted, peer_refused, no_desk, slow_readers] = std::mem::take(&mut self.counts);
        tracing::warn!(
            evicted,
            refused,
            peer_evicted,
            peer_refused,
            no_desk,
            slow_readers,
            "too many connections: those that keep the site waiting longest are closed"
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
