//! JSON as Netflix's sureal loads it (`sureal.tools.misc.import_json_file`, then `RawDatasetReader`).
//!
//! A prompt is a content, a picture is an asset of it. There is no reference picture, so a content's `path` is empty.
//! `aspect`, `scale` and `sha256` are ours; sureal passes over them.

use std::collections::BTreeMap;
use std::io;
use std::io::Write;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::StudyRecord;
use crate::domain::Aspect;
use crate::domain::study::tally;
use crate::export::write::ExportError;

pub(super) fn write(
    record: &StudyRecord<'_>,
    aspect: Aspect,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    let tally = tally(record.study, &record.owned_votes(), aspect);
    let mut contents: Vec<Value> = Vec::new();
    let mut by_prompt: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pictures: Vec<Value> = Vec::new();
    for (hash, row) in tally.pictures.iter().zip(&tally.scores) {
        let scores: Map<String, Value> = tally
            .raters
            .iter()
            .zip(row)
            .filter(|(_, score)| !score.is_nan())
            .map(|(rater, score)| (rater.clone(), json!(score)))
            .collect();
        // sureal takes the mean of every asset, so one that nobody rated would poison the rest with nan.
        if scores.is_empty() {
            continue;
        }
        let prompt = record.prompt(*hash);
        let content_id = *by_prompt.entry(prompt).or_insert_with(|| {
            contents
                .push(json!({ "content_id": contents.len(), "content_name": prompt, "path": "" }));
            contents.len() - 1
        });
        pictures.push(json!({
            "content_id": content_id,
            "asset_id": pictures.len(),
            "path": record.path(*hash),
            "sha256": hash,
            "os": scores,
        }));
    }
    if pictures.is_empty() {
        return Err(ExportError::Study(format!(
            "nobody has rated {aspect} in this study yet: collect votes first"
        )));
    }
    let num_rows = pictures.len();
    let document = json!({
        "dataset_name": record.study.protocol.name,
        "aspect": aspect,
        "scale": record.study.protocol.method.scale().to_string(),
        "ref_videos": contents,
        "dis_videos": pictures,
    });
    serde_json::to_writer_pretty(&mut *sink, &document).map_err(io::Error::from)?;
    sink.write_all(b"\n")?;
    Ok(num_rows)
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn prompts_are_contents_and_pictures_are_assets() {
        let world = World::scores();
        let mut bytes = Vec::new();
        write(&world.record(), Aspect::Quality, &mut bytes).unwrap();
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["ref_videos"].as_array().unwrap().len(), 2);
        assert_eq!(json["ref_videos"][0]["content_name"], "a \"cat\", sitting");
        let last = &json["dis_videos"][3];
        assert_eq!(
            (&last["content_id"], &last["asset_id"]),
            (&json!(1), &json!(3))
        );
        assert_eq!(last["os"], json!({ "Ada": 1.0, "Bo": 2.0 }));
    }

    #[test]
    fn a_picture_that_nobody_rated_is_left_out() {
        let mut world = World::scores();
        let hash = world.study.protocol.pictures[1].hash;
        world
            .votes
            .retain(|vote| !vote.shown.pictures().contains(&hash));
        let mut bytes = Vec::new();
        assert_eq!(
            write(&world.record(), Aspect::Quality, &mut bytes).unwrap(),
            3
        );
    }
}
