//! JSON arrays, JSON lines and values one after the other, read entry by entry, so that a file that was cut off or
//! damaged in one place still gives what is whole.

use serde_json::Value;

/// An entry, or why there is none.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// Counted from 1.
    pub(super) number: u64,
    /// Line on which it begins, counted from 1.
    pub(super) line: u64,
    /// The entry, or what is wrong and what to do.
    pub(super) value: Result<Value, String>,
}

/// Every entry of a text. Nothing after a place that cannot be understood is guessed at, except in JSON lines,
/// where the next line is a fresh start.
pub(super) fn entries(text: &str) -> Vec<Entry> {
    let mut walk = Walk {
        text,
        at: 0,
        number: 0,
        counted: 0,
        line: 1,
    };
    walk.skip(&[]);
    if text[walk.at..].starts_with('[') {
        walk.at += 1;
        walk.array()
    } else {
        walk.lines()
    }
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
    number: u64,
    /// Bytes whose line ends are in `line`.
    counted: usize,
    line: u64,
}

impl Walk<'_> {
    fn array(mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            self.skip(b",");
            if self.rest().starts_with(']') {
                return entries;
            }
            let entry = self.next();
            let is_broken = entry.value.is_err();
            entries.push(entry);
            if is_broken {
                return entries;
            }
        }
    }

    fn lines(mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            self.skip(b",");
            if self.rest().is_empty() {
                return entries;
            }
            let entry = self.next();
            if entry.value.is_err() {
                let line_end = self.rest().find('\n').unwrap_or(self.rest().len());
                self.at += line_end;
            }
            entries.push(entry);
        }
    }

    /// Reads one value; leaves the position behind it, or where it was if there is none.
    fn next(&mut self) -> Entry {
        self.number += 1;
        let line = self.line();
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) if !error.is_eof() => Err(format!(
                "entry {} is no valid JSON on line {} ({}); correct it there, the entries before it came in",
                self.number,
                line + (error.line() as u64).saturating_sub(1),
                brief(&error)
            )),
            Some(Err(_)) | None => Err(format!(
                "the file is cut off in entry {}; the entries before it came in, get a whole copy for the rest",
                self.number
            )),
        };
        Entry {
            number: self.number,
            line,
            value,
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The line of the position, counted on from the last time: files have a hundred thousand lines.
    fn line(&mut self) -> u64 {
        let passed = &self.text[self.counted..self.at];
        self.line += passed.matches('\n').count() as u64;
        self.counted = self.at;
        self.line
    }

    fn skip(&mut self, marks: &[u8]) {
        self.at += self
            .rest()
            .bytes()
            .take_while(|byte| byte.is_ascii_whitespace() || marks.contains(byte))
            .count();
    }
}

/// The parser's words without its own line and column, which count from the entry.
fn brief(error: &serde_json::Error) -> String {
    let words = error.to_string();
    words.split(" at line ").next().unwrap_or(&words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> usize {
        let entries = entries(text);
        entries.iter().filter(|entry| entry.value.is_ok()).count()
    }

    #[test]
    fn arrays_lines_and_single_values_are_read() {
        assert_eq!(good("[{\"a\": 1}, {\"a\": 2}]"), 2);
        assert_eq!(good("{\"a\": 1}\n{\"a\": 2}\n"), 2);
        assert_eq!(good("{\n\"a\": 1\n}"), 1);
        assert_eq!(good("[]") + good(""), 0);
    }

    #[test]
    fn what_stands_before_a_cut_is_kept_and_the_place_named() {
        let entries = entries("[\n{\"a\": 1},\n{\"a\": 2},\n{\"a");
        assert_eq!(entries.len(), 3);
        let error = entries[2].value.as_ref().unwrap_err();
        assert!(error.contains("cut off in entry 3"), "{error}");
        assert_eq!(entries[2].line, 4);
    }

    #[test]
    fn a_missing_closing_bracket_is_a_cut() {
        assert!(entries("[{\"a\": 1}")[1].value.is_err());
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        assert_eq!(good("{\"a\": 1}\n{\"a\" 2}\n{\"a\": 3}\n"), 2);
        let entries = entries("{\"a\": 1}\n{\"a\" 2}\n");
        let error = entries[1].value.as_ref().unwrap_err();
        assert!(
            error.contains("entry 2") && error.contains("line 2"),
            "{error}"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_walk_panic_or_hang(text in "[\\[\\]{},:\"a1\n \\PC]{0,80}") {
            entries(&text);
        }
    }
}
