//! A picture's conversation inside the model, as tensors in a safetensors file: for use elsewhere, and for comparison with
//! other programs.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::Picture;
use crate::jobs::error::JobError;
use crate::jobs::feature_file::FeatureWriter;
use crate::jobs::feature_file::HIDDEN;
use crate::jobs::feature_file::Kind;
use crate::ml::vlm::GenerateSettings;
use crate::ml::vlm::LocalModel;
use crate::ml::vlm::Trace;
use crate::ml::vlm::Values;

/// Tokens that are generated for comparison.
const NEW_TOKENS: usize = 32;

/// Writes tokens, image bounds and hidden states; `also` adds everything on the way to them.
pub(super) fn write(
    trace: &Trace,
    facts: &BTreeMap<&str, String>,
    out: &Path,
    also: impl FnOnce(&mut FeatureWriter) -> Result<(), JobError>,
) -> Result<(), JobError> {
    let mut file = FeatureWriter::create(out)?;
    push_ids(&mut file, "token_ids", &trace.token_ids)?;
    let bounds = trace.image_bounds.iter().flatten();
    let bytes: Vec<u8> = bounds
        .flat_map(|bound| (*bound as i64).to_le_bytes())
        .collect();
    let shape = [trace.image_bounds.len(), 2];
    file.push("image_bounds", Kind::I64, &shape, &bytes)?;
    push(&mut file, HIDDEN, &trace.hidden)?;
    also(&mut file)?;
    file.finish(facts)
}

/// Adds what happens to the picture before the decoder, what enters and leaves it, and what the model says first:
/// greedily, and by beams as the published tool calls it.
pub(super) fn push_all(
    file: &mut FeatureWriter,
    model: &LocalModel,
    (picture, request): (&Picture, &str),
    trace: &Trace,
) -> Result<(), JobError> {
    for (index, parts) in model.parts(picture)?.into_iter().enumerate() {
        push(file, &format!("pixels.{index}"), &parts.pixels)?;
        push_ids(file, &format!("position_ids.{index}"), &parts.position_ids)?;
        push(file, &format!("vision.{index}"), &parts.vision)?;
        push(file, &format!("resampler.{index}"), &parts.resampler)?;
    }
    push(file, "embeds", &trace.embeds)?;
    if let Some(logits) = &trace.logits {
        push(file, "logits", logits)?;
    }
    let greedy = GenerateSettings {
        max_new_tokens: NEW_TOKENS,
        ..GenerateSettings::default()
    };
    let beam = GenerateSettings {
        max_new_tokens: NEW_TOKENS,
        ..GenerateSettings::published_minicpm()
    };
    for (name, settings) in [("greedy", greedy), ("beam", beam)] {
        let ids = model.speak(picture, &[request], &settings)?;
        push_ids(file, &format!("{name}.token_ids"), &ids)?;
    }
    Ok(())
}

fn push(file: &mut FeatureWriter, name: &str, values: &Values) -> Result<(), JobError> {
    let numbers = values.numbers.iter();
    let bytes: Vec<u8> = numbers.flat_map(|value| value.to_le_bytes()).collect();
    file.push(name, Kind::F32, &values.shape, &bytes)
}

fn push_ids(file: &mut FeatureWriter, name: &str, ids: &[u32]) -> Result<(), JobError> {
    let bytes: Vec<u8> = ids
        .iter()
        .flat_map(|id| i64::from(*id).to_le_bytes())
        .collect();
    file.push(name, Kind::I64, &[ids.len()], &bytes)
}
