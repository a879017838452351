//! The page of teams, and the question before one stands empty.

use askama::Template;

use crate::app::pages::{Frame, Shown, Time};

/// `/teams`: all teams by name.
#[derive(Template)]
#[template(path = "teams.html")]
pub struct TeamsPage {
    /// What stands around the page.
    pub frame: Frame,
    /// By name.
    pub teams: Vec<TeamView>,
    /// What was typed for a name and refused.
    pub form: NameForm,
}

/// A team.
pub struct TeamView {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: Shown,
    /// The same as it was typed, for the form that gives it another.
    pub typed: String,
    /// The reader is in it.
    pub own: bool,
    /// Who is in it.
    pub members: Vec<MemberView>,
    /// Who left it last, the latest first.
    pub former: Vec<FormerView>,
}

/// Somebody in a team.
pub struct MemberView {
    /// Who.
    pub name: Shown,
    /// Since when.
    pub since: Time,
    /// May sign in.
    pub enabled: bool,
}

/// Somebody who was in a team.
pub struct FormerView {
    /// Who.
    pub name: Shown,
    /// From when on.
    pub from: Time,
    /// Until when.
    pub until: Time,
}

/// A name that was typed.
#[derive(Default)]
pub struct NameForm {
    /// Of which team; none for a new one.
    pub team: Option<i64>,
    /// What was typed.
    pub typed: String,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl TeamsPage {
    fn has_errors(&self) -> bool {
        self.form.error.is_some()
    }

    /// What is wrong with the name that was typed for a team.
    fn error_of(&self, team: &TeamView) -> Option<&str> {
        self.form.error.as_deref().filter(|_| self.form.team == Some(team.id))
    }

    /// What is wrong with that of a new one.
    fn error_of_new(&self) -> Option<&str> {
        self.form.error.as_deref().filter(|_| self.form.team.is_none())
    }
}

impl TeamView {
    /// Nobody is in it who may sign in: it cannot be addressed.
    fn is_empty(&self) -> bool {
        !self.members.iter().any(|member| member.enabled)
    }
}

/// The question before the last member leaves.
#[derive(Template)]
#[template(path = "leave_team.html")]
pub struct LeavePage {
    /// What stands around the page.
    pub frame: Frame,
    /// The team's number.
    pub id: i64,
    /// Its name.
    pub name: Shown,
}
