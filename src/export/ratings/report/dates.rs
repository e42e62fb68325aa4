//! Dates for people, in UTC.

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// "2026-11-24" of milliseconds since 1970-01-01 UTC.
///
/// **Source** H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
pub(super) fn date(unix_ms: i64) -> String {
    let days = unix_ms.div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// "2026-11-24 03:45 UTC".
pub(super) fn date_and_time(unix_ms: i64) -> String {
    let minutes = unix_ms.rem_euclid(DAY_MS) / 60_000;
    format!(
        "{} {:02}:{:02} UTC",
        date(unix_ms),
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_through_leap_years() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400_000), "2000-02-29");
        assert_eq!(date(1_709_164_800_000), "2024-02-29");
        assert_eq!(date(-1), "1969-12-31");
        assert_eq!(date_and_time(1_700_000_000_000), "2023-11-14 22:13 UTC");
    }
}
