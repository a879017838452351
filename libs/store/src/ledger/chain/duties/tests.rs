//! Every value that pages tell of teams, templates, duties and steps, and every field of the rows that vouch for it, is changed
//! in turn: none of it unseen.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::ledger::chain::verify_whole;
use crate::ledger::chain_hash::{HashedFields, chain_hash, genesis_hash};
use crate::testing::*;
use crate::*;

/// What follows from the log, but for conversations and openings, whose tests are with theirs.
const TABLES: [&str; 6] = ["team", "team_stay", "template", "duty", "urgent", "urgent_step"];

fn minutes(minutes: u64) -> Timestamp {
    at(100).plus(std::time::Duration::from_secs(60 * minutes))
}

async fn send_for(
    store: &Store,
    from: Actor,
    people: &[Actor],
    team: Option<TeamId>,
    urgent: Option<UrgentPolicy>,
) -> MessageId {
    let people = people.iter().map(|actor| actor.person).collect();
    let addressed = Addressed { people, teams: team.into_iter().collect(), urgent };
    let message = NewMessage { addressed, ..new_message("Room 7", "text") };
    let Ok(Sent::Created(id)) = store.send_message(from, message, at(100)).await else { panic!("sent") };
    id
}

/// Teams, templates, duties and urgent messages in every state that there is.
async fn filled() -> TestStore {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let (cleo, dora) = (staff(store, "cleo").await, staff(store, "dora").await);
    let name = |text| TeamName::parse(text).unwrap();
    let TeamNamed::Named(ward) = store.create_team(ben, name("Ward 3"), at(10)).await.unwrap() else { panic!() };
    let TeamNamed::Named(call) = store.create_team(dora, name("On call"), at(10)).await.unwrap() else { panic!() };
    for actor in [cleo, ada] {
        store.join_team(actor, ward, at(11)).await.unwrap();
    }
    store.leave_team(ada, ward, false, at(12)).await.unwrap();
    store.rename_team(ada, call, name("On call tonight"), at(13)).await.unwrap();

    let rows = || TemplateRows::parse("Room 1 | pain\nRoom 2").unwrap();
    for text in ["Ward 3", "Ward 4"] {
        store.create_template(ada, TemplateName::parse(text).unwrap(), rows(), at(20)).await.unwrap();
    }
    let [one, two] = [1, 2].map(|id| TemplateId::new(id).unwrap());
    let seen = Some(store.template(one).await.unwrap().unwrap().version);
    store
        .change_template(ada, one, seen, (TemplateName::parse("Ward 3 north").unwrap(), rows()), at(21))
        .await
        .unwrap();
    store.delete_template(ada, two, at(22)).await.unwrap();

    // Taken, and replied to; Dora has not done hers.
    let taken = send_for(store, ada, &[dora], Some(ward), None).await;
    store.take_duty(cleo, taken, at(110)).await.unwrap();
    let reply = NewReply {
        to: taken,
        body: Body::parse("done").unwrap(),
        addressed: Addressed::default(),
        key: IdempotencyKey::fresh(),
    };
    store.send_reply(cleo, reply, at(111)).await.unwrap();
    // Deleted.
    let deleted = send_for(store, ada, &[ben], None, None).await;
    store.delete_message(ada, deleted, at(112)).await.unwrap();
    // Repeated, handed on, passed over, answered and done.
    let done = send_for(store, ada, &[ben], None, Some(UrgentPolicy::Fast)).await;
    store.carry_out_urgent_steps(minutes(2)).await.unwrap();
    store.answer_urgent(ben, done, UrgentAnswer::Cannot, minutes(3)).await.unwrap();
    store.answer_urgent(cleo, done, UrgentAnswer::OnMyWay, minutes(4)).await.unwrap();
    store.finish_duty(cleo, done, minutes(5)).await.unwrap();
    // Repeated, and withdrawn: only one has seen that.
    let withdrawn = send_for(store, ada, &[], Some(ward), Some(UrgentPolicy::Once)).await;
    store.carry_out_urgent_steps(minutes(6)).await.unwrap();
    store.delete_message(ada, withdrawn, minutes(7)).await.unwrap();
    store.finish_duty(ben, withdrawn, minutes(8)).await.unwrap();
    // Nobody has answered.
    send_for(store, ada, &[dora], Some(call), Some(UrgentPolicy::Steady)).await;
    // What was Cleo's goes to others.
    send_for(store, ada, &[cleo], None, None).await;
    store.set_staff_enabled("cleo@clinic.example", false, "root", minutes(9)).await.unwrap();
    assert_sound(store).await;
    let actions: BTreeSet<_> = actions(store).await.into_iter().collect();
    let expected: BTreeSet<_> = TOLD.iter().map(|action| action.as_str().to_owned()).collect();
    assert!(actions.is_superset(&expected), "{:?} are not in it", expected.difference(&actions));
    test
}

/// The actions whose rows vouch for what is in the tables.
const TOLD: [Action; 16] = [
    Action::MessageCreate,
    Action::DutyDone,
    Action::DutyTaken,
    Action::DutyMoved,
    Action::UrgentOnMyWay,
    Action::UrgentCannot,
    Action::UrgentStep,
    Action::UrgentStepsSkipped,
    Action::UrgentWithdrawn,
    Action::TeamCreated,
    Action::TeamRenamed,
    Action::TeamJoined,
    Action::TeamLeft,
    Action::TemplateCreated,
    Action::TemplateChanged,
    Action::TemplateDeleted,
];

const REFUSED: [rusqlite::ErrorCode; 2] = [rusqlite::ErrorCode::ConstraintViolation, rusqlite::ErrorCode::TypeMismatch];

/// Name and type of each column.
fn columns(raw: &Connection, table: &str) -> Vec<(String, String)> {
    let mut select = raw.prepare("SELECT name, type FROM pragma_table_info(?1)").unwrap();
    select.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// Each row, its values as literals.
fn literals(raw: &Connection, table: &str, columns: &[(String, String)]) -> Vec<Vec<String>> {
    let quoted: Vec<_> = columns.iter().map(|(column, _)| format!("quote({column})")).collect();
    let mut select = raw.prepare(&format!("SELECT {} FROM {table}", quoted.join(", "))).unwrap();
    let rows = select.query_map((), |row| (0..quoted.len()).map(|at| row.get(at)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn no_column_of_a_team_a_template_or_a_duty_can_be_changed_unseen() {
    let test = filled().await;
    let (raw, database) = (test.unguarded(), test.store.database_id().to_owned());
    for table in TABLES {
        let columns = columns(&raw, table);
        let rows = literals(&raw, table, &columns);
        assert!(columns.len() > 1 && rows.len() > 1, "{table}");
        raw.execute_batch(&format!("CREATE TEMP TABLE kept AS SELECT * FROM main.{table}")).unwrap();
        let mut changed = BTreeSet::new();
        for row in &rows {
            let pairs: Vec<_> =
                columns.iter().zip(row).map(|((column, _), value)| format!("{column} IS {value}")).collect();
            let this = pairs.join(" AND ");
            let mut changes = vec![(None, format!("DELETE FROM main.{table} WHERE {this}"))];
            for (at, (column, kind)) in columns.iter().enumerate() {
                let others: &[&str] = match kind.as_str() {
                    "INTEGER" => &["coalesce(#, 0) + 1", "coalesce(#, 0) - 1", "0", "-1", "NULL"],
                    "TEXT" => &["# || 'x'", "''", "CAST(x'ff' AS TEXT)"],
                    _ => &["zeroblob(16)", "x'00'"],
                };
                for other in others.iter().map(|other| other.replace('#', column)) {
                    let update =
                        format!("UPDATE main.{table} SET {column} = {other} WHERE {this} AND {column} IS NOT {other}");
                    changes.push((Some(column), update));
                    // A made-up one beside it.
                    let mut values: Vec<_> = columns.iter().map(|(column, _)| column.as_str()).collect();
                    values[at] = &other;
                    changes.push((
                        None,
                        format!("INSERT INTO main.{table} SELECT {} FROM main.{table} WHERE {this}", values.join(", ")),
                    ));
                }
            }
            for (column, change) in changes {
                match raw.execute(&change, ()) {
                    Ok(0) => continue,
                    Ok(_) => {}
                    // What the schema refuses cannot be written.
                    Err(error) if error.sqlite_error_code().is_some_and(|code| REFUSED.contains(&code)) => {
                        continue;
                    }
                    Err(error) => panic!("{change}: {error}"),
                }
                changed.extend(column);
                // An error of the database is no verdict.
                let found = verify_whole(&raw, &database).unwrap_or_else(|error| panic!("{change}: {error}"));
                assert!(found.is_err(), "unseen: {change}");
                raw.execute_batch(&format!(
                    "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM temp.kept"
                ))
                .unwrap();
            }
        }
        assert_eq!(changed.len(), columns.len(), "{table}: only {changed:?} could be changed");
        raw.execute_batch("DROP TABLE temp.kept").unwrap();
    }
    assert!(verify_whole(&raw, &database).unwrap().is_ok());
}

/// Gives a row other details, and hashes the whole chain again, as somebody can who has the key.
fn rewrite(raw: &Connection, database: &str, id: AuditId, details: &str) {
    raw.execute("UPDATE audit_log SET details = ?2 WHERE id = ?1", (id, details)).unwrap();
    let mut select =
        raw.prepare_cached("SELECT id, at, person_id, action, details, ip FROM audit_log ORDER BY id").unwrap();
    let mut rows = select.query(()).unwrap();
    let (mut hash, mut hashes) = (genesis_hash(database), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        let at: Timestamp = row.get(1).unwrap();
        let (action, details, ip): (String, String, Option<String>) =
            (row.get(3).unwrap(), row.get(4).unwrap(), row.get(5).unwrap());
        let fields = HashedFields {
            id: row.get(0).unwrap(),
            at: &at.to_rfc3339(),
            person: row.get(2).unwrap(),
            action: &action,
            details: &details,
            ip: ip.as_deref(),
        };
        let previous = hash;
        hash = chain_hash(&previous, &fields);
        hashes.push((fields.id, previous, hash));
    }
    drop(rows);
    let together = raw.unchecked_transaction().unwrap();
    let mut update = raw.prepare_cached("UPDATE audit_log SET previous_hash = ?2, hash = ?3 WHERE id = ?1").unwrap();
    for hashed in hashes {
        update.execute(hashed).unwrap();
    }
    together.commit().unwrap();
    raw.execute("UPDATE audit_head SET hash = ?1", [hash]).unwrap();
}

/// Whether the text of which this row carries the hash was deleted or replaced.
fn has_gone(raw: &Connection, id: AuditId) -> bool {
    let gone = "SELECT action = 'TEMPLATE_CREATED' OR EXISTS (SELECT 1 FROM message_deletion d \
         WHERE d.message_id = a.message_id) FROM audit_log a WHERE id = ?1";
    raw.query_row(gone, [id], |row| row.get(0)).unwrap()
}

/// What a field could say instead.
fn others(field: &str, value: &Value) -> Vec<Value> {
    match (field, value) {
        ("kind", _) => ["reminder", "teammates", "everyone", "unanswered", "x"].map(Value::from).into(),
        ("urgent", _) => ["fast", "steady", "once", "x"].map(Value::from).into(),
        ("content" | "personal", Value::String(hash)) => vec![hash.chars().rev().collect::<String>().into()],
        (_, Value::String(_)) => vec!["9".into(), "1-9".into(), "x".into()],
        (_, Value::Number(number)) => {
            vec![(number.as_i64().unwrap() + 1).into(), (number.as_i64().unwrap() - 1).into()]
        }
        (_, Value::Object(teams)) => {
            let moved =
                |to: &str| teams.iter().map(|(_, people)| (to.to_owned(), people.clone())).collect::<Map<_, _>>();
            let others = teams.iter().map(|(team, _)| (team.clone(), Value::from("9"))).collect::<Map<_, _>>();
            vec![moved("9").into(), others.into()]
        }
        other => panic!("{other:?}"),
    }
}

/// Against somebody who hashes the whole chain again stands the copy, which they cannot reach. What their rows then say must
/// agree with the tables and with each other all the same.
#[tokio::test]
async fn no_field_of_a_row_can_be_changed_unseen_though_all_is_hashed_again() {
    let test = filled().await;
    let (raw, database) = (test.unguarded(), test.store.database_id().to_owned());
    let mut seen = BTreeSet::new();
    for row in log(&test.store).await {
        if !TOLD.iter().any(|action| action.as_str() == row.action) {
            continue;
        }
        let stored: String =
            raw.query_row("SELECT details FROM audit_log WHERE id = ?1", [row.id], |row| row.get(0)).unwrap();
        let details: Map<String, Value> = serde_json::from_str(&stored).unwrap();
        let mut changes = vec![("after_step".to_owned(), Some(json!(9))), ("for".to_owned(), Some(json!("4")))];
        for (field, value) in &details {
            changes.push((field.clone(), None));
            changes.extend(others(field, value).into_iter().map(|other| (field.clone(), Some(other))));
            seen.insert(field.clone());
        }
        for (field, other) in changes {
            // Neither teams nor templates are for anybody.
            let is_read = details.contains_key(&field)
                || row.action.starts_with("MESSAGE")
                || row.action.starts_with("DUTY")
                || row.action.starts_with("URGENT");
            // Nothing is left that another hash could be held against.
            let is_gone = field == "content" && other.is_some() && has_gone(&raw, row.id);
            if details.get(&field) == other.as_ref() || !is_read || is_gone {
                continue;
            }
            let mut changed = details.clone();
            match &other {
                Some(other) => changed.insert(field.clone(), other.clone()),
                None => changed.remove(&field),
            };
            rewrite(&raw, &database, row.id, &Value::from(changed).to_string());
            let found = verify_whole(&raw, &database).unwrap();
            assert!(found.is_err(), "unseen: {field} of row {}, {}, is {other:?} and was {stored}", row.id, row.action);
        }
        rewrite(&raw, &database, row.id, &stored);
        assert!(verify_whole(&raw, &database).unwrap().is_ok());
    }
    let fields = [
        "after_step",
        "content",
        "for",
        "for_teams",
        "kind",
        "message_id",
        "person",
        "personal",
        "reply_to",
        "step",
        "steps",
        "team",
        "template",
        "urgent",
    ];
    assert!(seen.iter().eq(fields), "{seen:?}");
}
