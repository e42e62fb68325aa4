//! The folders of fine-tuning runs: `tunings/NAME/run.json` says how far a run is, and its checkpoint lies beside it.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::domain::TuneId;
use crate::domain::TuneRun;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::shelf::write_whole;

/// How far a run is.
const RECORD: &str = "run.json";

/// Folder of a run.
pub(super) fn folder(home: &Home, id: &TuneId) -> PathBuf {
    home.tunings_folder().join(&id.0)
}

/// Every run whose record can be read, newest first.
pub(in crate::jobs) fn list(home: &Home) -> Vec<TuneRun> {
    let entries = fs::read_dir(home.tunings_folder()).into_iter().flatten();
    let mut runs: Vec<TuneRun> = entries
        .filter_map(|entry| read(&entry.ok()?.path()).ok())
        .collect();
    runs.sort_by(|a, b| b.unix_time.cmp(&a.unix_time).then_with(|| a.id.cmp(&b.id)));
    runs
}

/// One run.
pub(super) fn find(home: &Home, id: &TuneId) -> Result<TuneRun, JobError> {
    let place = folder(home, id);
    read(&place).map_err(|source| JobError::File {
        action: "read the fine-tuning (list them with assay tune --list)",
        source,
        path: place.join(RECORD),
    })
}

/// Saves how far a run is.
pub(super) fn save(home: &Home, run: &TuneRun) -> Result<(), JobError> {
    let place = folder(home, &run.id);
    let path = place.join(RECORD);
    let text = serde_json::to_vec_pretty(run).map_err(io::Error::other);
    let written = fs::create_dir_all(&place)
        .and(text)
        .and_then(|text| write_whole(&path, &text));
    written.map_err(|source| JobError::File {
        action: "save the fine-tuning",
        source,
        path,
    })
}

/// Takes a run's folder away; the adapter that came out of it stays among the models.
pub(in crate::jobs) fn forget(home: &Home, id: &TuneId) -> Result<(), JobError> {
    find(home, id)?;
    let place = folder(home, id);
    fs::remove_dir_all(&place).map_err(|source| JobError::File {
        action: "take the fine-tuning away",
        source,
        path: place,
    })
}

fn read(folder: &Path) -> io::Result<TuneRun> {
    let bytes = fs::read(folder.join(RECORD))?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Aspect;
    use crate::domain::ModelTag;
    use crate::domain::RunStatus;
    use crate::domain::TunePreset;
    use crate::domain::TuneSettings;

    fn run(name: &str, unix_time: i64) -> TuneRun {
        TuneRun {
            id: TuneId(name.to_owned()),
            settings: TuneSettings::new(name, TunePreset::Light, vec![Aspect::Quality]),
            base: ModelTag {
                name: "mini".to_owned(),
                sha256: String::new(),
            },
            project: String::new(),
            wording: String::new(),
            num_conversations: [9, 1],
            num_trained: 3,
            status: RunStatus::Running,
            steps_done: 0,
            steps: 10,
            epochs: Vec::new(),
            best_epoch: None,
            adapter: None,
            estimated: None,
            measured_bytes: None,
            seconds: 0.0,
            unix_time,
        }
    }

    #[test]
    fn runs_are_listed_newest_first_until_they_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().to_path_buf());
        assert!(list(&home).is_empty());
        save(&home, &run("a", 1)).unwrap();
        save(&home, &run("b", 2)).unwrap();
        let names =
            |home: &Home| -> Vec<String> { list(home).into_iter().map(|run| run.id.0).collect() };
        assert_eq!(names(&home), ["b", "a"]);
        assert!(list(&home).iter().all(TuneRun::can_resume));
        forget(&home, &TuneId("b".to_owned())).unwrap();
        assert_eq!(names(&home), ["a"]);
        assert!(forget(&home, &TuneId("b".to_owned())).is_err());
    }
}
