//! `backup-worker`: a backup every night that has been proved to restore.
//!
//! [`backup`] makes one: copied by the store, packed by [`archive`], kept by a [`target`], described by its [`manifest`].
//! [`vouch`] looks at where one comes from, [`provenance`] judges that; [`drill`] proves one; [`replace`] is the same with
//! another end. [`service`] does both when they are due, see [`schedule`].

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod age_keys;
pub mod archive;
pub mod backup;
pub mod catalogue;
mod clock;
pub mod commands;
pub mod config;
pub mod doubt;
pub mod drill;
pub mod error;
pub mod manifest;
pub mod name;
pub mod pipe;
pub mod priority;
pub mod progress;
pub mod provenance;
pub mod replace;
pub mod schedule;
pub mod service;
pub mod target;
pub mod vouch;
pub mod work;
