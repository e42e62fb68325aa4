//! How models would do on this machine: whether they fit, and how long they took so far.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::ModelCard;
use crate::domain::Outlook;
use crate::domain::Speed;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::model_host::ModelChoice;
use crate::jobs::model_host::device_choice;
use crate::jobs::workers::WorkerOptions;
use crate::ml::vlm::ModelFiles;

/// Speeds by the hash of a model.
type Speeds = BTreeMap<String, Vec<Speed>>;

fn note(home: &Home) -> PathBuf {
    home.folder().join("speeds.json")
}

/// What was measured so far; nothing where the note cannot be read, since it can be measured again.
fn speeds(home: &Home) -> Speeds {
    let read = || serde_json::from_slice(&fs::read(note(home)).ok()?).ok();
    read().unwrap_or_default()
}

/// Keeps how long descriptions of a model took, in place of what was known of it in the same form on the same device.
pub(super) fn keep_speed(home: &Home, card: &ModelCard, count: u64, taken: Duration) {
    let (Some(place), true) = (&card.loaded_on, count > 0) else {
        return;
    };
    let mut all = speeds(home);
    let own = all.entry(card.tag.sha256.clone()).or_default();
    own.retain(|speed| speed.place != *place);
    own.push(Speed {
        place: place.clone(),
        seconds: taken.as_secs_f64() / count as f64,
        count,
    });
    own.sort_by(|a, b| a.place.cmp(&b.place));
    let path = note(home);
    let beside = path.with_extension("part");
    // A figure that is lost is measured again by the next job.
    if let Ok(text) = serde_json::to_vec_pretty(&all)
        && fs::create_dir_all(home.folder()).is_ok()
        && fs::write(&beside, text).is_ok()
    {
        fs::rename(beside, path).ok();
    }
}

/// The outlook of every model, by its hash. The memory of the one that is loaded counts as free for all: it goes before
/// another one comes.
pub(super) fn outlooks(
    options: &WorkerOptions,
    cards: &[ModelCard],
    loaded: Option<&ModelCard>,
) -> BTreeMap<String, Outlook> {
    let freed = loaded.map_or(0, |card| card.memory_bytes);
    let all = speeds(&options.home);
    let outlook = |card: &ModelCard| {
        let files = match &card.folder {
            None => ModelFiles::Embedded,
            Some(folder) => ModelFiles::Folder(PathBuf::from(folder)),
        };
        let fit = device_choice(&options.device)
            .map_err(|error| error.to_string())
            .and_then(|device| {
                let adapter = options.adapter.as_deref();
                let fit = files.fit(device, adapter, freed);
                fit.map_err(|error| error.to_string())
            });
        let speeds = all.get(&card.tag.sha256).cloned().unwrap_or_default();
        (card.tag.sha256.clone(), Outlook { fit, speeds })
    };
    cards.iter().map(outlook).collect()
}

/// The outlook of the model in use.
pub(super) fn of_choice(
    options: &WorkerOptions,
    choice: &ModelChoice,
) -> Result<Outlook, JobError> {
    let card = choice.card()?;
    let fit = choice.fit(device_choice(&options.device)?, 0)?;
    let speeds = speeds(&options.home).remove(&card.tag.sha256);
    Ok(Outlook {
        fit: Ok(fit),
        speeds: speeds.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::model_host::embedded_card;

    #[test]
    fn the_last_measure_of_a_place_counts() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().to_path_buf());
        let mut card = embedded_card().unwrap();
        keep_speed(&home, &card, 3, Duration::from_secs(6));
        assert!(speeds(&home).is_empty(), "it was loaded nowhere");
        for (place, count, seconds) in [("CPU, f32", 3, 6), ("CPU, q4_k", 2, 2), ("CPU, f32", 4, 4)]
        {
            card.loaded_on = Some(place.to_owned());
            keep_speed(&home, &card, count, Duration::from_secs(seconds));
        }
        let speeds = &speeds(&home)[&card.tag.sha256];
        let told: Vec<_> = speeds
            .iter()
            .map(|s| (s.place.as_str(), s.seconds, s.count))
            .collect();
        assert_eq!(told, [("CPU, f32", 1.0, 4), ("CPU, q4_k", 1.0, 2)]);
        fs::write(note(&home), "nonsense").unwrap();
        keep_speed(&home, &card, 1, Duration::from_secs(9));
        assert!(fs::read_to_string(note(&home)).unwrap().contains("9.0"));
    }
}
