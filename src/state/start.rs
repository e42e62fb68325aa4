//! Start: the path field, and the projects opened before.

use std::path::Path;
use std::path::PathBuf;

/// A project opened before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentProject {
    /// Path of the project file.
    pub path: String,
    /// Name of the dataset in it.
    pub title: String,
    /// Its pictures when it was open last; 0 where that is not known.
    pub num_images: usize,
    /// Whether its file was not there when it was looked for.
    pub is_gone: bool,
}

/// What Start remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartState {
    /// What stands in the path field.
    pub path_text: String,
    /// Projects opened before, newest first.
    pub recent: Vec<RecentProject>,
}

/// What Start can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartCommand {
    /// Other text in the path field.
    SetPath(String),
    /// Strike a project off the list; its file stays.
    Forget(PathBuf),
}

impl StartState {
    pub(super) fn update(&mut self, command: StartCommand) {
        match command {
            StartCommand::SetPath(text) => self.path_text = text,
            StartCommand::Forget(path) => {
                self.recent.retain(|recent| Path::new(&recent.path) != path);
            }
        }
    }

    /// Notes whether a project's file is there.
    pub(super) fn seen(&mut self, project: &Path, is_there: bool) {
        for recent in &mut self.recent {
            if Path::new(&recent.path) == project {
                recent.is_gone = !is_there;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(path: &str) -> RecentProject {
        RecentProject {
            path: path.to_owned(),
            title: path.to_owned(),
            num_images: 3,
            is_gone: false,
        }
    }

    #[test]
    fn a_project_is_struck_off_and_a_lost_one_is_marked() {
        let mut state = StartState {
            recent: vec![recent("a.assay"), recent("b.assay")],
            ..StartState::default()
        };
        state.seen(Path::new("b.assay"), false);
        assert!(!state.recent[0].is_gone && state.recent[1].is_gone);
        state.update(StartCommand::Forget("a.assay".into()));
        assert_eq!(state.recent.len(), 1);
        assert_eq!(state.recent[0].path, "b.assay");
    }
}
