//! Sign-ins that came to nothing, and the rows that they leave. One too many raises SECURITY_ALERT
//! ([`failed_sign_ins`](crate::acts::failed_sign_ins)).

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::json;

use super::{CLIP, find_person};
use crate::acts::failed_sign_ins::{FROM_ADDRESS, FailedSignIn};
use crate::ledger::audit::Entry;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{Action, Identity, PersonId, StoreError, Timestamp, clip};

/// A sign-in that came to nothing before it reached the store.
#[derive(Clone, Debug)]
pub struct RefusedSignIn {
    /// The account, if the provider's answer held: LOGIN_DENIED. None, if it did not: LOGIN_FAILED.
    pub verified_account: Option<Identity>,
    /// Why, in a word.
    pub reason: &'static str,
    /// From which address.
    pub ip: IpAddr,
}

/// Failed sign-ins of which nothing proves that they began at the identity provider. One row stands for all of them, since
/// anybody can cause as many as they like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprovenSignIns {
    /// How many, at least one.
    pub failures: u64,
    /// Why, in a word, and how many for each.
    pub reasons: Vec<(&'static str, u64)>,
    /// From how many addresses.
    pub addresses: usize,
    /// The address with the most of them; of a /64 of IPv6, which counts as one, the first that came.
    pub ip: IpAddr,
    /// How many of them came from it.
    pub from_ip: u64,
}

impl Store {
    /// Records a sign-in that was refused or failed; one too many raises SECURITY_ALERT in the same transaction.
    pub async fn record_refused_sign_in(&self, refusal: RefusedSignIn, at: Timestamp) -> Result<(), StoreError> {
        let (failures, counted) = (self.failed_sign_ins(), self.failed_sign_ins());
        let result = self.write(move |write| {
            let (account, mut person) = (refusal.verified_account.as_ref(), None);
            match account {
                Some(identity) => {
                    person = find_person(write, identity)?.map(|known| known.id);
                    deny(write, person, identity, refusal.reason, refusal.ip, at)?;
                }
                None => {
                    let (details, ip) = (json!({ "reason": refusal.reason }), Some(refusal.ip));
                    write.append(Entry { at, person, action: Action::LoginFailed, message: None, details, ip })?;
                }
            }
            let alerts = counted.count(write, &FailedSignIn { ip: refusal.ip, account, person, at })?;
            Ok(((), alerts))
        });
        failures.settle(result.await)
    }

    /// Records failed sign-ins in one LOGIN_FAILED. Those of the address with the most of them count towards a
    /// SECURITY_ALERT: at most one for each call.
    pub async fn record_unproven_sign_ins(&self, sum: UnprovenSignIns, at: Timestamp) -> Result<(), StoreError> {
        let (failures, counted) = (self.failed_sign_ins(), self.failed_sign_ins());
        let result = self.write(move |write| {
            let details = match sum.reasons.as_slice() {
                [(reason, 1)] => json!({ "reason": reason }),
                reasons => json!({
                    "reason": "several",
                    "failures": sum.failures,
                    "reasons": reasons.iter().copied().collect::<BTreeMap<_, _>>(),
                    "addresses": sum.addresses,
                    FROM_ADDRESS: sum.from_ip,
                }),
            };
            let (person, ip) = (None, Some(sum.ip));
            write.append(Entry { at, person, action: Action::LoginFailed, message: None, details, ip })?;
            let failure = FailedSignIn { ip: sum.ip, account: None, person, at };
            Ok(((), counted.count_times(write, &failure, sum.from_ip)?))
        });
        failures.settle(result.await)
    }
}

/// LOGIN_DENIED.
pub(super) fn deny(
    write: &mut Write<'_>,
    person: Option<PersonId>,
    identity: &Identity,
    reason: &str,
    ip: IpAddr,
    at: Timestamp,
) -> Result<(), StoreError> {
    let account = json!({
        "email": clip(&identity.email, CLIP),
        "issuer": clip(&identity.issuer, CLIP),
        "subject": clip(&identity.subject, CLIP),
    });
    let (action, details) = (Action::LoginDenied, json!({ "reason": reason }));
    write.append_personal(Entry { at, person, action, message: None, details, ip: Some(ip) }, &account)?;
    Ok(())
}
