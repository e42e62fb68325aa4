//! How long to wait before the next try: longer each time, never in step with others, never for ever.

use std::time::Duration;

/// How often and how long a download tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries in a row without a byte coming through.
    pub max_tries: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub first_wait: Duration,
    /// The wait grows no longer than this.
    pub longest_wait: Duration,
    /// A server that asks for a longer wait than this ends the download.
    pub longest_asked: Duration,
}

impl Default for Patience {
    /// About two minutes of trying, which outlasts a router that starts again; a minute's rate limit is waited for.
    fn default() -> Self {
        Self {
            max_tries: 8,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            longest_asked: Duration::from_mins(5),
        }
    }
}

impl Patience {
    /// The wait after this many failures in a row, of which there is at least one; `chance` (0 to 1) keeps clients
    /// that failed together from coming back together. `None`: give up.
    pub fn wait(&self, failures: u32, chance: f64) -> Option<Duration> {
        if failures >= self.max_tries {
            return None;
        }
        let doublings = failures.saturating_sub(1).min(16);
        let longest = self.first_wait.saturating_mul(1 << doublings);
        let longest = longest.min(self.longest_wait);
        Some(longest.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0)))
    }

    /// The wait that a server asked for, and a little more by chance so that not all come back at once; `None`: it is
    /// too long.
    pub fn asked(&self, asked: Duration, chance: f64) -> Option<Duration> {
        let more = self.first_wait.mul_f64(chance.clamp(0.0, 1.0));
        (asked <= self.longest_asked).then(|| asked + more)
    }
}

/// A number from 0 to 1 that follows from a seed and a count: `SplitMix64`, the generator of Steele, Lea and Flood
/// (OOPSLA 2014).
pub(super) fn chance(seed: u64, count: u64) -> f64 {
    let mut mixed = seed.wrapping_add(count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// Reads `Retry-After`: seconds, or a date that is held against the answer's own `Date`, so that a wrong clock here
/// does no harm.
pub(super) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        let is_sane = seconds.is_finite() && seconds >= 0.0;
        return is_sane.then(|| Duration::from_secs_f64(seconds.min(1e9)));
    }
    let until = seconds_of_date(value)?;
    let now = seconds_of_date(date?.trim())?;
    Some(Duration::from_secs(until.saturating_sub(now)))
}

/// Seconds since 1970 of a date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn seconds_of_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<i64>);
    let mut part = || clock.next()?.ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    // Days since 1970-01-01 of the proleptic Gregorian calendar, years counted from March.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let era_days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = era_days + (month * 153 + 2) / 5 + day - 1 - 719_468;
    u64::try_from(((days * 24 + hour) * 60 + minute) * 60 + second).ok()
}

/// "in 40 s", "in 12 min", "in 3 h", "later".
pub(super) fn when_words(asked: Option<Duration>) -> String {
    let Some(asked) = asked else {
        return "later".to_owned();
    };
    let seconds = asked.as_secs();
    match seconds {
        0..=99 => format!("in {seconds} s"),
        100..=7199 => format!("in {} min", seconds.div_ceil(60)),
        _ => format!("in {} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound_and_end() {
        let patience = Patience::default();
        let wait = |failures| patience.wait(failures, 1.0);
        assert_eq!(wait(1), Some(Duration::from_millis(500)));
        assert_eq!(wait(2), Some(Duration::from_secs(1)));
        assert_eq!(wait(7), Some(Duration::from_secs(30)));
        assert_eq!(wait(8), None);
        assert_eq!(patience.wait(1, 0.0), Some(Duration::from_millis(250)));
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_or_refused() {
        let patience = Patience::default();
        assert_eq!(
            patience.asked(Duration::from_secs(7), 0.0),
            Some(Duration::from_secs(7))
        );
        assert!(patience.asked(Duration::from_secs(7), 0.9) > Some(Duration::from_secs(7)));
        assert_eq!(patience.asked(Duration::from_hours(1), 0.0), None);
    }

    #[test]
    fn chances_differ_and_stay_between_0_and_1() {
        let chances: Vec<f64> = (0..100).map(|count| chance(7, count)).collect();
        assert!(chances.iter().all(|chance| (0.0..1.0).contains(chance)));
        let mean = chances.iter().sum::<f64>() / 100.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
        assert_eq!(chance(7, 3).to_bits(), chances[3].to_bits());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("3", None), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("1.5", None), Some(Duration::from_millis(1500)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(seconds_of_date(date), Some(784_111_777));
        assert_eq!(
            seconds_of_date("Thu, 29 Feb 2024 00:00:00 GMT"),
            Some(1_709_164_800)
        );
        let until = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(
            retry_after(until, Some(date)),
            Some(Duration::from_secs(30))
        );
        assert_eq!(retry_after(date, Some(until)), Some(Duration::ZERO));
        for nonsense in ["", "-3", "soon", "NaN", "Sun, 06 Xyz 1994 08:49:37 GMT"] {
            assert_eq!(retry_after(nonsense, Some(date)), None, "{nonsense}");
        }
        assert_eq!(retry_after(until, None), None);
    }
}
