//! Versions as semver.org 2.0.0 defines them: grammar, precedence, and a key whose byte order is that precedence.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::error::{Error, Place, Result};

/// The largest major, minor or patch: they are stored as 32-bit signed integers.
pub const PART_MAX: u32 = i32::MAX as u32;
/// The longest text. It also bounds a numeric identifier, whose length is one byte of the key.
pub const TEXT_MAX_BYTES: usize = 255;

/// A version. Equality, order and hash leave build metadata out, as the standard says.
#[derive(Clone, Debug)]
pub struct Version {
    text: String,
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
    prerelease: (usize, usize),
    build: (usize, usize),
}

impl Version {
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(fault(text, 0, &format!("it must have at most {TEXT_MAX_BYTES} bytes")));
        }
        let mut at = 0;
        let major = part(text, &mut at, "major")?;
        dot(text, &mut at, "major")?;
        let minor = part(text, &mut at, "minor")?;
        dot(text, &mut at, "minor")?;
        let patch = part(text, &mut at, "patch")?;
        let prerelease = tail(text, &mut at, b'-', "pre-release")?;
        let build = tail(text, &mut at, b'+', "build")?;
        if at < text.len() {
            return Err(fault(text, at, "unexpected character"));
        }
        Ok(Self { text: text.to_owned(), major, minor, patch, prerelease, build })
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Dot-separated identifiers after `-`; empty for a release.
    pub fn prerelease(&self) -> &str {
        &self.text[self.prerelease.0..self.prerelease.1]
    }

    /// Dot-separated identifiers after `+`; empty without.
    pub fn build(&self) -> &str {
        &self.text[self.build.0..self.build.1]
    }

    /// Bytes that order pre-releases of one (major, minor, patch) as semver does.
    ///
    /// Per identifier `01 length digits` (numbers: the longer is the larger, and under every word) or `02 ascii 00`;
    /// a final `00` puts the shorter list first; a release is `ff`, above all of its pre-releases.
    pub fn prerelease_key(&self) -> Vec<u8> {
        if self.prerelease().is_empty() {
            return vec![0xff];
        }
        let mut key = Vec::with_capacity(self.prerelease().len() + 8);
        for identifier in self.prerelease().split('.') {
            if is_number(identifier) {
                key.extend([1, identifier.len() as u8]);
                key.extend(identifier.bytes());
            } else {
                key.push(2);
                key.extend(identifier.bytes());
                key.push(0);
            }
        }
        key.push(0);
        key
    }

    fn release(&self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_release = self.release().cmp(&other.release());
        by_release.then_with(|| compare_prerelease(self.prerelease(), other.prerelease()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.release() == other.release() && self.prerelease() == other.prerelease()
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.release().hash(state);
        self.prerelease().hash(state);
    }
}

fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.split('.').map(rank).cmp(b.split('.').map(rank)),
    }
}

/// Numbers before words; numbers by value (no leading zeros, so by length and then by digits), words by ASCII.
fn rank(identifier: &str) -> (bool, usize, &str) {
    let number = is_number(identifier);
    (!number, if number { identifier.len() } else { 0 }, identifier)
}

fn is_number(identifier: &str) -> bool {
    identifier.bytes().all(|byte| byte.is_ascii_digit())
}

fn part(text: &str, at: &mut usize, name: &str) -> Result<u32> {
    let digits = text[*at..].bytes().take_while(u8::is_ascii_digit).count();
    let number = &text[*at..*at + digits];
    if digits == 0 {
        return Err(fault(text, *at, &format!("{name} must be a number")));
    }
    if digits > 1 && number.starts_with('0') {
        return Err(fault(text, *at, &format!("{name} has a leading zero")));
    }
    let value = number.parse().ok().filter(|&value: &u32| value <= PART_MAX);
    let value = value.ok_or_else(|| fault(text, *at, &format!("{name} must be at most {PART_MAX}")))?;
    *at += digits;
    Ok(value)
}

fn dot(text: &str, at: &mut usize, after: &str) -> Result<()> {
    if text.as_bytes().get(*at) != Some(&b'.') {
        return Err(fault(text, *at, &format!("expected \".\" after {after}")));
    }
    *at += 1;
    Ok(())
}

/// Identifiers behind `mark`, if it is there: their range.
fn tail(text: &str, at: &mut usize, mark: u8, name: &str) -> Result<(usize, usize)> {
    if text.as_bytes().get(*at) != Some(&mark) {
        return Ok((*at, *at));
    }
    let start = *at + 1;
    let length = text[start..].bytes().take_while(|&byte| byte == b'.' || is_identifier(byte)).count();
    let mut place = start;
    for identifier in text[start..start + length].split('.') {
        if identifier.is_empty() {
            return Err(fault(text, place, &format!("{name} has an empty identifier")));
        }
        if mark == b'-' && identifier.len() > 1 && identifier.starts_with('0') && is_number(identifier) {
            return Err(fault(text, place, &format!("{name} has a number with a leading zero")));
        }
        place += identifier.len() + 1;
    }
    *at = start + length;
    Ok((start, start + length))
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn fault(text: &str, at: usize, what: &str) -> Error {
    const SHOWN_CHARACTERS: usize = 40;
    let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    let column = text[..at].chars().count() + 1;
    let message = format!("version {shown:?} is not semver (MAJOR.MINOR.PATCH[-pre][+build]): {what}");
    Error::invalid(message).at(Place::Name(format!("column {column}")))
}

#[cfg(test)]
#[path = "semver_tests.rs"]
mod tests;
