//! A command changes the state at once and says what it asks of the world outside.

use std::path::PathBuf;

use crate::domain::{Aspect, ImageId, RatingsFormat};
use crate::jobs::message::Job;

use super::AppState;
use super::actions;
use super::command::Command;
use super::command::Effect;
use super::command::Pick;
use super::command::Screen;
use super::command::Target;
use super::dialogs::Dialog;
use super::dialogs::DialogCommand;
use super::distil;
use super::gallery::GalleryCommand;
use super::inspect;
use super::models::ModelsCommand;
use super::notices::Tone;
use super::palette;
use super::palette::PaletteCommand;
use super::rate;
use super::rate::RateCommand;
use super::rate::SittingCommand;
use super::rate::intake;
use super::selection::SelectionCommand;
use super::tags::TagsCommand;
use super::train;

/// Carries a command out.
pub fn update(state: &mut AppState, command: Command) -> Vec<Effect> {
    if state.rate.sitting.is_some() {
        return during_sitting(state, command);
    }
    match command {
        Command::Show(screen) => return show(state, screen),
        Command::Inspect(image) => {
            select(state, SelectionCommand::Only(image));
            return show(state, Screen::Inspect);
        }
        Command::Back => back(state),
        Command::Selection(command) => select(state, command),
        Command::Gallery(command) => gallery(state, command),
        Command::Picture(command) => {
            let origins = state.focused().map(inspect::origins).unwrap_or_default();
            state.inspect.update(command, &origins);
        }
        Command::Compare(command) => {
            if let Some(project) = &state.project {
                state.compare.update(command, project);
            }
        }
        Command::Train(command) => return train::update(state, command),
        Command::Distil(command) => return distil::update(state, command),
        Command::Rate(command) => return rate::update(state, command),
        Command::Models(command) => return state.models.update(command),
        Command::Start(command) => state.start.update(command),
        Command::Keys(command) => state.keys.update(command),
        Command::Tags(command) => state.tags.update(command),
        Command::Palette(command) => toggle_palette(state, command),
        Command::Dialog(command) => return dialog(state, command),
        Command::Jobs(command) => return state.jobs.update(command),
        Command::SetTheme(theme) => state.theme = theme,
        Command::TogglePanel => state.is_panel_open ^= true,
        Command::ToggleMotion => toggle_motion(state),
        Command::DismissNotice(id) => state.notices.dismiss(id),
        Command::Copy(text) => {
            state.notices.say(Tone::Info, "Copied".to_owned());
            return vec![Effect::Copy(text)];
        }
        Command::Quit => return vec![Effect::Quit],
        other => return work(state, other),
    }
    Vec::new()
}

/// While a sitting has the window nothing else may come on screen; what the workers and the desktop answer waits.
fn during_sitting(state: &mut AppState, command: Command) -> Vec<Effect> {
    let command = match command {
        Command::Rate(command @ RateCommand::Sitting(_)) => command,
        Command::Back => RateCommand::Sitting(SittingCommand::Leave),
        Command::Undo => RateCommand::Sitting(SittingCommand::TakeBack),
        Command::Quit => return vec![Effect::Quit],
        _ => return Vec::new(),
    };
    rate::update(state, command)
}

/// Commands that become jobs.
fn work(state: &mut AppState, command: Command) -> Vec<Effect> {
    let job = match command {
        Command::Open(path) => return open(state, path),
        Command::Drop(paths) => return dropped(state, paths),
        Command::TableColumns { path, columns } => return table(state, path, columns),
        Command::Picked { pick, path } => return picked(state, pick, path),
        Command::NoPicker(pick) => {
            no_picker(state, pick);
            return Vec::new();
        }
        Command::OpenDemo => Job::OpenDemo,
        Command::Describe {
            target,
            aspects,
            again,
        } => Job::Describe {
            images: targeted(state, target, &aspects, again),
            aspects,
            again,
        },
        Command::Score { target, aspects } => Job::Score {
            images: usable(state, target),
            aspects,
            descriptions: None,
        },
        Command::SetTag { target, tag, on } => Job::SetTag {
            images: images(state, target),
            tag,
            on,
        },
        Command::Undo => Job::Undo,
        Command::Redo => Job::Redo,
        _ => return Vec::new(),
    };
    if names_no_image(&job) {
        state.notices.say(
            Tone::Info,
            "Nothing left to do for these pictures".to_owned(),
        );
        return Vec::new();
    }
    vec![Effect::Submit(job)]
}

fn names_no_image(job: &Job) -> bool {
    match job {
        Job::Describe { images, .. } | Job::Score { images, .. } | Job::SetTag { images, .. } => {
            images.is_empty()
        }
        _ => false,
    }
}

fn show(state: &mut AppState, screen: Screen) -> Vec<Effect> {
    state.dialog = Dialog::None;
    state.tags.update(TagsCommand::Close);
    state.gallery.preview = false;
    if state.project.is_none() && !matches!(screen, Screen::Start | Screen::Models) {
        state.screen = Screen::Start;
        return Vec::new();
    }
    if state.screen != screen {
        state.selection.scroll_request += 1;
    }
    state.screen = screen;
    if screen == Screen::Compare
        && let Some(project) = &state.project
    {
        state.compare.refresh(project);
    }
    train::refresh_if_shown(state);
    rate::refresh_if_shown(state);
    distil::review::refresh_if_shown(state);
    if screen == Screen::Inspect && state.selection.focus.is_none() {
        select(state, SelectionCommand::First);
    }
    if matches!(screen, Screen::Models | Screen::Distil) && state.models.cards.is_empty() {
        return state.models.update(ModelsCommand::List);
    }
    Vec::new()
}

fn toggle_motion(state: &mut AppState) {
    state.is_motion_reduced ^= true;
    let words = if state.is_motion_reduced {
        "Less motion: new things stand there at once"
    } else {
        "More motion: new things fade in"
    };
    state.notices.say(Tone::Info, words.to_owned());
}

fn back(state: &mut AppState) {
    if state.palette.is_open {
        state.palette.is_open = false;
    } else if state.dialog.is_open() {
        state.keys.rest();
        state.dialog = Dialog::None;
    } else if state.tags.is_open {
        state.tags.update(TagsCommand::Close);
    } else if state.gallery.preview {
        state.gallery.preview = false;
    } else if distil::back(state) {
        // What lay open on the screen is closed.
    } else if state.selection.is_many() {
        select(state, SelectionCommand::Clear);
    } else if state.project.is_some() && state.screen != Screen::Gallery {
        state.screen = Screen::Gallery;
        state.selection.scroll_request += 1;
    }
}

fn select(state: &mut AppState, command: SelectionCommand) {
    if let Some(project) = &state.project {
        let before = state.selection.focus;
        state.selection.update(command, project, &state.view);
        if state.selection.focus != before {
            state.inspect.is_prompt_unfolded = false;
            // Zoom stays: comparing the same corner of several pictures is the point of zooming.
        }
        state.recount();
    }
}

fn gallery(state: &mut AppState, command: GalleryCommand) {
    if command == GalleryCommand::FocusSearch {
        state.screen = Screen::Gallery;
    }
    if command == GalleryCommand::Refresh {
        // What failed before may be there again: a disk that was unplugged.
        state.picture_failures.clear();
    }
    if state.gallery.update(command, &mut state.view) {
        state.refresh_view();
    }
}

fn toggle_palette(state: &mut AppState, command: PaletteCommand) {
    let num_matches = palette::matching(state).len();
    state.palette.update(command, num_matches);
}

fn dialog(state: &mut AppState, command: DialogCommand) -> Vec<Effect> {
    if command == DialogCommand::TakeVotes {
        intake::open(state, None);
        return Vec::new();
    }
    let scope = match command {
        DialogCommand::ConfirmExport => images(state, Target::Scope),
        _ => Vec::new(),
    };
    state.keys.rest();
    state.dialog.update(command, &scope)
}

fn open(state: &mut AppState, path: PathBuf) -> Vec<Effect> {
    let is_table = path
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| matches!(extension.to_ascii_lowercase().as_str(), "csv" | "tsv"));
    state.dialog = Dialog::None;
    state.start.path_text.clear();
    if is_table {
        vec![Effect::ReadColumns(path)]
    } else {
        vec![Effect::Submit(Job::Open { path })]
    }
}

/// Reads a table whose columns are known by now. One of votes goes to a study of the open project.
fn table(state: &mut AppState, path: PathBuf, columns: Vec<String>) -> Vec<Effect> {
    let format = RatingsFormat::of_columns(columns.iter().map(String::as_str));
    if state.project.is_some() && format.is_some() {
        intake::open(state, Some(&path));
        return Vec::new();
    }
    state.dialog.table_columns(path, columns)
}

/// Opens what was let go over the window; a model folder, known by its manifest or dropped on Models, is added.
fn dropped(state: &mut AppState, paths: Vec<PathBuf>) -> Vec<Effect> {
    let num_things = paths.len();
    let Some(path) = paths.into_iter().next() else {
        return Vec::new();
    };
    if num_things > 1 {
        let words = format!(
            "Took the first of {num_things} things; drop the folder that they are in for all of them"
        );
        state.notices.say(Tone::Info, words);
    }
    if intake::dropped(state, &path) {
        return Vec::new();
    }
    let is_manifest = path.file_name().is_some_and(|name| name == "model.toml");
    // Whatever else is dropped on Models is meant to be one: nothing there opens pictures.
    let is_on_models =
        state.screen == Screen::Models && path.extension().is_none_or(|ending| ending != "assay");
    match path.parent().filter(|_| is_manifest) {
        Some(folder) => state
            .models
            .update(ModelsCommand::Add(folder.to_path_buf())),
        None if is_on_models => state.models.update(ModelsCommand::Add(path)),
        None => open(state, path),
    }
}

fn picked(state: &mut AppState, pick: Pick, path: PathBuf) -> Vec<Effect> {
    match pick {
        Pick::OpenFolder | Pick::OpenFile => open(state, path),
        Pick::ModelFolder => state.models.update(ModelsCommand::Add(path)),
        Pick::ExportFile | Pick::StudyFile | Pick::VotesFile => {
            let text = path.display().to_string();
            state.dialog.update(DialogCommand::SetPath(text), &[])
        }
        Pick::ImageRoot => {
            state.dialog = Dialog::None;
            vec![Effect::Submit(Job::Relocate { root: path })]
        }
    }
}

/// Where the desktop cannot ask, a path field does.
fn no_picker(state: &mut AppState, pick: Pick) {
    let words = "This desktop shows no file dialogs: type the path instead";
    state.notices.say(Tone::Info, words.to_owned());
    let is_asked_elsewhere = state.screen == Screen::Start || state.dialog.is_open();
    if matches!(pick, Pick::OpenFolder | Pick::OpenFile) && !is_asked_elsewhere {
        state.dialog.update(DialogCommand::Open, &[]);
    }
}

fn images(state: &AppState, target: Target) -> Vec<ImageId> {
    match (target, &state.project) {
        (Target::Images(images), _) => images,
        (Target::Scope, Some(project)) => {
            actions::images_in_scope(project, &state.view, &state.selection)
        }
        (Target::Scope, None) => Vec::new(),
    }
}

/// Pictures with a file: others have a reason on their cell and are never described or scored.
fn usable(state: &AppState, target: Target) -> Vec<ImageId> {
    let mut images = images(state, target);
    images.retain(|&image| {
        state
            .row(image)
            .is_some_and(|row| row.record.file.is_present())
    });
    images
}

/// Usable pictures that the model and wording in use have not described for at least one of the aspects.
fn targeted(state: &AppState, target: Target, aspects: &[Aspect], again: bool) -> Vec<ImageId> {
    let mut images = usable(state, target);
    let Some(project) = state.project.as_ref().filter(|_| !again) else {
        return images;
    };
    images.retain(|&image| {
        project.row(image).is_some_and(|row| {
            let is_described =
                |&aspect: &Aspect| project.is_described(row, aspect, state.models.tag(aspect));
            !aspects.iter().all(is_described)
        })
    });
    images
}
