//! Duties as an audit row names them: `"for": "2, 5-9"` those by name, `"for_teams": {"3": "1, 4"}` those of teams.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ledger::ranges;
use crate::types::{Duty, PersonId, TeamId};

/// The part of a row's details that names duties.
#[derive(Deserialize, Default)]
pub(crate) struct GivenDuties {
    #[serde(rename = "for")]
    named: Option<String>,
    for_teams: Option<BTreeMap<String, String>>,
}

/// More people than this in one range are an error: rows come from outside in a restored database.
const LONGEST: i64 = 100_000;

impl GivenDuties {
    /// The duties; None where they are not written as they should be.
    pub(crate) fn duties(&self) -> Option<Vec<Duty>> {
        let mut duties = Vec::new();
        let named = self.named.iter().map(|people| (None, people));
        let teams = self.for_teams.iter().flatten().map(|(team, people)| (Some(team), people));
        for (team, people) in named.chain(teams) {
            let team: Option<TeamId> = team.map(|team| team.parse()).transpose().ok()?;
            for range in ranges::parse(people)? {
                if range.end().checked_sub(*range.start())? > LONGEST {
                    return None;
                }
                for person in range {
                    duties.push(Duty { team, person: PersonId::new(person)? });
                }
            }
        }
        Some(duties)
    }
}

/// Adds duties to a row's details; nothing where there are none.
pub(crate) fn write_down(details: &mut Value, duties: &[Duty]) {
    let mut by_team: BTreeMap<Option<TeamId>, Vec<i64>> = BTreeMap::new();
    for duty in duties {
        by_team.entry(duty.team).or_default().push(duty.person.get());
    }
    if let Some(named) = by_team.remove(&None) {
        details["for"] = ranges::format(named).into();
    }
    let teams = by_team.into_iter().filter_map(|(team, people)| Some((team?.to_string(), ranges::format(people))));
    let teams: serde_json::Map<_, _> = teams.map(|(team, people)| (team, people.into())).collect();
    if !teams.is_empty() {
        details["for_teams"] = json!(teams);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn duties_survive_a_row(pairs in proptest::collection::btree_set((0_i64..4, 1_i64..40), 0..30)) {
            let duties: Vec<Duty> = pairs
                .into_iter()
                .map(|(team, person)| Duty { team: TeamId::new(team), person: PersonId::new(person).unwrap() })
                .collect();
            let mut details = json!({});
            write_down(&mut details, &duties);
            let read: GivenDuties = serde_json::from_value(details).unwrap();
            prop_assert_eq!(read.duties(), Some(duties));
        }
    }

    #[test]
    fn what_no_program_writes_is_none() {
        for text in [r#"{"for":"a"}"#, r#"{"for":"0"}"#, r#"{"for_teams":{"x":"1"}}"#, r#"{"for":"1-999999999"}"#] {
            let read: GivenDuties = serde_json::from_str(text).unwrap();
            assert_eq!(read.duties(), None, "{text}");
        }
    }
}
