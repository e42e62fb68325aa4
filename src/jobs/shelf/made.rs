//! Adapters that were made here, on their way among the program's models.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::domain::Aspect;
use crate::domain::ModelKind;
use crate::domain::ProjectInfo;
use crate::domain::Purpose;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::home::make_parent;

use super::MANIFEST;
use super::adapter_base;
use super::files_below;
use super::manifest::Origin;
use super::manifest::with_ending;
use super::manifest::write_manifest;

/// What an adapter that was made here is. The model that it belongs to stands in its own configuration.
pub(in crate::jobs) struct MadeAdapter<'a> {
    pub(in crate::jobs) name: String,
    pub(in crate::jobs) summary: String,
    pub(in crate::jobs) aspect: Option<Aspect>,
    /// The project that it learned from; `None` where that is not open.
    pub(in crate::jobs) project: Option<&'a ProjectInfo>,
    /// Prompt preset of its conversations.
    pub(in crate::jobs) wording: String,
}

/// Moves a folder of PEFT among the program's models, whole or not at all.
pub(in crate::jobs) fn place_adapter(
    home: &Home,
    folder: &Path,
    made: MadeAdapter<'_>,
) -> Result<PathBuf, JobError> {
    let place = home.models_folder().join(&made.name);
    make_parent(&place)?;
    let origin = Origin {
        name: made.name,
        kind: ModelKind::Adapter,
        summary: made.summary,
        source: "made by fine-tuning in this program".to_owned(),
        licence: "that of its base model".to_owned(),
        purpose: Purpose {
            base: adapter_base(folder),
            aspect: made.aspect,
            dataset: made.project.map(|info| info.dataset.clone()),
            scale: made.project.map(|info| info.scale),
            note: Some(format!("works best in the wording {}", made.wording)),
        },
        ..Origin::default()
    };
    write_manifest(folder, &folder.join(MANIFEST), origin)?;
    move_folder(folder, &place).map_err(|source| JobError::File {
        action: "put the finished adapter among the models (make room there and resume the run; until then it lies here)",
        source,
        path: folder.to_path_buf(),
    })?;
    Ok(place)
}

/// Moves a folder. Where the system cannot, because the models lie on another disk, it is copied: under a name that is
/// never taken for a model, until all of it is on the disk.
fn move_folder(folder: &Path, place: &Path) -> io::Result<()> {
    let Err(error) = fs::rename(folder, place) else {
        return Ok(());
    };
    if place.exists() {
        return Err(error);
    }
    let new = with_ending(place, ".new");
    if new.exists() {
        // What is left of a copy that was cut off.
        fs::remove_dir_all(&new)?;
    }
    let copied = copy_folder(folder, &new).and_then(|()| fs::rename(&new, place));
    if let Err(error) = copied {
        fs::remove_dir_all(&new).ok();
        return Err(error);
    }
    // The adapter is in its place; what is left of the source costs room alone.
    fs::remove_dir_all(folder).ok();
    Ok(())
}

/// Copies the files of a folder, and waits until they are on the disk.
fn copy_folder(folder: &Path, new: &Path) -> io::Result<()> {
    fs::create_dir_all(new)?;
    for name in files_below(folder) {
        let target = new.join(&name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(folder.join(&name), &target)?;
        // To be written to, since Windows puts nothing else on the disk.
        File::options().append(true).open(&target)?.sync_all()?;
    }
    // Only some systems can open a folder to put its names on the disk.
    if let Ok(folder) = File::open(new) {
        folder.sync_all().ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::shelf;
    use super::*;

    /// What a fine-tuning leaves in its folder, below `tunings/mine`.
    fn adapter(home: &Home) -> PathBuf {
        let folder = home.tunings_folder().join("mine").join("best-1");
        fs::create_dir_all(&folder).unwrap();
        let config = r#"{"base_model_name_or_path": "mini"}"#;
        fs::write(folder.join("adapter_config.json"), config).unwrap();
        fs::write(folder.join("adapter_model.safetensors"), "weights").unwrap();
        folder
    }

    fn made() -> MadeAdapter<'static> {
        MadeAdapter {
            name: "mine".to_owned(),
            summary: "Tuned here".to_owned(),
            aspect: Some(Aspect::Quality),
            project: None,
            wording: "assay".to_owned(),
        }
    }

    fn assert_placed(home: &Home, folder: &Path) {
        let place = place_adapter(home, folder, made()).unwrap();
        assert_eq!(place, home.models_folder().join("mine"));
        assert!(!folder.exists(), "the source is gone");
        let weights = fs::read_to_string(place.join("adapter_model.safetensors"));
        assert_eq!(weights.unwrap(), "weights");
        let shelf = shelf(home);
        assert_eq!(shelf.here, ["mine"], "and nothing beside it");
        assert_eq!(shelf.add_ons[0].problem, None);
        assert_eq!(shelf.add_ons[0].purpose.base.as_deref(), Some("mini"));
        let entries = fs::read_dir(home.models_folder()).unwrap();
        assert_eq!(entries.count(), 1);
    }

    #[test]
    fn an_adapter_is_moved_among_the_models() {
        let world = tempfile::tempdir().unwrap();
        let home = Home::at(world.path().join("home"));
        let folder = adapter(&home);
        assert_placed(&home, &folder);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_adapter_is_copied_where_the_models_lie_on_another_disk() {
        use std::os::unix::fs::MetadataExt as _;

        let world = tempfile::tempdir().unwrap();
        let home = Home::at(world.path().join("home"));
        let folder = adapter(&home);
        let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
            println!("skipped: there is no other disk at /dev/shm");
            return;
        };
        let disk = |path: &Path| fs::metadata(path).unwrap().dev();
        if disk(other.path()) == disk(&folder) {
            println!("skipped: /dev/shm is the disk of temporary files");
            return;
        }
        std::os::unix::fs::symlink(other.path(), home.models_folder()).unwrap();
        // A copy that was cut off before is no hindrance.
        fs::create_dir(other.path().join("mine.new")).unwrap();
        fs::write(other.path().join("mine.new/half"), "").unwrap();
        assert_placed(&home, &folder);
        assert!(!other.path().join("mine/half").exists());
    }

    #[test]
    fn what_cannot_be_placed_stays_and_is_named() {
        let world = tempfile::tempdir().unwrap();
        let home = Home::at(world.path().join("home"));
        let folder = adapter(&home);
        let taken = home.models_folder().join("mine");
        fs::create_dir_all(&taken).unwrap();
        fs::write(taken.join("config.json"), "{}").unwrap();
        let refused = place_adapter(&home, &folder, made()).unwrap_err();
        let words = refused.to_string();
        assert!(words.contains(&folder.display().to_string()), "{words}");
        assert!(folder.join("adapter_model.safetensors").exists());
        assert!(taken.join("config.json").exists());
    }
}
