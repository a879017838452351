//! What an audit row can record.

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What an audit row records.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Action] = &[$(Action::$name),+];

            /// As it stands in the log.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Action::$name => $text,)+
                }
            }

            /// Reads what [`Action::as_str`] writes.
            pub fn parse(text: &str) -> Option<Action> {
                match text {
                    $($text => Some(Action::$name),)+
                    _ => None,
                }
            }
        }
    };
}

actions! {
    /// The database was made; always the first row.
    DatabaseCreated = "DATABASE_CREATED",
    /// A person signed in.
    Login = "LOGIN",
    /// A verified account was refused.
    LoginDenied = "LOGIN_DENIED",
    /// The provider's answer to a sign-in did not hold.
    LoginFailed = "LOGIN_FAILED",
    /// A person signed out.
    Logout = "LOGOUT",
    /// A session passed its idle or absolute limit.
    SessionExpired = "SESSION_EXPIRED",
    /// A session was ended from outside: the person was disabled, signed in again in the same browser, or ended it from
    /// another device.
    SessionEnded = "SESSION_ENDED",
    /// Something happened that somebody should look at: too many failed sign-ins, an emergency access.
    SecurityAlert = "SECURITY_ALERT",
    /// The subjects of a list were shown.
    MessageList = "MESSAGE_LIST",
    /// A message was sent.
    MessageCreate = "MESSAGE_CREATE",
    /// A message's text was shown.
    MessageView = "MESSAGE_VIEW",
    /// A message was deleted by its author.
    MessageDelete = "MESSAGE_DELETE",
    /// A message was made new again to somebody who had opened it.
    MessageMarkedUnread = "MESSAGE_MARKED_UNREAD",
    /// Somebody said that nothing is left to do in a conversation.
    ConversationDone = "CONVERSATION_DONE",
    /// Somebody said that there is something left to do after all.
    ConversationReopened = "CONVERSATION_REOPENED",
    /// Somebody did what a message asked for.
    DutyDone = "DUTY_DONE",
    /// Somebody took on what a message asked of a team.
    DutyTaken = "DUTY_TAKEN",
    /// What a message asked of somebody who was switched off went to others.
    DutyMoved = "DUTY_MOVED",
    /// Somebody is on the way because of an urgent message.
    UrgentOnMyWay = "URGENT_ON_MY_WAY",
    /// Somebody cannot do what an urgent message asks for.
    UrgentCannot = "URGENT_CANNOT",
    /// An urgent message was repeated or passed on.
    UrgentStep = "URGENT_STEP",
    /// Steps of an urgent message were passed over.
    UrgentStepsSkipped = "URGENT_STEPS_SKIPPED",
    /// The author took back an urgent message.
    UrgentWithdrawn = "URGENT_WITHDRAWN",
    /// Somebody made a team.
    TeamCreated = "TEAM_CREATED",
    /// Somebody gave a team another name.
    TeamRenamed = "TEAM_RENAMED",
    /// Somebody joined a team.
    TeamJoined = "TEAM_JOINED",
    /// Somebody left a team.
    TeamLeft = "TEAM_LEFT",
    /// Somebody made a template.
    TemplateCreated = "TEMPLATE_CREATED",
    /// Somebody changed a template's name or rows.
    TemplateChanged = "TEMPLATE_CHANGED",
    /// Somebody deleted a template.
    TemplateDeleted = "TEMPLATE_DELETED",
    /// A half-written message was kept.
    DraftSaved = "DRAFT_SAVED",
    /// A half-written message was thrown away.
    DraftDiscarded = "DRAFT_DISCARDED",
    /// The audit log was looked at.
    AuditView = "AUDIT_VIEW",
    /// The audit log was exported.
    AuditExport = "AUDIT_EXPORT",
    /// A person took a copy of everything that concerns them.
    DataExported = "DATA_EXPORTED",
    /// A staff member was locked out.
    StaffDisabled = "STAFF_DISABLED",
    /// A staff member was let in again.
    StaffEnabled = "STAFF_ENABLED",
    /// Who a person is, when the log began to vouch for it.
    PersonRecorded = "PERSON_RECORDED",
    /// An operator let a member in without the identity provider.
    EmergencyAccessGranted = "EMERGENCY_ACCESS_GRANTED",
    /// The member came in by it.
    EmergencyAccessUsed = "EMERGENCY_ACCESS_USED",
    /// Its code was used again, or too late, or after it was revoked.
    EmergencyAccessRefused = "EMERGENCY_ACCESS_REFUSED",
    /// It is over.
    EmergencyAccessEnded = "EMERGENCY_ACCESS_ENDED",
    /// A row could not be copied off the machine, and was given up on.
    AuditRowQuarantined = "AUDIT_ROW_QUARANTINED",
    /// A backup was made.
    BackupCreated = "BACKUP_CREATED",
    /// A backup was restored and checked, to prove it.
    BackupVerified = "BACKUP_VERIFIED",
    /// A backup could not be made or proved.
    BackupFailed = "BACKUP_FAILED",
    /// The key that opens the backups was shown to an operator.
    BackupIdentityShown = "BACKUP_IDENTITY_SHOWN",
    /// The database is one that was restored from a backup.
    DatabaseRestored = "DATABASE_RESTORED",
    /// The database was encrypted with another key.
    DatabaseRekeyed = "DATABASE_REKEYED",
}

/// What a new action has to answer before it compiles: no wildcard here.
impl Action {
    /// Whether each of its rows names a message, in its column and its details, and none of another action does: the check of
    /// the chain takes a row that differs for tampering.
    pub const fn concerns_message(self) -> bool {
        match self {
            Action::MessageCreate
            | Action::MessageView
            | Action::MessageDelete
            | Action::MessageMarkedUnread
            | Action::ConversationDone
            | Action::ConversationReopened
            | Action::DutyDone
            | Action::DutyTaken
            | Action::DutyMoved
            | Action::UrgentOnMyWay
            | Action::UrgentCannot
            | Action::UrgentStep
            | Action::UrgentStepsSkipped
            | Action::UrgentWithdrawn => true,
            Action::DatabaseCreated
            | Action::Login
            | Action::LoginDenied
            | Action::LoginFailed
            | Action::Logout
            | Action::SessionExpired
            | Action::SessionEnded
            | Action::SecurityAlert
            | Action::MessageList
            | Action::TeamCreated
            | Action::TeamRenamed
            | Action::TeamJoined
            | Action::TeamLeft
            | Action::TemplateCreated
            | Action::TemplateChanged
            | Action::TemplateDeleted
            | Action::DraftSaved
            | Action::DraftDiscarded
            | Action::AuditView
            | Action::AuditExport
            | Action::DataExported
            | Action::StaffDisabled
            | Action::StaffEnabled
            | Action::PersonRecorded
            | Action::EmergencyAccessGranted
            | Action::EmergencyAccessUsed
            | Action::EmergencyAccessRefused
            | Action::EmergencyAccessEnded
            | Action::AuditRowQuarantined
            | Action::BackupCreated
            | Action::BackupVerified
            | Action::BackupFailed
            | Action::BackupIdentityShown
            | Action::DatabaseRestored
            | Action::DatabaseRekeyed => false,
        }
    }

    /// Whether its rows say who a person is, or whether the person may sign in: the check of the chain holds the table of
    /// people against them.
    pub const fn concerns_person(self) -> bool {
        match self {
            Action::Login | Action::StaffDisabled | Action::StaffEnabled | Action::PersonRecorded => true,
            Action::DatabaseCreated
            | Action::LoginDenied
            | Action::LoginFailed
            | Action::Logout
            | Action::SessionExpired
            | Action::SessionEnded
            | Action::SecurityAlert
            | Action::MessageList
            | Action::MessageCreate
            | Action::MessageView
            | Action::MessageDelete
            | Action::MessageMarkedUnread
            | Action::ConversationDone
            | Action::ConversationReopened
            | Action::DutyDone
            | Action::DutyTaken
            | Action::DutyMoved
            | Action::UrgentOnMyWay
            | Action::UrgentCannot
            | Action::UrgentStep
            | Action::UrgentStepsSkipped
            | Action::UrgentWithdrawn
            | Action::TeamCreated
            | Action::TeamRenamed
            | Action::TeamJoined
            | Action::TeamLeft
            | Action::TemplateCreated
            | Action::TemplateChanged
            | Action::TemplateDeleted
            | Action::DraftSaved
            | Action::DraftDiscarded
            | Action::AuditView
            | Action::AuditExport
            | Action::DataExported
            | Action::EmergencyAccessGranted
            | Action::EmergencyAccessUsed
            | Action::EmergencyAccessRefused
            | Action::EmergencyAccessEnded
            | Action::AuditRowQuarantined
            | Action::BackupCreated
            | Action::BackupVerified
            | Action::BackupFailed
            | Action::BackupIdentityShown
            | Action::DatabaseRestored
            | Action::DatabaseRekeyed => false,
        }
    }

    /// Whether its rows say, under `session`, which session they ended: open lists and downloads of that session close.
    pub const fn ends_session(self) -> bool {
        match self {
            Action::Logout | Action::SessionExpired | Action::SessionEnded => true,
            Action::DatabaseCreated
            | Action::Login
            | Action::LoginDenied
            | Action::LoginFailed
            | Action::SecurityAlert
            | Action::MessageList
            | Action::MessageCreate
            | Action::MessageView
            | Action::MessageDelete
            | Action::MessageMarkedUnread
            | Action::ConversationDone
            | Action::ConversationReopened
            | Action::DutyDone
            | Action::DutyTaken
            | Action::DutyMoved
            | Action::UrgentOnMyWay
            | Action::UrgentCannot
            | Action::UrgentStep
            | Action::UrgentStepsSkipped
            | Action::UrgentWithdrawn
            | Action::TeamCreated
            | Action::TeamRenamed
            | Action::TeamJoined
            | Action::TeamLeft
            | Action::TemplateCreated
            | Action::TemplateChanged
            | Action::TemplateDeleted
            | Action::DraftSaved
            | Action::DraftDiscarded
            | Action::AuditView
            | Action::AuditExport
            | Action::DataExported
            | Action::StaffDisabled
            | Action::StaffEnabled
            | Action::PersonRecorded
            | Action::EmergencyAccessGranted
            | Action::EmergencyAccessUsed
            | Action::EmergencyAccessRefused
            | Action::EmergencyAccessEnded
            | Action::AuditRowQuarantined
            | Action::BackupCreated
            | Action::BackupVerified
            | Action::BackupFailed
            | Action::BackupIdentityShown
            | Action::DatabaseRestored
            | Action::DatabaseRekeyed => false,
        }
    }

    /// Whether its rows leave every list of messages as it was, so that one that is kept can be shown again.
    pub const fn leaves_lists(self) -> bool {
        match self {
            Action::MessageList | Action::MessageView | Action::MessageMarkedUnread | Action::AuditView => true,
            Action::DatabaseCreated
            | Action::Login
            | Action::LoginDenied
            | Action::LoginFailed
            | Action::Logout
            | Action::SessionExpired
            | Action::SessionEnded
            | Action::SecurityAlert
            | Action::MessageCreate
            | Action::MessageDelete
            | Action::ConversationDone
            | Action::ConversationReopened
            | Action::DutyDone
            | Action::DutyTaken
            | Action::DutyMoved
            | Action::UrgentOnMyWay
            | Action::UrgentCannot
            | Action::UrgentStep
            | Action::UrgentStepsSkipped
            | Action::UrgentWithdrawn
            | Action::TeamCreated
            | Action::TeamRenamed
            | Action::TeamJoined
            | Action::TeamLeft
            | Action::TemplateCreated
            | Action::TemplateChanged
            | Action::TemplateDeleted
            | Action::DraftSaved
            | Action::DraftDiscarded
            | Action::AuditExport
            | Action::DataExported
            | Action::StaffDisabled
            | Action::StaffEnabled
            | Action::PersonRecorded
            | Action::EmergencyAccessGranted
            | Action::EmergencyAccessUsed
            | Action::EmergencyAccessRefused
            | Action::EmergencyAccessEnded
            | Action::AuditRowQuarantined
            | Action::BackupCreated
            | Action::BackupVerified
            | Action::BackupFailed
            | Action::BackupIdentityShown
            | Action::DatabaseRestored
            | Action::DatabaseRekeyed => false,
        }
    }

    /// Whether its rows say no more than that somebody looked at a list or at the log itself. There are more of them than of
    /// all others, and views of the log leave them out unless they are asked for. Opening a message is more than that.
    pub const fn is_mere_look(self) -> bool {
        match self {
            Action::MessageList | Action::AuditView => true,
            Action::DatabaseCreated
            | Action::Login
            | Action::LoginDenied
            | Action::LoginFailed
            | Action::Logout
            | Action::SessionExpired
            | Action::SessionEnded
            | Action::SecurityAlert
            | Action::MessageCreate
            | Action::MessageView
            | Action::MessageDelete
            | Action::MessageMarkedUnread
            | Action::ConversationDone
            | Action::ConversationReopened
            | Action::DutyDone
            | Action::DutyTaken
            | Action::DutyMoved
            | Action::UrgentOnMyWay
            | Action::UrgentCannot
            | Action::UrgentStep
            | Action::UrgentStepsSkipped
            | Action::UrgentWithdrawn
            | Action::TeamCreated
            | Action::TeamRenamed
            | Action::TeamJoined
            | Action::TeamLeft
            | Action::TemplateCreated
            | Action::TemplateChanged
            | Action::TemplateDeleted
            | Action::DraftSaved
            | Action::DraftDiscarded
            | Action::AuditExport
            | Action::DataExported
            | Action::StaffDisabled
            | Action::StaffEnabled
            | Action::PersonRecorded
            | Action::EmergencyAccessGranted
            | Action::EmergencyAccessUsed
            | Action::EmergencyAccessRefused
            | Action::EmergencyAccessEnded
            | Action::AuditRowQuarantined
            | Action::BackupCreated
            | Action::BackupVerified
            | Action::BackupFailed
            | Action::BackupIdentityShown
            | Action::DatabaseRestored
            | Action::DatabaseRekeyed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_survives_its_name() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(*action));
        }
        assert_eq!(Action::ALL.len(), 49);
        assert_eq!(Action::parse("login"), None);
    }
}
