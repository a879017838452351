//! `backup-worker`: a backup every night that has been proved to restore.
//!
//! [`backup`] makes one: copied by the store, packed by [`archive`], kept by a [`target`], described by its [`manifest`].
//! [`vouch`] looks at where one comes from, [`provenance`] judges that; [`drill`] proves one; [`restore`] is the same with
//! another end. [`run`] does both when they are due, see [`schedule`].

pub mod archive;
pub mod backup;
pub mod catalogue;
pub mod commands;
pub mod config;
pub mod directory_target;
pub mod doubt;
pub mod drill;
pub mod failure;
pub mod identity;
pub mod manifest;
pub mod name;
pub mod pipe;
pub mod priority;
pub mod progress;
pub mod provenance;
pub mod restore;
pub mod run;
pub mod s3_target;
pub mod schedule;
pub mod target;
pub mod vouch;
pub mod work;
