//! Who is connected: how many there may be, and who makes room.
//!
//! Two things are scarce. A connection costs a socket: there are some twelve thousand entries in the table, and fewer where the
//! system grants fewer open files. A connection that is served costs buffers too: there are some two thousand permits, and
//! who is idle gives theirs back and keeps the connection. When either runs out, those go who have kept the site
//! waiting longest (`timeouts.rs`); only when nobody keeps it waiting is a newcomer refused.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::pressure_log::{Pressure, PressureLog};
use crate::slot::{Slot, now};
use crate::timeouts::{Order, Status, Timeouts, longest_waiting};

/// Files that the program opens besides connections: the database, the provider, the log.
const OTHER_FILES: u64 = 256;
/// Out of so many, one makes room at a time: a look at all of them is then for many newcomers, not for one.
const AT_A_TIME: usize = 64;
/// How long a connection that wants to be served waits for a permit.
const PERMIT_WAIT: Duration = Duration::from_secs(1);
/// How often permits are made for all who wait for one: a look at all connections for each would cost more than serving it.
const PERMITS_EVERY: Duration = Duration::from_millis(20);
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
pub(crate) struct ConnectionTable {
    capacity: Capacity,
    timeouts: Timeouts,
    entries: Mutex<Entries>,
    permits: Arc<Semaphore>,
    /// How many wait for a permit.
    waiting: AtomicUsize,
    permit_wanted: Notify,
    emptied: Notify,
}

/// One that waits for a permit.
struct Waiting<'p>(&'p ConnectionTable);

#[derive(Default)]
struct Entries {
    slots: HashMap<u64, (IpAddr, Arc<Slot>)>,
    peers: HashMap<IpAddr, usize>,
    /// Those that were told to close and have not done so yet: their entries are given away already.
    leaving: usize,
    next: u64,
    log: PressureLog,
}

/// An entry among the connections, for as long as it is held.
pub(crate) struct Entry {
    table: Arc<ConnectionTable>,
    number: u64,
    slot: Arc<Slot>,
}

impl ConnectionTable {
    pub(crate) fn new(capacity: Capacity, timeouts: Timeouts) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            timeouts,
            entries: Mutex::default(),
            permits: Arc::new(Semaphore::new(capacity.served)),
            waiting: AtomicUsize::new(0),
            permit_wanted: Notify::new(),
            emptied: Notify::new(),
        })
    }

    /// An entry for a connection from `network`. None when all are busy.
    pub(crate) fn admit(self: &Arc<Self>, network: IpAddr, trusted: bool) -> Option<Entry> {
        let mut entries = self.entries();
        if !trusted && entries.peers.get(&network).is_some_and(|count| *count >= self.capacity.of_one_peer) {
            let made = entries.make_room(1, |(of, _)| *of == network);
            entries.log.note(if made > 0 { Pressure::PeerEvicted } else { Pressure::PeerRefused });
            if made == 0 {
                return None;
            }
        }
        if entries.slots.len() - entries.leaving >= self.capacity.connections {
            let made = entries.make_room(self.capacity.connections.div_ceil(AT_A_TIME), |_| true);
            entries.log.note(if made > 0 { Pressure::Evicted } else { Pressure::Refused });
            if made == 0 {
                return None;
            }
        }
        let slot = Arc::new(Slot::new());
        let number = entries.next;
        entries.next += 1;
        entries.slots.insert(number, (network, Arc::clone(&slot)));
        *entries.peers.entry(network).or_default() += 1;
        Some(Entry { table: Arc::clone(self), number, slot })
    }

    /// What it takes to be served. None when all permits are busy and stay so.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(permit);
        }
        self.entries().log.note(Pressure::NoPermit);
        let _waiting = Waiting::new(self);
        tokio::time::timeout(PERMIT_WAIT, Arc::clone(&self.permits).acquire_owned()).await.ok()?.ok()
    }

    /// Makes permits for as long as somebody waits for one: as many as wait, less those that are being cleared already.
    pub(crate) async fn free_permits(&self) -> Infallible {
        loop {
            let wanted = self.permit_wanted.notified();
            let waiting = self.waiting.load(Relaxed);
            if waiting == 0 {
                wanted.await;
            } else {
                self.entries().free_permits(waiting);
                tokio::time::sleep(PERMITS_EVERY).await;
            }
        }
    }

    /// Makes room when the system has no file left for another connection.
    pub(crate) fn out_of_files(&self) {
        let mut entries = self.entries();
        entries.make_room(self.capacity.connections.div_ceil(AT_A_TIME), |_| true);
    }

    /// Tells those whose time is up: also those that were told before, and had an answer to finish. To be called about
    /// once a second.
    pub(crate) fn sweep(&self) {
        let now = now();
        let mut entries = self.entries();
        let due: Vec<(Arc<Slot>, Order)> = entries
            .slots
            .values()
            .filter_map(|(_, slot)| Some((Arc::clone(slot), slot.status().due(&self.timeouts, now)?)))
            .collect();
        for (slot, order) in due {
            entries.tell(&slot, order);
        }
        entries.press_slow_readers(self.capacity.unread);
        entries.log.speak();
    }

    /// Asks all to finish: at once for those who have been answered before, and those who have just come may still ask.
    pub(crate) fn finish_all(&self) {
        for (_, slot) in self.entries().slots.values() {
            slot.tell(Order::Finish);
        }
    }

    /// Closes those who have still not asked, and asks the others once more to finish.
    pub(crate) fn close_those_who_have_not_asked(&self) {
        let mut entries = self.entries();
        for (_, slot) in entries.slots.values().map(Clone::clone).collect::<Vec<_>>() {
            entries.tell(&slot, if slot.has_asked() { Order::Finish } else { Order::Close });
        }
    }

    /// Waits until nobody is left.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.entries().slots.len()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Lets up to `most` of those go who keep the site waiting, and says how many.
    fn make_room(&mut self, most: usize, which: impl Fn(&(IpAddr, Arc<Slot>)) -> bool) -> usize {
        let going = longest_waiting(self.statuses(which), most, now());
        for (slot, _) in &going {
            self.tell(slot, Order::Close);
        }
        going.len()
    }

    /// Frees permits, so that `wanted` become free with those that are about to: who is idle keeps the connection.
    fn free_permits(&mut self, wanted: usize) {
        let (clearing, staying): (Vec<_>, Vec<_>) = self
            .slots
            .values()
            .map(|(_, slot)| (Arc::clone(slot), slot.status()))
            .filter(|(_, status)| status.served)
            .partition(|(slot, _)| slot.is_clearing());
        for (slot, status) in longest_waiting(staying, wanted.saturating_sub(clearing.len()), now()) {
            let parks = status.may_park() && slot.may_park();
            self.tell(&slot, if parks { Order::Park } else { Order::Close });
        }
    }

    fn statuses(&self, which: impl Fn(&(IpAddr, Arc<Slot>)) -> bool) -> Vec<(Arc<Slot>, Status)> {
        let staying = self.slots.values().filter(|entries| !entries.1.is_leaving() && which(entries));
        staying.map(|(_, slot)| (Arc::clone(slot), slot.status())).collect()
    }

    fn tell(&mut self, slot: &Slot, order: Order) {
        if order == Order::Close && !slot.is_leaving() {
            self.leaving += 1;
        }
        slot.tell(order);
    }

    /// What slow readers make us keep is bounded: those who have kept it longest lose it.
    fn press_slow_readers(&mut self, most: u64) {
        let mut slow: Vec<(Duration, u64, Arc<Slot>)> = self
            .slots
            .values()
            .filter_map(|(_, slot)| Some((slot.status().blocked?, slot.owed(), Arc::clone(slot))))
            .collect();
        let mut kept: u64 = slow.iter().map(|(_, owed, _)| owed).sum();
        if kept <= most {
            return;
        }
        slow.sort_unstable_by_key(|(since, ..)| *since);
        for (_, owed, slot) in slow {
            if kept <= most {
                break;
            }
            kept -= owed;
            self.tell(&slot, Order::Close);
            self.log.note(Pressure::SlowReader);
        }
    }
}

impl<'p> Waiting<'p> {
    fn new(table: &'p ConnectionTable) -> Self {
        table.waiting.fetch_add(1, Relaxed);
        table.permit_wanted.notify_one();
        Self(table)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl Entry {
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entries = self.table.entries();
        let Some((peer, slot)) = entries.slots.remove(&self.number) else { return };
        entries.leaving -= usize::from(slot.is_leaving());
        if let Some(count) = entries.peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                entries.peers.remove(&peer);
            }
        }
        if entries.slots.is_empty() {
            self.table.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
