//! What the window remembers from one start to the next. Losing it costs nothing, so its errors are not shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;

use crate::domain::TeacherSettings;

/// Name of the file in the program's data folder.
const FILE: &str = "window.json";

/// Recent projects kept.
const KEPT_RECENT: usize = 8;

/// A project opened before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent {
    /// Path of the project file.
    pub(super) path: String,
    /// Name of the dataset in it.
    pub(super) title: String,
    /// Its pictures when it was open last; 0 where that is not known.
    #[serde(default)]
    pub(super) num_images: usize,
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    /// Width and height in points.
    pub(super) size: [f32; 2],
    /// Whether the theme is the light one.
    pub(super) is_light: bool,
    /// Side of a gallery cell in points.
    pub(super) cell_size: f32,
    /// Whether the panel on the right is shown.
    pub(super) is_panel_open: bool,
    /// Whether new things stand there at once instead of fading in.
    pub(super) is_motion_reduced: bool,
    /// Keys that the user changed: names of actions with their keys, empty where they have none.
    pub(super) keys: BTreeMap<String, String>,
    /// Who rates with the number keys.
    pub(super) rater: String,
    /// Who teaches, and how. Keys are no part of it.
    pub(super) teacher: TeacherSettings,
    /// Newest first.
    pub(super) recent: Vec<Recent>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            size: [1280.0, 800.0],
            is_light: false,
            cell_size: 176.0,
            is_panel_open: true,
            is_motion_reduced: false,
            keys: BTreeMap::new(),
            rater: String::new(),
            teacher: TeacherSettings::default(),
            recent: Vec::new(),
        }
    }
}

impl Settings {
    /// Puts a project on top of the recent ones.
    pub(super) fn remember(&mut self, path: &str, title: &str, num_images: usize) {
        self.recent.retain(|recent| recent.path != path);
        let newest = Recent {
            path: path.to_owned(),
            title: title.to_owned(),
            num_images,
        };
        self.recent.insert(0, newest);
        self.recent.truncate(KEPT_RECENT);
    }
}

/// Reads what was remembered; the defaults where there is nothing, or nothing sensible.
pub(super) fn load(folder: &Path) -> Settings {
    let mut settings: Settings = fs::read_to_string(folder.join(FILE))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let is_sane = settings
        .size
        .iter()
        .all(|side| (400.0..20_000.0).contains(side));
    if !is_sane {
        settings.size = Settings::default().size;
    }
    settings
}

/// Writes what is to be remembered.
pub(super) fn save(folder: &Path, settings: &Settings) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let text = serde_json::to_string_pretty(settings)?;
    fs::write(folder.join(FILE), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut settings = Settings {
            is_light: true,
            ..Settings::default()
        };
        settings.remember("a.assay", "A", 1);
        settings.remember("b.assay", "B", 2);
        settings.remember("a.assay", "A", 3);
        settings.keys.insert("fit".to_owned(), "Shift+F".to_owned());
        save(folder.path(), &settings)?;
        assert_eq!(load(folder.path()), settings);
        assert_eq!(settings.recent.len(), 2);
        assert_eq!(settings.recent[0].num_images, 3);
        Ok(())
    }

    #[test]
    fn nonsense_is_forgotten() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(FILE), "{\"size\": [0, -3]}")?;
        assert_eq!(load(folder.path()), Settings::default());
        fs::write(folder.path().join(FILE), "not json")?;
        assert_eq!(load(folder.path()), Settings::default());
        Ok(())
    }
}
