//! `/teams`: who is in which team. Anyone on staff makes, names, joins and leaves teams.

pub mod pages;

use http::StatusCode;
use store::{FormerMember, MAX_TEAMS, Team, TeamChange, TeamId, TeamName, TeamNamed};

use crate::app::access::Member;
use crate::app::pages::Frame;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::teams::pages::{FormerView, LeavePage, MemberView, NameForm, TeamView, TeamsPage};
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// `GET /teams`
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    page(&request, &member, NameForm::default()).await
}

/// `POST /teams`: makes a team, and its maker a member of it.
pub async fn create(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let typed = form.into_inner().text("name").to_owned();
    let name = match TeamName::parse(&typed) {
        Ok(name) => name,
        Err(error) => return refuse(&request, &member, None, typed, error.to_string()).await,
    };
    match request.site.store.create_team(member.actor(), name, request.at).await? {
        TeamNamed::Named(team) => Ok(Reply::see_other(&format!("/teams?notice=created#team-{team}"))),
        TeamNamed::Taken(_) => refuse(&request, &member, None, typed, TAKEN.to_owned()).await,
        TeamNamed::TooMany => {
            let error =
                format!("There are {MAX_TEAMS} teams, and no more fit. Give one that nobody needs another name.");
            refuse(&request, &member, None, typed, error).await
        }
        TeamNamed::Missing => Err(PageError::NotFound),
    }
}

/// `POST /teams/{}/name`: another name.
pub async fn rename(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let team: TeamId = request.id().ok_or(PageError::NotFound)?;
    let typed = form.into_inner().text("name").to_owned();
    let name = match TeamName::parse(&typed) {
        Ok(name) => name,
        Err(error) => return refuse(&request, &member, Some(team), typed, error.to_string()).await,
    };
    match request.site.store.rename_team(member.actor(), team, name, request.at).await? {
        TeamNamed::Named(_) => Ok(Reply::see_other(&format!("/teams?notice=renamed#team-{team}"))),
        TeamNamed::Taken(_) => refuse(&request, &member, Some(team), typed, TAKEN.to_owned()).await,
        TeamNamed::TooMany | TeamNamed::Missing => Err(PageError::NotFound),
    }
}

/// `POST /teams/{}/join`
pub async fn join(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let team: TeamId = request.id().ok_or(PageError::NotFound)?;
    match request.site.store.join_team(member.actor(), team, request.at).await? {
        TeamChange::Missing => Err(PageError::NotFound),
        _ => Ok(Reply::see_other(&format!("/teams?notice=joined#team-{team}"))),
    }
}

/// `GET /teams/{}/leave`: what it means that nobody would be left.
pub async fn confirm(request: Request, member: Member) -> Result<Reply, PageError> {
    let id: TeamId = request.id().ok_or(PageError::NotFound)?;
    let teams = request.site.store.teams().await?;
    let team = teams.into_iter().find(|team| team.id == id).ok_or(PageError::NotFound)?;
    if !is_own(&team, &member) {
        return Ok(Reply::see_other(&format!("/teams#team-{id}")));
    }
    let frame = Frame::of(&member, &request);
    Reply::page(&LeavePage { frame, id: id.get(), name: team.name.as_str().into() })
}

/// `POST /teams/{}/leave`: asks first where nobody would be left, unless `sure` says that it has asked.
pub async fn leave(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let sure = form.into_inner().text("sure") == "yes";
    let id: TeamId = request.id().ok_or(PageError::NotFound)?;
    match request.site.store.leave_team(member.actor(), id, sure, request.at).await? {
        TeamChange::WouldBeEmpty => Ok(Reply::see_other(&format!("/teams/{id}/leave"))),
        TeamChange::Changed { .. } | TeamChange::Unchanged => {
            Ok(Reply::see_other(&format!("/teams?notice=left#team-{id}")))
        }
        TeamChange::Missing => Err(PageError::NotFound),
    }
}

const TAKEN: &str = "Another team has this name. Choose one that nobody can mistake for it.";

async fn refuse(
    request: &Request,
    member: &Member,
    team: Option<TeamId>,
    typed: String,
    error: String,
) -> Result<Reply, PageError> {
    let form = NameForm { team: team.map(TeamId::get), typed, error: Some(error) };
    Ok(page(request, member, form).await?.with_status(StatusCode::UNPROCESSABLE_ENTITY))
}

async fn page(request: &Request, member: &Member, form: NameForm) -> Result<Reply, PageError> {
    let teams = request.site.store.teams().await?;
    let former = request.site.store.former_members().await?;
    Reply::page(&TeamsPage {
        frame: Frame::of(member, request).with_notice(notice(request.query.get("notice"))),
        teams: teams.into_iter().map(|team| view(team, &former, member)).collect(),
        form,
    })
}

fn is_own(team: &Team, member: &Member) -> bool {
    team.members.iter().any(|one| one.person.id == member.actor().person)
}

fn view(team: Team, former: &[FormerMember], member: &Member) -> TeamView {
    let own = is_own(&team, member);
    let members = team.members.into_iter().map(|one| MemberView {
        name: one.person.name.into(),
        since: one.since.into(),
        enabled: one.enabled,
    });
    let former = former.iter().filter(|one| one.team == team.id).map(|one| FormerView {
        name: one.person.name.as_str().into(),
        from: one.from.into(),
        until: one.until.into(),
    });
    TeamView {
        id: team.id.get(),
        name: team.name.as_str().into(),
        typed: team.name.as_str().to_owned(),
        own,
        members: members.collect(),
        former: former.collect(),
    }
}

/// What has just been done.
fn notice(code: Option<&str>) -> Option<&'static str> {
    match code? {
        "created" => Some("The team is made, and you are in it."),
        "renamed" => Some("The team has its new name."),
        "joined" => Some("You are in the team."),
        "left" => Some("You have left the team."),
        _ => None,
    }
}
