//! `web emergency-access`: an operator lets a member in while the identity provider is down.

use clap::Subcommand;
use database::DatabaseSettings;
use process::Exit;
use serde_json::json;
use store::{
    EmergencyGrant, EmergencyGrantId, EmergencyRequest, GrantState, Granted, LONGEST_MINUTES, LONGEST_REASON, Store,
    StoreError, Timestamp,
};

use super::operator::operator;
use super::{print_err, print_out, with_database};
use crate::features::emergency::PATH;
use crate::http::public_url::PublicUrl;

/// What can be done about it.
#[derive(Subcommand)]
pub enum EmergencyCommand {
    /// Give a member a one-time link, good for ten minutes, to a session that ends by itself.
    #[command(
        after_help = "The member must have signed in before and must not be switched off. The reason stands in the audit log forever: nothing about a patient.\n\nExample:\n  web emergency-access grant amina@clinic.example --reason \"provider down since 08:10\" --minutes 30"
    )]
    Grant {
        /// The e-mail address, as `web staff list` shows it.
        email: String,
        /// Why; it stands in the audit log.
        #[arg(long, value_parser = parse_reason)]
        reason: String,
        /// How long the session may last, 1 to 60.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=i64::from(LONGEST_MINUTES)))]
        minutes: u8,
    },
    /// List what was granted, the newest first.
    #[command(after_help = "Example:\n  web emergency-access list --json")]
    List,
    /// Take a grant back: its link does nothing any more, and its session ends at once.
    #[command(after_help = "Example:\n  web emergency-access revoke 3")]
    Revoke {
        /// The grant's number, as `web emergency-access list` shows it.
        number: EmergencyGrantId,
    },
}

fn parse_reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("say why".to_owned());
    }
    if text.chars().count() > LONGEST_REASON || text.chars().any(char::is_control) {
        return Err(format!("at most {LONGEST_REASON} characters, in one line"));
    }
    Ok(text.to_owned())
}

/// Exit 0 when it was done, 1 when there is no such member or grant, or nothing to take back.
pub async fn run(
    command: EmergencyCommand,
    database: &DatabaseSettings,
    public_url: Option<&PublicUrl>,
    as_json: bool,
) -> Exit {
    with_database(database, async |store| match command {
        EmergencyCommand::Grant { email, reason, minutes } => {
            let request = EmergencyRequest { email, reason, minutes, operator: operator() };
            grant(store, request, public_url, as_json).await
        }
        EmergencyCommand::List => {
            let grants = store.emergency_grants().await?;
            print_out(&if as_json { list_as_json(&grants, store.now()) } else { list_as_text(&grants, store.now()) });
            Ok(Exit::Done)
        }
        EmergencyCommand::Revoke { number } => revoke(store, number, as_json).await,
    })
    .await
}

async fn grant(
    store: &Store,
    request: EmergencyRequest,
    public_url: Option<&PublicUrl>,
    as_json: bool,
) -> Result<Exit, StoreError> {
    let (email, minutes) = (request.email.clone(), request.minutes);
    match store.grant_emergency_access(request, store.now()).await? {
        Granted::Unknown => {
            print_err(&format!(
                "web: nobody with the address {email} has ever signed in. `web staff list` shows who has."
            ));
            Ok(Exit::Failed)
        }
        Granted::Disabled => {
            print_err(&format!("web: {email} is switched off, and gets no emergency access."));
            Ok(Exit::Failed)
        }
        Granted::Code { id, code, until, person } => {
            let code = code.reveal();
            let link = public_url.map(|url| link(url, &code));
            print_out(&if as_json {
                json!({
                    "grant": id, "email": person.email, "minutes": minutes, "link": link, "code": code.as_str(),
                    "code_until": until.to_rfc3339(),
                })
                .to_string()
            } else {
                let way = link.unwrap_or_else(|| format!("the page {PATH} of the site, with the code {}", &*code));
                format!(
                    "Grant {id}: {} ({}) may come in once, until {}, for {minutes} minutes:\n\n  {way}\n\nGive it to nobody else. To take it back: web emergency-access revoke {id}",
                    person.name,
                    person.email,
                    until.to_rfc3339()
                )
            });
            Ok(Exit::Done)
        }
    }
}

/// The code stands behind a `#`: that part of a link never leaves the browser.
fn link(public_url: &PublicUrl, code: &str) -> String {
    format!("{}#{code}", public_url.join(PATH))
}

async fn revoke(store: &Store, number: EmergencyGrantId, as_json: bool) -> Result<Exit, StoreError> {
    let Some(revoked) = store.revoke_emergency_access(number, &operator(), store.now()).await? else {
        print_err(&format!("web: there is no grant {number}. `web emergency-access list` shows all."));
        return Ok(Exit::Failed);
    };
    print_out(&if as_json {
        json!({ "grant": number, "revoked": revoked }).to_string()
    } else if revoked {
        format!("Grant {number} is taken back: its link and its session have ended.")
    } else {
        format!("Grant {number} was over already.")
    });
    Ok(Exit::Done)
}

fn word(state: GrantState) -> &'static str {
    match state {
        GrantState::Open => "open",
        GrantState::InUse => "in use",
        GrantState::Ended => "ended",
    }
}

fn list_as_json(grants: &[EmergencyGrant], at: Timestamp) -> String {
    let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
    let rows: Vec<_> = grants
        .iter()
        .map(|grant| {
            json!({
                "grant": grant.id,
                "state": word(grant.state(at)).replace(' ', "_"),
                "email": grant.person.email,
                "name": grant.person.name,
                "operator": grant.operator,
                "reason": grant.reason,
                "minutes": grant.minutes,
                "granted_at": grant.granted_at.to_rfc3339(),
                "code_until": grant.code_until.to_rfc3339(),
                "used_at": time(grant.used_at),
                "session_until": time(grant.session_until),
                "ended_at": time(grant.ended_at),
                "end_reason": grant.end_reason,
            })
        })
        .collect();
    json!(rows).to_string()
}

fn list_as_text(grants: &[EmergencyGrant], at: Timestamp) -> String {
    if grants.is_empty() {
        return "No emergency access was ever granted.".to_owned();
    }
    let lines: Vec<String> = grants
        .iter()
        .map(|grant| {
            let state = grant.state(at);
            let more = match (state, grant.session_until, &grant.end_reason) {
                (GrantState::Open, ..) => format!("until {}", grant.code_until.to_rfc3339()),
                (_, Some(until), None) => format!("until {}", until.to_rfc3339()),
                (_, _, Some(reason)) => reason.replace('_', " "),
                (_, None, None) => "unused".to_owned(),
            };
            format!(
                "{:>4}  {:6}  {}  {} minutes, granted {} by {}: {} ({more})",
                grant.id.get(),
                word(state),
                grant.person.email,
                grant.minutes,
                grant.granted_at.to_rfc3339(),
                grant.operator,
                grant.reason,
            )
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_link_is_behind_the_part_that_is_sent() {
        let link = link(&PublicUrl::parse("https://messages.clinic.example").unwrap(), "ABCD-EF");
        let url = url::Url::parse(&link).unwrap();
        assert_eq!((url.path(), url.query(), url.fragment()), (PATH, None, Some("ABCD-EF")));
    }

    #[test]
    fn a_reason_is_a_line_that_says_something() {
        assert_eq!(parse_reason(" provider down ").unwrap(), "provider down");
        for wrong in ["", "  ", "two\nlines", &"x".repeat(LONGEST_REASON + 1)] {
            assert!(parse_reason(wrong).is_err(), "{wrong:?}");
        }
    }
}
