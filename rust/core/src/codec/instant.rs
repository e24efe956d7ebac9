//! Python's calendar: the proleptic Gregorian one of years 1–9999, and microseconds since 1970 in UTC.
//! The conversions are Howard Hinnant's `days_from_civil` and `civil_from_days`.

pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 0001-01-01 and 9999-12-31 as days since 1970-01-01.
pub const FIRST_DAY: i64 = -719_162;
pub const LAST_DAY: i64 = 2_932_896;

/// Year, month, day.
pub type Civil = (i32, u8, u8);

pub fn days_from_civil((year, month, day): Civil) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// None outside years 1–9999.
pub fn civil_from_days(days: i64) -> Option<Civil> {
    if !(FIRST_DAY..=LAST_DAY).contains(&days) {
        return None;
    }
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    Some((year as i32, month as u8, (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_there_and_back() {
        assert_eq!(days_from_civil((1970, 1, 1)), 0);
        assert_eq!(days_from_civil((1, 1, 1)), FIRST_DAY);
        assert_eq!(days_from_civil((9999, 12, 31)), LAST_DAY);
        assert!((FIRST_DAY..=LAST_DAY).all(|day| civil_from_days(day).map(days_from_civil) == Some(day)));
        assert_eq!(civil_from_days(LAST_DAY + 1), None);
    }
}
