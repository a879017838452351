//! The audit log: how a row is appended and chained, how the chain is checked, how its rows are found, how they are
//! copied off the machine, and what it vouches for of people. It uses [`sqlite`](crate::sqlite) and
//! [`types`](crate::types).

pub(crate) mod audit;
pub(crate) mod audit_event;
pub(crate) mod chain;
pub(crate) mod chain_hash;
pub(crate) mod given_duties;
pub(crate) mod personal;
pub(crate) mod query;
pub(crate) mod ranges;
pub(crate) mod shipping;
pub(crate) mod who;
