//! The dialogs about votes from files: which file for which study, and what came of it, line by line.

use std::path::Path;

use egui::Button;
use egui::ComboBox;
use egui::Grid;
use egui::Label;
use egui::RichText;
use egui::ScrollArea;
use egui::Ui;

use crate::domain::{RatingsFormat, Study};
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::command::Pick;
use crate::state::dialogs::DialogCommand;
use crate::state::rate::intake;
use crate::state::rate::intake::TakeVotes;
use crate::state::rate::intake::VotesSource;
use crate::ui::dialogs::close;
use crate::ui::dialogs::path_field;
use crate::ui::dialogs::pick_button;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;

/// Height of a line about a record that was left out.
const LINE: f32 = 20.0;

/// Height that these lines take at most before they are scrolled.
const LINES_HEIGHT: f32 = 320.0;

/// Width of the choices.
const CHOICE: f32 = 320.0;

/// Kinds of tables with their names.
const FORMATS: [(Option<RatingsFormat>, &str); 5] = [
    (None, "Find out from the file"),
    (Some(RatingsFormat::Long), "Every vote (CSV)"),
    (Some(RatingsFormat::Matrix), "ITU matrix (CSV)"),
    (Some(RatingsFormat::Sureal), "From sureal (JSON)"),
    (Some(RatingsFormat::Pairs), "Comparisons (CSV)"),
];

/// Asks what votes are to be taken from.
pub(in crate::ui) fn show(
    ui: &mut Ui,
    state: &AppState,
    choices: &TakeVotes,
    out: &mut Vec<Command>,
) {
    ui.heading("Take votes in");
    ui.label(
        "From a package that came back from another machine, from another project, or from a table of votes. Every \
         vote is taken once, however often it comes.",
    );
    let hint = "Path of a package, a project, a CSV or a JSON file";
    let is_entered = path_field(ui, &choices.path_text, hint, out);
    pick_button(ui, Pick::VotesFile, out);
    match choices.source() {
        None => {}
        Some(VotesSource::Project) => {
            ui.weak("Its studies come in with their votes; a study that is here already gets what it lacks.");
        }
        Some(VotesSource::Table) => table(ui, state, choices, out),
    }
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        let is_ready = choices.job().is_some();
        let button = ui.add_enabled(is_ready, Button::new("Take the votes in"));
        let hint = "Name a file, and for a table the study that its votes are for";
        if button.on_disabled_hover_text(hint).clicked() || (is_entered && is_ready) {
            out.push(Command::Dialog(DialogCommand::ConfirmTakeVotes));
        }
        close(ui, "Cancel", out);
        if let (Some(VotesSource::Project), Some(path)) = (choices.source(), choices.path())
            && ui
                .button("Open it instead")
                .on_hover_text("To rate in it, or to look at it by itself")
                .clicked()
        {
            out.push(Command::Open(path));
        }
    });
}

/// What a table does not say of itself.
fn table(ui: &mut Ui, state: &AppState, choices: &TakeVotes, out: &mut Vec<Command>) {
    let mut wanted = choices.clone();
    let studies = state.project.as_ref().map(|project| &project.studies);
    let studies: &[Study] = studies.map_or(&[], Vec::as_slice);
    Grid::new("take_votes").num_columns(2).show(ui, |ui| {
        let chosen = study(ui, studies, &mut wanted);
        let words = FORMATS.iter().find(|(format, _)| *format == wanted.format);
        let words = words.map_or("", |(_, words)| words);
        choice(ui, "Kind of table", words, |ui| {
            for (format, words) in FORMATS {
                ui.selectable_value(&mut wanted.format, format, words);
            }
        });
        let is_named = wanted.format == Some(RatingsFormat::Long);
        if let Some(study) = chosen.filter(|study| study.protocol.aspects.len() > 1 && !is_named) {
            let words = wanted.aspect.map_or("", |aspect| aspect.title());
            choice(ui, "Aspect, if it names none", words, |ui| {
                for &aspect in &study.protocol.aspects {
                    ui.selectable_value(&mut wanted.aspect, Some(aspect), aspect.title());
                }
            });
        }
    });
    if wanted != *choices {
        out.push(Command::Dialog(DialogCommand::SetVotes(wanted)));
    }
}

/// The study that the votes are for, newest first.
fn study<'a>(ui: &mut Ui, studies: &'a [Study], wanted: &mut TakeVotes) -> Option<&'a Study> {
    let chosen = studies.iter().find(|study| Some(study.id) == wanted.study);
    let words = chosen.map_or("Choose a study", |study| &study.protocol.name);
    choice(ui, "Votes for the study", words, |ui| {
        for study in studies.iter().rev() {
            let is_on = Some(study.id) == wanted.study;
            if ui.selectable_label(is_on, &study.protocol.name).clicked() {
                wanted.study = Some(study.id);
                wanted.aspect = intake::usual_aspect(study);
            }
        }
    });
    chosen
}

/// A line of the grid: what is chosen, and from what.
fn choice(ui: &mut Ui, name: &str, chosen: &str, options: impl FnOnce(&mut Ui)) {
    let label = ui.label(name);
    ComboBox::from_id_salt(name)
        .selected_text(chosen)
        .width(CHOICE)
        .truncate()
        .show_ui(ui, options)
        .response
        .labelled_by(label.id);
    ui.end_row();
}

/// What came in, what was here, and what was refused with its line.
pub(in crate::ui) fn report(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let Some(intake) = &state.rate.intake else {
        ui.heading("Votes from a file");
        ui.weak("No votes were taken in since the project was opened.");
        return;
    };
    ui.heading(format!("Votes from {}", file_name(&intake.path)));
    let palette = Palette::in_use(ui);
    let report = match &intake.outcome {
        Ok(report) => report,
        Err(reason) => {
            ui.colored_label(palette.error, "Nothing came in.");
            ui.label(reason);
            return;
        }
    };
    let count = |num: u64| grouped(usize::try_from(num).unwrap_or(usize::MAX));
    ui.label(format!(
        "{} came in, {} were here already.",
        count(report.done),
        count(report.skipped)
    ));
    if report.cancelled {
        ui.colored_label(palette.warning, "It was cancelled.");
    }
    if report.failed.is_empty() {
        ui.weak("Nothing was refused.");
        return;
    }
    let num = report.failed.len();
    let noun = if num == 1 {
        "entry was"
    } else {
        "entries were"
    };
    ui.colored_label(palette.error, format!("{} {noun} refused:", grouped(num)));
    ScrollArea::vertical()
        .max_height(LINES_HEIGHT)
        .auto_shrink([false, true])
        .show_rows(ui, LINE, num, |ui, rows| {
            for item in &report.failed[rows] {
                let place = file_name(Path::new(&item.path));
                let words = format!("{place}: {}", item.reason);
                let line = Label::new(RichText::new(words)).truncate();
                ui.add(line)
                    .on_hover_text(format!("{}\n{}", item.path, item.reason));
            }
        });
    if ui.button("Copy the list").clicked() {
        let lines = report.failed.iter();
        let lines: Vec<String> = lines
            .map(|item| format!("{}: {}", item.path, item.reason))
            .collect();
        out.push(Command::Copy(lines.join("\n")));
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
