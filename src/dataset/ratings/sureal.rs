//! JSON of Netflix's sureal: `dis_videos` with `os`, a score (or several) a rater.

use serde_json::Value;

use super::Bare;
use super::Reading;
use crate::dataset::error::DatasetError;
use crate::domain::Aspect;
use crate::domain::Shown;
use crate::domain::Vote;
use crate::domain::VoteValue;

pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), DatasetError> {
    let document: Value = serde_json::from_str(reading.text).map_err(|error| {
        reading.fault(format!(
            "this is no JSON: {error}; correct it, or export the file again"
        ))
    })?;
    if reading.target.aspect.is_none()
        && let Some(word) = document["aspect"].as_str()
    {
        let aspect = word.parse().map_err(|what| reading.fault(what))?;
        reading.target.aspect = Some(aspect);
    }
    let aspect = reading.aspect()?;
    let Some(assets) = document["dis_videos"].as_array() else {
        return Err(
            reading.fault("sureal JSON has a list \"dis_videos\", and here is none".to_owned())
        );
    };
    let num_assets = assets.len();
    for (trial, (asset, entry)) in assets.iter().zip(1..).enumerate() {
        let place = Place {
            trial,
            num_assets,
            aspect,
        };
        match votes_of(reading, asset, place) {
            Ok(votes) => {
                for vote in votes {
                    reading.take(entry, vote);
                }
            }
            Err(what) => reading.take(entry, Err(what)),
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Place {
    trial: usize,
    num_assets: usize,
    aspect: Aspect,
}

/// The votes on an asset. The first score of a rater counts, further ones are repeats.
fn votes_of(
    reading: &Reading<'_>,
    asset: &Value,
    place: Place,
) -> Result<Vec<Result<Vote, String>>, String> {
    let name = asset["sha256"]
        .as_str()
        .or_else(|| asset["path"].as_str())
        .ok_or("the asset has neither \"sha256\" nor \"path\": name its picture")?;
    let picture = reading.picture(name)?;
    let mut votes = Vec::new();
    for (rater, scores) in raters(&asset["os"])? {
        let scores = match scores {
            Value::Array(scores) => scores.iter().collect(),
            score => vec![score],
        };
        for (idx, score) in scores.into_iter().enumerate() {
            if score.is_null() {
                continue;
            }
            let vote = score
                .as_f64()
                .ok_or_else(|| format!("{rater}: expected a number, got {score}"))
                .map(|score| {
                    let bare = reading.bare(&Bare {
                        rater: &rater,
                        session: 1,
                        trial: place.trial + idx * place.num_assets,
                        aspect: place.aspect,
                        shown: Shown::One(picture),
                        value: VoteValue::Score(score),
                    });
                    Vote {
                        is_repeat: idx > 0,
                        ..bare
                    }
                    .sealed()
                });
            votes.push(vote);
        }
    }
    Ok(votes)
}

/// Raters by name, or by number where the scores are a plain list.
fn raters(os: &Value) -> Result<Vec<(String, &Value)>, String> {
    match os {
        Value::Object(map) => Ok(map
            .iter()
            .map(|(rater, scores)| (rater.clone(), scores))
            .collect()),
        Value::Array(list) => {
            let num_digits = list.len().to_string().len();
            let named = list.iter().zip(1..);
            Ok(named
                .map(|(scores, number)| (format!("Rater {number:0num_digits$}"), scores))
                .collect())
        }
        _ => Err("\"os\" is missing: expected the scores by rater".to_owned()),
    }
}
