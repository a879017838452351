//! What lists mark of duties and urgent messages for each reader, kept until either may have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use store::{DutyMarks, PersonId, Store, StoreError};

/// People remembered; before more are, all are forgotten.
const PEOPLE: usize = 4_096;

/// What was looked up for each person, and when: [`Store::duties_version`].
#[derive(Default)]
pub struct DutyMarksCache(Mutex<HashMap<PersonId, (u64, Arc<DutyMarks>)>>);

impl DutyMarksCache {
    /// What lists mark for a person now.
    pub async fn of(&self, store: &Store, person: PersonId) -> Result<Arc<DutyMarks>, StoreError> {
        let version = store.duties_version();
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&person).cloned();
        if let Some((_, marks)) = kept.filter(|(read_at, _)| *read_at == version) {
            return Ok(marks);
        }
        let marks = Arc::new(store.duty_marks(person).await?);
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if people.len() >= PEOPLE {
            people.clear();
        }
        people.insert(person, (version, Arc::clone(&marks)));
        Ok(marks)
    }
}
