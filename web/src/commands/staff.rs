//! `web staff`: who has signed in, and keeping somebody out or letting them in again.

use database::DatabaseSettings;
use process::Exit;
use serde_json::json;
use store::{Person, StaffChange, Timestamp};

use super::operator::operator;
use super::{StaffCommand, print_err, print_out, with_database};

/// Exit 0 when it was done, 1 when nobody has that address.
pub async fn run(command: &StaffCommand, database: &DatabaseSettings, as_json: bool) -> Exit {
    match command {
        StaffCommand::List => list(database, as_json).await,
        StaffCommand::Disable { email } => set_enabled(database, email, false, as_json).await,
        StaffCommand::Enable { email } => set_enabled(database, email, true, as_json).await,
    }
}

async fn list(database: &DatabaseSettings, as_json: bool) -> Exit {
    with_database(database, async |store| {
        let people = store.people().await?;
        print_out(&if as_json { list_as_json(&people) } else { list_as_text(&people) });
        Ok(Exit::Done)
    })
    .await
}

async fn set_enabled(database: &DatabaseSettings, email: &str, enabled: bool, as_json: bool) -> Exit {
    with_database(database, async |store| {
        let operator = operator();
        let change = store.set_staff_enabled(email, enabled, &operator, store.now()).await?;
        let (people, sessions_ended, moved) = match change {
            StaffChange::Unknown => {
                print_err(&format!(
                    "web: nobody with the address {email} has ever signed in. `web staff list` shows who has."
                ));
                return Ok(Exit::Failed);
            }
            StaffChange::Unchanged => (0, 0, Vec::new()),
            StaffChange::Changed { people, sessions_ended, moved } => (people, sessions_ended, moved),
        };
        print_out(&if as_json {
            json!({
                "email": email,
                "enabled": enabled,
                "people_changed": people,
                "sessions_ended": sessions_ended,
                "messages_no_longer_for_them": moved,
            })
            .to_string()
        } else {
            let state = if enabled { "can sign in" } else { "cannot sign in any more" };
            let change = if people == 0 { " (as before)" } else { "" };
            let numbers: Vec<String> = moved.iter().map(ToString::to_string).collect();
            let moved = match &numbers[..] {
                [] => String::new(),
                [number] => format!(" No longer for them: message {number}."),
                _ => format!(" No longer for them: messages {}.", numbers.join(", ")),
            };
            format!("{email} {state}{change}. Sessions ended: {sessions_ended}.{moved}")
        });
        Ok(Exit::Done)
    })
    .await
}

fn list_as_json(people: &[Person]) -> String {
    let rows: Vec<_> = people
        .iter()
        .map(|person| {
            json!({
                "id": person.id,
                "email": person.email,
                "name": person.name,
                "enabled": person.disabled_at.is_none(),
                "last_sign_in": person.last_sign_in_at.map(Timestamp::to_rfc3339),
            })
        })
        .collect();
    json!(rows).to_string()
}

fn list_as_text(people: &[Person]) -> String {
    if people.is_empty() {
        return "Nobody has signed in yet.".to_owned();
    }
    let width = people.iter().map(|person| person.email.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = people
        .iter()
        .map(|person| {
            let state = if person.disabled_at.is_some() { "off" } else { "on " };
            let last = person.last_sign_in_at.map_or_else(|| "never".to_owned(), Timestamp::to_rfc3339);
            format!("{state}  {:width$}  last sign-in {last}  {}", person.email, person.name)
        })
        .collect();
    lines.join("\n")
}
