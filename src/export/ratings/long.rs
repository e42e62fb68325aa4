//! One row a vote, with every field of the record, those taken back and what took them back included.

use std::io::Write;

use super::StudyRecord;
use crate::domain::Aspect;
use crate::domain::Shown;
use crate::domain::Vote;
use crate::domain::VoteValue;
use crate::export::write::ExportError;
use crate::export::write::csv_fault;

/// Columns in order. `path`, `path_right`, `prompt` and `scale` are for people; the rest is the record.
pub const COLUMNS: [&str; 26] = [
    "token",
    "study",
    "protocol",
    "rater",
    "session",
    "trial",
    "aspect",
    "method",
    "scale",
    "image",
    "image_right",
    "path",
    "path_right",
    "prompt",
    "value",
    "is_training",
    "is_repeat",
    "shown_at",
    "voted_at",
    "reaction_ms",
    "zoom_max",
    "screen_width_px",
    "screen_height_px",
    "dpi_scale",
    "app_version",
    "undo_of",
];

pub(super) fn write(
    record: &StudyRecord<'_>,
    aspect: Option<Aspect>,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(sink);
    writer.write_record(COLUMNS).map_err(csv_fault)?;
    let mut num_rows = 0;
    for vote in &record.votes {
        if aspect.is_none_or(|aspect| aspect == vote.aspect) {
            writer.write_record(row(record, vote)).map_err(csv_fault)?;
            num_rows += 1;
        }
    }
    writer.flush()?;
    Ok(num_rows)
}

/// The fields in the order of [`COLUMNS`]. Numbers in the shortest form that reads back as the same.
fn row(record: &StudyRecord<'_>, vote: &Vote) -> [String; 26] {
    let (image, right) = match vote.shown {
        Shown::One(hash) => (hash, None),
        Shown::Pair { left, right } => (left, Some(right)),
    };
    [
        vote.token.to_string(),
        vote.study.0.to_string(),
        vote.protocol.to_string(),
        vote.rater.clone(),
        vote.session.to_string(),
        vote.trial.to_string(),
        vote.aspect.to_string(),
        vote.method.to_string(),
        vote.method.scale().to_string(),
        image.to_string(),
        right.map(|hash| hash.to_string()).unwrap_or_default(),
        record.path(image),
        right.map(|hash| record.path(hash)).unwrap_or_default(),
        record.prompt(image).to_owned(),
        value_word(vote.value),
        vote.is_training.to_string(),
        vote.is_repeat.to_string(),
        vote.shown_at.to_string(),
        vote.voted_at.to_string(),
        vote.reaction_ms.to_string(),
        vote.zoom_max.to_string(),
        vote.screen_px[0].to_string(),
        vote.screen_px[1].to_string(),
        vote.dpi_scale.to_string(),
        vote.app_version.clone(),
        vote.undo_of
            .map(|token| token.to_string())
            .unwrap_or_default(),
    ]
}

fn value_word(value: VoteValue) -> String {
    match value {
        VoteValue::Score(score) => score.to_string(),
        VoteValue::Pair(choice) => choice.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn every_record_is_a_row_also_one_taken_back() {
        let mut world = World::scores();
        let taken_back = world.votes[0].taken_back(1_800_000_000_000);
        world.votes.push(taken_back);
        let mut bytes = Vec::new();
        let num = write(&world.record(), None, &mut bytes).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((num, rows.len()), (world.votes.len(), world.votes.len()));
        let last = rows.last().unwrap();
        assert_eq!(last[25], world.votes[0].token.to_string());
        assert_eq!(&rows[0][14], "5");
        assert_eq!(&rows[0][8], "1-5");
        assert_eq!(&rows[0][13], "a \"cat\", sitting");
    }

    #[test]
    fn a_comparison_names_both_pictures_and_the_choice() {
        let world = World::pairs();
        let mut bytes = Vec::new();
        write(&world.record(), None, &mut bytes).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!(
            (&row[11], &row[12], &row[14]),
            ("a/0.png", "a/1.png", "left")
        );
    }
}
