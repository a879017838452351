//! The types of this crate: ids, text, times, tokens, keys, people, sessions, actions and errors, each with its rules.
//! Nothing here knows of a database.

mod action;
mod chain_error;
mod duty;
mod environment;
mod error;
mod escalation;
pub(crate) mod failure_counter;
mod hash;
mod id;
mod key;
mod location;
mod person;
mod session;
mod template;
mod text;
mod time;
mod token;

pub use action::Action;
pub(crate) use chain_error::CheckedChain;
pub use chain_error::{ChainError, PersonError};
pub(crate) use duty::OpenDuties;
pub use duty::{Addressed, Duty, DutyAct};
pub(crate) use environment::random_bytes;
pub use environment::{Clock, Environment, Random, SystemClock, SystemRandom};
pub use error::{OpenError, Source, StoreError};
pub use escalation::{HandedOn, NextStep, Step, StepKind, Urgent, UrgentPolicy};
pub use failure_counter::client_network;
pub use hash::{ChainPosition, Hash};
pub use id::{AuditId, EmergencyGrantId, InvalidId, MessageId, PersonId, SessionId, TeamId, TemplateId};
pub use key::{DatabaseKey, KeyError};
pub use location::Location;
pub use person::{Author, Identity, Person};
pub use session::{Actor, Client, EndReason, Session, SessionLimits, SessionState};
pub use template::{TemplateName, TemplateNameError, TemplateRow, TemplateRows, TemplateRowsError};
pub(crate) use text::clip;
pub use text::{Body, BodyError, IdempotencyKey, Subject, SubjectError, TeamName, TeamNameError, is_visible};
pub use time::Timestamp;
pub use token::SessionToken;
pub(crate) use token::{TokenHash, csrf_token};
