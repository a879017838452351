use super::*;

fn id(number: i64) -> AuditId {
    AuditId::new(number).unwrap()
}

#[test]
fn a_bound_is_a_row_or_a_time() {
    assert_eq!(Bound::parse("17"), Ok(Bound::Row(id(17))));
    let day = Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").unwrap();
    assert_eq!(Bound::parse("2026-11-01"), Ok(Bound::Time(day)));
    assert_eq!(Bound::parse("2026-11-01T01:00:00+01:00"), Ok(Bound::Time(day)));
    for (from, to, nothing) in
        [("5", "5", false), ("6", "5", true), ("2026-11-01", "2026-11-01", true), ("5", "2026-11-01", false)]
    {
        let (from, to) = (Bound::parse(from).unwrap(), Bound::parse(to).unwrap());
        assert_eq!(from.is_after(&to), nothing, "{from:?} {to:?}");
    }
    for wrong in ["", "0", "-1", "yesterday", "2026-13-01"] {
        assert!(Bound::parse(wrong).is_err(), "{wrong}");
    }
}
