//! One table, row by row: what is good comes in, what is not becomes a problem with its line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use csv::StringRecord;

use super::columns::Columns;
use super::columns::Field;
use super::columns::aspect_of;
use super::error::DatasetError;
use super::text::read_text;
use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::OpinionScale;
use crate::domain::Problem;
use crate::domain::ProblemKind;
use crate::domain::Split;
use crate::domain::Truth;

/// A row that makes sense in itself; whether its file is there is another question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TableRow {
    /// Line on which it begins.
    pub(super) line: u64,
    /// File as the table names it, `/` between parts.
    pub(super) name: String,
    pub(super) prompt: String,
    pub(super) generator: Option<String>,
    pub(super) style: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) truth: AspectMap<Option<Truth>>,
    pub(super) split: AspectMap<Option<Split>>,
}

/// A table as read.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Columns,
    pub(super) rows: Vec<TableRow>,
    pub(super) problems: Vec<Problem>,
}

/// Reads only the names of a table's columns, whatever its encoding and delimiter.
pub fn header(path: &Path) -> Result<Vec<String>, DatasetError> {
    header_of(path, &read_text(path)?.text)
}

/// Reads a CSV or TSV file. `file` is how problems name it.
pub(super) fn read_table(
    path: &Path,
    file: &str,
    mapping: &[(String, String)],
) -> Result<Table, DatasetError> {
    let content = read_text(path)?;
    let mut table = parse(path, file, &content.text, mapping)?;
    if let Some(message) = content.warning {
        table.problems.insert(
            0,
            Problem {
                kind: ProblemKind::Warning,
                file: file.to_owned(),
                line: None,
                message,
            },
        );
    }
    Ok(table)
}

/// Turns rows away whose opinion scores are not on the scale.
pub(super) fn reject_beyond(table: &mut Table, scale: OpinionScale, file: &str) {
    let problems = &mut table.problems;
    table.rows.retain(|row| {
        let beyond = row.truth.iter().find_map(|(aspect, truth)| {
            let mos = (*truth)?.mos;
            (!(scale.min..=scale.max).contains(&mos)).then_some((aspect, mos))
        });
        if let Some((aspect, mos)) = beyond {
            problems.push(rejected(
                file,
                row.line,
                format!(
                    "{}: the {aspect} MOS {mos} is not on the scale {scale}; correct it or leave it empty",
                    row.name
                ),
            ));
        }
        beyond.is_none()
    });
}

/// The scale that a table's scores seem to stand on: the smallest usual one that holds them, a few slips apart, so
/// that a misplaced decimal point is turned away instead of stretching the scale.
pub(super) fn guess_scale(rows: &[TableRow]) -> OpinionScale {
    let scores: Vec<f64> = rows
        .iter()
        .flat_map(|row| Aspect::ALL.map(|aspect| row.truth.get(aspect).map(|truth| truth.mos)))
        .flatten()
        .collect();
    if scores.is_empty() {
        return OpinionScale::ZERO_TO_FIVE;
    }
    [1.0, 5.0, 10.0, 100.0]
        .into_iter()
        .find(|max| seems_to_hold(*max, &scores))
        .map_or_else(|| around(&scores), |max| OpinionScale { min: 0.0, max })
}

/// A score slightly above the scale speaks for a larger scale unless it is one in a hundred; far-off ones are slips
/// as long as they are few. Nothing is forgiven on 0-1: too many small tables hold several ones and a five.
fn seems_to_hold(max: f64, scores: &[f64]) -> bool {
    let count =
        |is_odd: &dyn Fn(f64) -> bool| scores.iter().filter(|score| is_odd(**score)).count();
    let num_near = count(&|score| score > max && score <= 2.0 * max);
    let num_far = count(&|score| score < 0.0 || score > 2.0 * max);
    if max <= 1.0 || scores.len() < 4 {
        return num_near + num_far == 0;
    }
    num_near <= scores.len() / 100 && num_far <= (scores.len() / 10).max(1)
}

/// The whole numbers around scores of no usual scale, such as z-scores.
fn around(scores: &[f64]) -> OpinionScale {
    let min = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    OpinionScale {
        min: min.floor(),
        max: max.floor() + 1.0,
    }
}

/// A row that did not come in.
pub(super) fn rejected(file: &str, line: u64, message: String) -> Problem {
    Problem {
        kind: ProblemKind::Rejected,
        file: file.to_owned(),
        line: Some(line),
        message,
    }
}

fn header_of(path: &Path, text: &str) -> Result<Vec<String>, DatasetError> {
    let empty = || DatasetError::EmptyTable {
        path: path.to_owned(),
    };
    let mut reader = reader(text);
    let names = reader.headers().map_err(|_not_text| empty())?;
    if names.iter().all(|name| name.trim().is_empty()) {
        return Err(empty());
    }
    Ok(names.iter().map(|name| name.trim().to_owned()).collect())
}

/// A reader that tells the delimiter by the first line.
pub(super) fn reader(text: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes())
}

/// Tab, semicolon or comma: whichever the first line has most of. A comma between digits counts as a decimal one where
/// there is one of the others.
fn delimiter(text: &str) -> u8 {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let has_others = first.contains([';', '\t']);
    let is_digit = |at: usize| first.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let is_decimal = |at: usize| has_others && at > 0 && is_digit(at - 1) && is_digit(at + 1);
    let parts = |(at, mark): &(usize, &str)| *mark != "," || !is_decimal(*at);
    let count = |mark: char| first.match_indices(mark).filter(parts).count();
    [(b',', ','), (b'\t', '\t'), (b';', ';')]
        .into_iter()
        .rev()
        .max_by_key(|(_, mark)| count(*mark))
        .map_or(b',', |(byte, _)| byte)
}

/// Whether numbers may be written with a comma: where columns are parted by something else that spreadsheets put there
/// for that reason.
pub(super) fn has_decimal_comma(text: &str) -> bool {
    delimiter(text) == b';'
}

fn parse(
    path: &Path,
    file: &str,
    text: &str,
    mapping: &[(String, String)],
) -> Result<Table, DatasetError> {
    let mut columns = Columns::resolve(header_of(path, text)?, mapping, path)?;
    columns.has_decimal_comma = has_decimal_comma(text);
    let mut table = Table {
        columns,
        rows: Vec::new(),
        problems: Vec::new(),
    };
    let mut seen = HashMap::new();
    let mut lines = LineCounter::new(text);
    let mut reader = reader(text);
    // Taken now, or the first row would seem to begin on the header's line.
    if reader.headers().is_err() {
        return Ok(table);
    }
    let mut record = StringRecord::new();
    loop {
        let start = reader.position().byte() as usize;
        match reader.read_record(&mut record) {
            Ok(true) => {
                let line = lines.line_of_record(start);
                if let Err(message) = take_record(&mut table, &mut seen, &record, line) {
                    table.problems.push(rejected(file, line, message));
                }
            }
            Ok(false) => break,
            // Cannot happen for text in memory; if it does, what was read so far still counts.
            Err(error) => {
                let line = lines.line_of_record(start);
                table
                    .problems
                    .push(rejected(file, line, format!("{error}; correct this line")));
                break;
            }
        }
    }
    Ok(table)
}

/// Parses a record and adds it, or says why not. In a table of one row an image and aspect, the second aspect of an
/// image is added to the row of the first.
fn take_record(
    table: &mut Table,
    seen: &mut HashMap<String, usize>,
    record: &StringRecord,
    line: u64,
) -> Result<(), String> {
    let row = parse_record(&table.columns, record, line)?;
    let Some(first) = seen.get(&row.name).copied() else {
        seen.insert(row.name.clone(), table.rows.len());
        table.rows.push(row);
        return Ok(());
    };
    let earlier = &mut table.rows[first];
    let is_new = Aspect::ALL
        .into_iter()
        .all(|aspect| row.truth.get(aspect).is_none() || earlier.truth.get(aspect).is_none());
    if !table.columns.has(Field::AspectName) || !is_new {
        return Err(format!(
            "{} is named twice, first on line {}; this row did not come in, keep one of the two",
            row.name, earlier.line
        ));
    }
    for aspect in Aspect::ALL {
        if let Some(truth) = row.truth.get(aspect) {
            *earlier.truth.get_mut(aspect) = Some(*truth);
        }
        if let Some(split) = row.split.get(aspect) {
            *earlier.split.get_mut(aspect) = Some(*split);
        }
    }
    Ok(())
}

/// Numbers of one aspect while the row is read.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    mos: Option<f64>,
    std: Option<f64>,
    num_ratings: Option<u32>,
}

fn parse_record(columns: &Columns, record: &StringRecord, line: u64) -> Result<TableRow, String> {
    if record.len() != columns.names.len() {
        return Err(format!(
            "{} fields, but line 1 names {} columns; check for a missing comma or an open quote",
            record.len(),
            columns.names.len()
        ));
    }
    let mut row = TableRow {
        line,
        name: String::new(),
        prompt: String::new(),
        generator: None,
        style: None,
        tags: Vec::new(),
        truth: AspectMap::default(),
        split: AspectMap::default(),
    };
    let own = own_aspect(columns, record)?;
    let mut numbers: AspectMap<Numbers> = AspectMap::default();
    let cells = columns.fields.iter().zip(&columns.names).zip(record);
    for ((field, name), value) in cells {
        let value = value.trim();
        if !value.is_empty() {
            let value = with_point(columns, *field, value);
            take_cell(&mut row, &mut numbers, own, (*field, name), &value)?;
        }
    }
    if row.name.is_empty() {
        return Err("the row names no picture file; fill it in or delete the row".to_owned());
    }
    row.truth = AspectMap::from_fn(|aspect| {
        let numbers = numbers.get(aspect);
        numbers.mos.map(|mos| Truth {
            mos,
            std: numbers.std,
            num_ratings: numbers.num_ratings,
        })
    });
    Ok(row)
}

/// The aspect that the row is about, in tables that say so.
fn own_aspect(columns: &Columns, record: &StringRecord) -> Result<Option<Aspect>, String> {
    let column = columns
        .fields
        .iter()
        .position(|field| *field == Field::AspectName);
    let Some(word) = column.and_then(|column| record.get(column)) else {
        return Ok(None);
    };
    let word = word.trim().to_lowercase();
    if word.is_empty() {
        return Ok(None);
    }
    aspect_of(&word).map(Some).ok_or_else(|| {
        format!("aspect is {word:?}, expected quality, correspondence or authenticity")
    })
}

fn take_cell(
    row: &mut TableRow,
    numbers: &mut AspectMap<Numbers>,
    own: Option<Aspect>,
    (field, column): (Field, &str),
    value: &str,
) -> Result<(), String> {
    let of = |aspect: Option<Aspect>| aspect.or(own).unwrap_or(Aspect::Quality);
    match field {
        Field::Path => row.name = plain_path(value),
        Field::Prompt => value.clone_into(&mut row.prompt),
        Field::Generator => row.generator = Some(value.to_owned()),
        Field::Style => row.style = Some(value.to_owned()),
        Field::Tags => {
            let tags = value
                .split(';')
                .map(str::trim)
                .filter(|tag| !tag.is_empty());
            row.tags.extend(tags.map(str::to_owned));
        }
        Field::Adjective => row.tags.push(value.to_owned()),
        Field::Mos(aspect) => numbers.get_mut(of(aspect)).mos = Some(number(column, value)?),
        Field::Std(aspect) => {
            let std = number(column, value)?;
            if std < 0.0 {
                return Err(format!(
                    "{column} is {value}, but a deviation is never negative"
                ));
            }
            numbers.get_mut(of(aspect)).std = Some(std);
        }
        Field::NumRatings(aspect) => {
            let count: u32 = value.parse().map_err(|_not_a_count| {
                format!(
                    "{column} is {value:?}, expected a whole number; correct it or leave it empty"
                )
            })?;
            for aspect in one_or_all(aspect.or(own)) {
                numbers.get_mut(*aspect).num_ratings = Some(count);
            }
        }
        Field::Split(aspect) => {
            let split: Split = value
                .parse()
                .map_err(|expected| format!("{column}: {expected}"))?;
            for aspect in one_or_all(aspect.or(own)) {
                *row.split.get_mut(*aspect) = Some(split);
            }
        }
        Field::AspectName | Field::Other => {}
    }
    Ok(())
}

/// A path with forward slashes and without a leading `./`.
fn plain_path(value: &str) -> String {
    let path = value.replace('\\', "/");
    path.trim_start_matches("./").to_owned()
}

const fn one_or_all(aspect: Option<Aspect>) -> &'static [Aspect] {
    match aspect {
        Some(Aspect::Quality) => &[Aspect::Quality],
        Some(Aspect::Correspondence) => &[Aspect::Correspondence],
        Some(Aspect::Authenticity) => &[Aspect::Authenticity],
        None => &Aspect::ALL,
    }
}

/// A score with its decimal comma as a point. A spreadsheet parts columns by semicolons where its country writes numbers
/// with a comma; in other tables a comma in a number is a slip that is told.
fn with_point<'a>(columns: &Columns, field: Field, value: &'a str) -> Cow<'a, str> {
    if columns.has_decimal_comma && matches!(field, Field::Mos(_) | Field::Std(_)) {
        let pointed = value.replacen(',', ".", 1);
        if pointed.parse::<f64>().is_ok() {
            return Cow::Owned(pointed);
        }
    }
    Cow::Borrowed(value)
}

fn number(column: &str, value: &str) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) | Err(_) => {
            let hint = if value.contains(',') {
                "write decimals with a point"
            } else {
                "correct it, or leave it empty where there is no score"
            };
            Err(format!("{column} is {value:?}, expected a number; {hint}"))
        }
    }
}

/// Line numbers of records. The reader's own count stops before empty lines, so lines are counted here.
pub(super) struct LineCounter<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> LineCounter<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            line: 1,
        }
    }

    /// The line of the first record that starts at or after byte `start`; starts only grow.
    pub(super) fn line_of_record(&mut self, start: usize) -> u64 {
        let blank = self.text[start.min(self.text.len())..]
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let begin = (start + blank).min(self.text.len());
        let passed = &self.text[self.at.min(begin)..begin];
        self.line += passed.split(|byte| *byte == b'\n').count() as u64 - 1;
        self.at = begin;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        parse(Path::new("t.csv"), "t.csv", text, &[]).expect("a table with a path column")
    }

    fn messages(table: &Table) -> Vec<(u64, &str)> {
        let line = |problem: &Problem| problem.line.unwrap_or_default();
        table
            .problems
            .iter()
            .map(|problem| (line(problem), problem.message.as_str()))
            .collect()
    }

    #[test]
    fn good_rows_come_in_beside_bad_ones_and_lines_are_right() {
        let text = "name,prompt,mos_quality\r\na.jpg,\"two\r\nlines\",1.5\r\n\r\nb.jpg,x,abc\r\nc.jpg,x\r\nd.jpg,x,2\r\na.jpg,x,3\r\n,x,3\r\n";
        let table = table(text);
        let names: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["a.jpg", "d.jpg"]);
        let found = messages(&table);
        assert_eq!(
            found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [5, 6, 8, 9]
        );
        assert!(found[0].1.contains("\"abc\""));
        assert!(found[1].1.contains("2 fields"));
        assert!(found[2].1.contains("first on line 2"));
        assert!(found[3].1.contains("no picture file"));
    }

    #[test]
    fn tabs_and_semicolons_separate_too() {
        assert_eq!(table("name\tmos\na.png\t3,5\n").rows.len(), 0);
        assert_eq!(table("name\tmos\na.png\t3.5\n").rows.len(), 1);
        assert_eq!(
            table("name;prompt;mos\na.png;x, y;3.5\n").rows[0].prompt,
            "x, y"
        );
    }

    #[test]
    fn where_semicolons_separate_a_comma_may_be_the_decimal_sign() {
        let table = table("name;prompt;mos\na.png;x, y;3,5\nb.png;x;4.5\nc.png;x;1.234,5\n");
        let scores = table.rows.iter().map(|row| row.truth.get(Aspect::Quality));
        let scores: Vec<_> = scores.map(|truth| truth.map(|truth| truth.mos)).collect();
        assert_eq!(scores, [Some(3.5), Some(4.5)]);
        assert_eq!(table.rows[0].prompt, "x, y");
        assert!(messages(&table)[0].1.contains("\"1.234,5\""));
    }

    #[test]
    fn a_header_is_read_in_any_encoding_and_with_any_delimiter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let utf16: Vec<u8> = "\u{feff}picture;words\r\na.png;x\r\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        std::fs::write(&path, utf16).unwrap();
        assert_eq!(header(&path).unwrap(), ["picture", "words"]);
        std::fs::write(&path, "\"picture, as shown\",words\na.png,x\n").unwrap();
        assert_eq!(header(&path).unwrap(), ["picture, as shown", "words"]);
    }

    #[test]
    fn not_a_number_and_infinity_are_no_scores() {
        assert_eq!(table("name,mos\na,NaN\nb,inf\nc,\n").rows.len(), 1);
    }

    #[test]
    fn rows_of_several_aspects_are_put_together() {
        let table = table(
            "image_path,aspect,mos,split\na,quality,3,train\na,align,4,test\na,align,4,test\n",
        );
        assert_eq!(table.rows.len(), 1);
        let row = &table.rows[0];
        assert_eq!(
            row.truth.get(Aspect::Correspondence).map(|truth| truth.mos),
            Some(4.0)
        );
        assert_eq!(*row.split.get(Aspect::Quality), Some(Split::Train));
        assert_eq!(*row.split.get(Aspect::Correspondence), Some(Split::Test));
        assert_eq!(table.problems.len(), 1);
    }

    #[test]
    fn scores_beyond_the_scale_are_turned_away() {
        use std::fmt::Write as _;
        let mut text = String::from("name,mos\n");
        for number in 0..20 {
            writeln!(text, "{number}.png,3.5").unwrap();
        }
        text.push_str("slipped.png,35\n");
        let mut table = table(&text);
        let scale = guess_scale(&table.rows);
        assert_eq!(scale, OpinionScale::ZERO_TO_FIVE);
        reject_beyond(&mut table, scale, "t.csv");
        assert_eq!(table.rows.len(), 20);
        assert_eq!(table.problems[0].line, Some(22));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let text = format!("name,prompt,mos_quality,split\n{}", super::super::text::decode(bytes).text);
            let read = parse(Path::new("t.csv"), "t.csv", &text, &[]);
            proptest::prop_assert!(read.is_ok());
        }
    }
}
