//! Counts as people read them.

/// A count with its digits in groups of three: "2,982".
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        let words: Vec<String> = [0, 999, 1_000, 2_982, 1_234_567]
            .into_iter()
            .map(grouped)
            .collect();
        assert_eq!(words, ["0", "999", "1,000", "2,982", "1,234,567"]);
    }
}
