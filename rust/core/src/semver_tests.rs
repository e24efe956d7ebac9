use super::*;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_order_of_the_standard() {
    let texts = [
        "0.0.1",
        "1.0.0-0",
        "1.0.0-9",
        "1.0.0-10",
        "1.0.0--",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-beta-1",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.1.0",
        "2.0.0",
    ];
    let mut versions: Vec<_> = texts.map(version).into();
    versions.reverse();
    versions.sort();
    assert_eq!(versions.iter().map(Version::as_str).collect::<Vec<_>>(), texts);
}

#[test]
fn build_is_no_part_of_identity() {
    let (plain, built) = (version("1.2.3-rc.1"), version("1.2.3-rc.1+sha.0007"));
    assert_eq!(plain, built);
    assert_eq!(plain.cmp(&built), Ordering::Equal);
    assert_eq!((built.prerelease(), built.build()), ("rc.1", "sha.0007"));
    assert_eq!(plain.prerelease_key(), built.prerelease_key());
}

#[test]
fn parts_reach_31_bits() {
    assert_eq!(version("2147483647.0.0").major, PART_MAX);
    assert!(Version::parse("2147483648.0.0").is_err());
    assert!(Version::parse("99999999999999999999.0.0").is_err());
}

#[test]
fn what_is_not_semver_is_refused() {
    let bad = [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "v1.2.3",
        "01.2.3",
        "1.02.3",
        "1.2.03",
        "1.2.3-",
        "1.2.3+",
        "1.2.3-01",
        "1.2.3-a..b",
        "1.2.3-a.",
        "1.2.3+a..b",
        " 1.2.3",
        "1.2.3 ",
        "1.2.3\n",
        "-1.2.3",
        "1.-2.3",
        "1.2.3-é",
        "1.2.3+a+b",
        "1.2.3_a",
        "١.2.3",
    ];
    for text in bad {
        assert!(Version::parse(text).is_err(), "{text:?}");
    }
    assert!(Version::parse(&format!("1.0.0-{}", "a".repeat(300))).is_err());
}

#[test]
fn the_key_has_the_order_of_the_versions() {
    let alphabet = ["0", "1", "9", "10", "11", "99", "100", "a", "A", "a-", "-", "--", "0a", "alpha", "beta", "b1"];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    let mut versions = vec![version("1.0.0")];
    for _ in 0..400 {
        let identifiers: Vec<_> = (0..=random(3)).map(|_| alphabet[random(alphabet.len())]).collect();
        versions.push(version(&format!("1.0.0-{}", identifiers.join("."))));
    }
    for a in &versions {
        for b in &versions {
            assert_eq!(a.cmp(b), a.prerelease_key().cmp(&b.prerelease_key()), "{} {}", a.as_str(), b.as_str());
        }
    }
}
