//! What a minor version makes of the setting that lets one user act as the other.

/// The minor versions from which on a session keeps acting after DISCARD ALL, where the first ones of
/// the major version do not. In the one before, ALTER ROLE ... SET role has no effect. Source: the
/// release notes' CVE-2024-10978, and what mends its fix. Seen at 10.3 and 14.2, and gone at 15.18.
const KEPT_SINCE: [[i32; 2]; 6] = [[12, 22], [13, 18], [14, 15], [15, 10], [16, 6], [17, 2]];

/// What this version makes of the setting that says as which role a session acts.
pub(crate) fn forgets(version: i32) -> Option<&'static str> {
    let (major, minor) = (version / 10_000, version % 10_000);
    let since = KEPT_SINCE.iter().find(|[one, _]| *one == major).map(|[_, since]| *since);
    match since {
        Some(since) if minor + 1 == since => Some(
            "this minor version is known to ignore ALTER ROLE ... SET role at a login, which testSecret \
             would find; upgrade to the newest minor version",
        ),
        Some(since) if minor >= since => None,
        None if major > 11 => None,
        _ => Some(
            "on this minor version DISCARD ALL, which poolers send, ends the second user's acting as the \
             first until the session's end: what it makes then belongs to itself until the next \
             rotation; upgrade to the newest minor version, or have the pooler send RESET ALL",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::forgets;

    #[test]
    fn each_minor_version_has_its_fault() {
        let ignores = |version| forgets(version).is_some_and(|it| it.contains("ignore"));
        for version in [100_003, 110_022, 140_002, 140_013, 170_000] {
            assert!(forgets(version).is_some() && !ignores(version), "{version}");
        }
        assert!([120_021, 140_014, 150_009, 170_001].into_iter().all(ignores));
        for version in [120_022, 140_015, 150_018, 160_006, 170_002, 180_000] {
            assert!(forgets(version).is_none(), "{version}");
        }
    }
}
