//! The limits as settings: a whole number, or `off`.

use std::num::NonZeroU32;

use governor::Quota;
use process::settings::Settings;

/// A larger number is no limit; `off` says so.
const MOST: u32 = 1_000_000;
/// A page brings style, script and icon along, and a clinic's computers may share one address: what an address saves up
/// in so many seconds it may use at once.
const SAVED_SECONDS: u32 = 10;

/// How often things may be asked for. None is no limit.
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    /// Sign-ins that are begun, and apart from these those that come back, per address.
    pub sign_in: Option<Quota>,
    /// Anything at all, per address.
    pub requests: Option<Quota>,
    /// Messages, per member.
    pub send: Option<Quota>,
    /// Drafts that are saved, per member.
    pub draft: Option<Quota>,
    /// Exports of the audit log, per member.
    pub export: Option<Quota>,
}

/// Reads the settings; None where an error was recorded.
pub fn read(settings: &mut Settings) -> Option<LimitSettings> {
    let sign_in = settings.or_default("WARDPOST_LIMIT_SIGN_IN_PER_MINUTE", "5", per_minute);
    let requests = settings.or_default("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "10", |text| {
        Ok(number(text)?.and_then(|number| {
            Some(Quota::per_second(number).allow_burst(number.checked_mul(NonZeroU32::new(SAVED_SECONDS)?)?))
        }))
    });
    let send = settings.or_default("WARDPOST_LIMIT_SEND_PER_MINUTE", "30", per_minute);
    let draft = settings.or_default("WARDPOST_LIMIT_DRAFT_PER_MINUTE", "30", per_minute);
    let export = settings.or_default("WARDPOST_LIMIT_EXPORT_PER_MINUTE", "6", per_minute);
    Some(LimitSettings { sign_in: sign_in?, requests: requests?, send: send?, draft: draft?, export: export? })
}

fn per_minute(text: &str) -> Result<Option<Quota>, String> {
    Ok(number(text)?.map(Quota::per_minute))
}

fn number(text: &str) -> Result<Option<NonZeroU32>, String> {
    match text.parse() {
        _ if text == "off" => Ok(None),
        Ok(0_u32) => Err("0 would let nobody in; write `off` for no limit".to_owned()),
        Ok(number @ 1..=MOST) => Ok(NonZeroU32::new(number)),
        _ => Err(format!("`{text}` is not a whole number from 1 to {MOST}, or `off`")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read_from(pairs: &[(&str, &str)]) -> Option<LimitSettings> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        read(&mut Settings::from_parts(pairs, None))
    }

    #[test]
    fn what_is_not_set_is_what_the_controls_ask_for() {
        let limits = read_from(&[]).unwrap();
        let sign_in = limits.sign_in.unwrap();
        assert_eq!((sign_in.burst_size().get(), sign_in.replenish_interval()), (5, Duration::from_secs(12)));
        let requests = limits.requests.unwrap();
        assert_eq!((requests.burst_size().get(), requests.replenish_interval()), (100, Duration::from_millis(100)));
        assert!(limits.send.is_some() && limits.draft.is_some() && limits.export.is_some());
    }

    #[test]
    fn off_is_off_and_zero_is_a_mistake() {
        let name = "WARDPOST_LIMIT_SIGN_IN_PER_MINUTE";
        assert!(read_from(&[(name, "off")]).unwrap().sign_in.is_none());
        assert!(read_from(&[(name, "1000000")]).unwrap().sign_in.is_some());
        assert!(read_from(&[("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1000000")]).unwrap().requests.is_some());
        for wrong in ["0", "-1", "1000001", "5/min", "OFF", "five"] {
            assert!(read_from(&[(name, wrong)]).is_none(), "{wrong}");
        }
    }
}
