//! How much memory forms may take while they arrive, all together.
//!
//! Strangers and members have budgets of their own, and each member a part of the members': nobody who is not signed in can
//! keep a member's message out, and no member another's.

use std::sync::Arc;

use store::PersonId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::MAX_FORM_BYTES;
use crate::limits::{AtOnce, Full, Turn};

/// For strangers' and other small forms together, and for members' together, in KiB.
const SMALL_KIB: usize = 4 * 1024;
const MEMBERS_KIB: usize = 16 * 1024;
/// What of the members' budget one of them may take, in KiB: four of the largest forms.
const MEMBER_KIB: usize = 4 * MAX_FORM_BYTES / 1024;

/// The budgets.
pub struct BodyMemory {
    small: Arc<Semaphore>,
    members: AtOnce<PersonId>,
}

impl Default for BodyMemory {
    fn default() -> Self {
        Self { small: Arc::new(Semaphore::new(SMALL_KIB)), members: AtOnce::new(MEMBER_KIB, MEMBERS_KIB) }
    }
}

impl BodyMemory {
    /// What is free, in KiB: for strangers and for members.
    pub fn free(&self) -> (usize, usize) {
        (self.small.available_permits(), self.members.free())
    }

    /// So many KiB of the strangers' budget; None where they are not free.
    pub(super) fn take_small(&self, kib: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        Arc::clone(&self.small).try_acquire_many_owned(kib).ok()
    }

    /// So many KiB of the members' budget.
    pub(super) fn take_members(&self, person: PersonId, kib: usize) -> Result<Turn<PersonId>, Full> {
        self.members.begin_units(person, kib)
    }
}
