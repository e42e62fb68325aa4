//! Figures as text: what rounds to nothing has no sign.

/// A number with its decimals; no minus stands before a zero.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if is_zero(rest) => rest.to_owned(),
        _ => text,
    }
}

/// A difference with its sign and its decimals; one that rounds to nothing has none.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = format!("{value:+.decimals$}");
    match text.strip_prefix(['+', '-']) {
        Some(rest) if is_zero(rest) => rest.to_owned(),
        _ => text,
    }
}

fn is_zero(digits: &str) -> bool {
    digits.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_nothing_is_nothing() {
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(-0.01, 2), "-0.01");
        assert_eq!(fixed(-0.4, 0), "0");
    }

    #[test]
    fn a_difference_of_nothing_leans_neither_way() {
        assert_eq!(signed(-0.001, 2), "0.00");
        assert_eq!(signed(0.001, 2), "0.00");
        assert_eq!(signed(-0.006, 2), "-0.01");
        assert_eq!(signed(0.25, 1), "+0.2");
        assert_eq!(signed(f64::NAN, 2), "NaN");
    }
}
