//! Dialogs over the screens: open, map columns, export, keys, what an import did.

use egui::Button;
use egui::Frame;
use egui::Grid;
use egui::Id;
use egui::Modal;
use egui::ScrollArea;
use egui::TextEdit;
use egui::Ui;

use crate::domain::{Aspect, ProblemKind, RatingsFormat};
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::command::Pick;
use crate::state::dialogs::COLUMNS;
use crate::state::dialogs::CONVERSATIONS;
use crate::state::dialogs::Dialog;
use crate::state::dialogs::DialogCommand;
use crate::state::dialogs::ExportChoices;
use crate::state::dialogs::Mapping;
use crate::state::dialogs::StudyChoices;
use crate::state::dialogs::StudyFile;

use super::keys_list;
use super::rate;
use super::tokens::GAP;
use super::tokens::Palette;

/// Width of a dialog.
const WIDTH: f32 = 560.0;

/// Files about a study, with what they are for.
const STUDY_FILES: [(StudyFile, &str, &str); 6] = [
    (
        StudyFile::Ratings(RatingsFormat::Long),
        "Every vote (CSV)",
        "One row a vote with everything that was recorded; votes taken back are among them.",
    ),
    (
        StudyFile::Ratings(RatingsFormat::Matrix),
        "ITU matrix (CSV)",
        "Rows are pictures, columns raters; one aspect.",
    ),
    (
        StudyFile::Ratings(RatingsFormat::Sureal),
        "For sureal (JSON)",
        "As Netflix's sureal loads it; one aspect.",
    ),
    (
        StudyFile::Ratings(RatingsFormat::Pairs),
        "Comparisons (CSV)",
        "One row a comparison, for Bradley-Terry or Thurstone programs; one aspect.",
    ),
    (
        StudyFile::Ratings(RatingsFormat::Report),
        "Report (HTML)",
        "One page to print or to send, with what ITU-T P.910 asks to be reported.",
    ),
    (
        StudyFile::Package,
        "Package for another machine (.assaystudy)",
        "Protocol, order and pictures in one file that opens in Assay; the votes come back through Take votes in.",
    ),
];

/// Draws the dialog that is open, if one is.
pub fn show(ui: &Ui, state: &AppState, out: &mut Vec<Command>) {
    if !state.dialog.is_open() {
        return;
    }
    let palette = Palette::in_use(ui);
    let modal = Modal::new(Id::unique("dialog"))
        .backdrop_color(palette.veil)
        .frame(Frame::window(ui.style()))
        .show(ui.ctx(), |ui| {
            ui.set_width(WIDTH);
            match &state.dialog {
                Dialog::None => {}
                Dialog::Open { path_text } => open(ui, path_text, out),
                Dialog::Map(mapping) => map(ui, mapping, out),
                Dialog::Export(choices) => export(ui, state, choices, out),
                Dialog::Relocate { path_text } => relocate(ui, state, path_text, out),
                Dialog::Study(choices) => study(ui, choices, out),
                Dialog::TakeVotes(choices) => rate::take_votes(ui, state, choices, out),
                Dialog::VotesReport => rate::votes_report(ui, state, out),
                Dialog::Keys => keys_list::show(ui, state, out),
                Dialog::ImportReport => import_report(ui, state),
            }
            let is_read_only = matches!(
                state.dialog,
                Dialog::Keys | Dialog::ImportReport | Dialog::VotesReport
            );
            if is_read_only {
                ui.add_space(GAP);
                close(ui, "Close", out);
            }
        });
    if modal.backdrop_response.clicked() {
        out.push(Command::Dialog(DialogCommand::Close));
    }
}

pub(super) fn close(ui: &mut Ui, words: &str, out: &mut Vec<Command>) {
    if ui.button(words).clicked() {
        out.push(Command::Dialog(DialogCommand::Close));
    }
}

pub(super) fn path_field(ui: &mut Ui, text: &str, hint: &str, out: &mut Vec<Command>) -> bool {
    let mut text = text.to_owned();
    let field = TextEdit::singleline(&mut text)
        .hint_text(hint.to_owned())
        .align(egui::Align2::LEFT_CENTER)
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Path");
    if response.changed() {
        out.push(Command::Dialog(DialogCommand::SetPath(text)));
    }
    response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter))
}

fn open(ui: &mut Ui, path_text: &str, out: &mut Vec<Command>) {
    ui.heading("Open");
    ui.label("A project, a folder of images, a dataset such as AGIQA-3K, or a table with image paths and prompts. Your files are only read.");
    let is_entered = path_field(ui, path_text, "Path of a file or folder", out);
    ui.horizontal(|ui| {
        for (words, pick) in [
            ("Choose a folder…", Pick::OpenFolder),
            ("Choose a file…", Pick::OpenFile),
        ] {
            if ui.button(words).clicked() {
                out.push(Command::Dialog(DialogCommand::Pick(pick)));
            }
        }
    });
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        let path = path_text.trim();
        let button = ui.add_enabled(!path.is_empty(), Button::new("Open"));
        if button.clicked() || (is_entered && !path.is_empty()) {
            out.push(Command::Open(path.into()));
        }
        close(ui, "Cancel", out);
    });
}

fn relocate(ui: &mut Ui, state: &AppState, path_text: &str, out: &mut Vec<Command>) {
    ui.heading("Find moved pictures");
    if let Some(project) = &state.project {
        ui.label(format!(
            "{} of {} pictures have no file. They are looked for under their names in the folder that you choose; \
             nothing is moved.",
            grouped(project.num_without_file),
            grouped(project.rows.len())
        ));
        ui.weak(format!("Now: {}", project.info.root));
    }
    let is_entered = path_field(ui, path_text, "Folder of the pictures", out);
    if ui.button("Choose a folder…").clicked() {
        out.push(Command::Dialog(DialogCommand::Pick(Pick::ImageRoot)));
    }
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        let is_named = !path_text.trim().is_empty();
        let button = ui.add_enabled(is_named, Button::new("Look there"));
        if button.clicked() || (is_entered && is_named) {
            out.push(Command::Dialog(DialogCommand::ConfirmRelocate));
        }
        close(ui, "Cancel", out);
    });
}

fn map(ui: &mut Ui, mapping: &Mapping, out: &mut Vec<Command>) {
    ui.heading("Which column is which?");
    ui.label(mapping.path.display().to_string());
    ScrollArea::vertical().max_height(420.0).show(ui, |ui| {
        Grid::new("columns").num_columns(2).show(ui, |ui| {
            for (ours, (name, hint)) in COLUMNS.iter().enumerate() {
                ui.label(*hint).on_hover_text(*name);
                map_one(ui, mapping, ours, out);
                ui.end_row();
            }
        });
    });
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        let button = ui.add_enabled(mapping.is_complete(), Button::new("Read the table"));
        let hint = "The picture's column has to be chosen";
        if button.on_disabled_hover_text(hint).clicked() {
            out.push(Command::Dialog(DialogCommand::ImportMapped));
        }
        close(ui, "Cancel", out);
    });
}

fn map_one(ui: &mut Ui, mapping: &Mapping, ours: usize, out: &mut Vec<Command>) {
    let chosen = mapping.chosen.get(ours).copied().flatten();
    let words = chosen
        .and_then(|idx| mapping.columns.get(idx))
        .map_or("Not in the table", String::as_str);
    let choose = |theirs| Command::Dialog(DialogCommand::MapColumn { ours, theirs });
    egui::ComboBox::from_id_salt(("column", ours))
        .selected_text(words)
        .width(240.0)
        .show_ui(ui, |ui| {
            if ui
                .selectable_label(chosen.is_none(), "Not in the table")
                .clicked()
            {
                out.push(choose(None));
            }
            for (idx, column) in mapping.columns.iter().enumerate() {
                if ui.selectable_label(chosen == Some(idx), column).clicked() {
                    out.push(choose(Some(idx)));
                }
            }
        })
        .response
        .accessible_name(format!("Column for: {}", COLUMNS[ours].1));
}

fn export(ui: &mut Ui, state: &AppState, choices: &ExportChoices, out: &mut Vec<Command>) {
    ui.heading("Export");
    let mut wanted = choices.clone();
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        for (format, words) in [
            ("csv", "CSV"),
            ("jsonl", "JSON lines"),
            (CONVERSATIONS, "Conversations (JSON)"),
        ] {
            ui.radio_value(&mut wanted.format, format.to_owned(), words);
        }
    });
    let all = state
        .project
        .as_ref()
        .map_or(0, |project| project.rows.len());
    ui.radio_value(
        &mut wanted.only_scope,
        false,
        format!("All {} images", grouped(all)),
    );
    let scope = if state.selection.is_many() {
        "The selected"
    } else {
        "The shown"
    };
    let words = format!("{scope} {} images", grouped(state.scope.num_images));
    ui.radio_value(&mut wanted.only_scope, true, words);
    ui.horizontal(|ui| {
        for aspect in Aspect::ALL {
            let mut is_on = wanted.aspects.contains(&aspect);
            if ui.checkbox(&mut is_on, aspect.title()).changed() {
                wanted.aspects.retain(|&known| known != aspect);
                if is_on {
                    wanted.aspects.push(aspect);
                    wanted.aspects.sort_unstable();
                }
            }
        }
    });
    if wanted != *choices {
        out.push(Command::Dialog(DialogCommand::SetExport(wanted)));
    }
    let is_table = choices.format != CONVERSATIONS;
    let hint = match is_table {
        true => "File to write",
        false => "Folder to write to",
    };
    path_field(ui, &choices.path_text, hint, out);
    if is_table {
        pick_button(ui, Pick::ExportFile, out);
    }
    ui.weak(match is_table {
        true => "One row for each image and aspect, with status and error. A file of that name is replaced once the new one is whole.",
        false => "In the published format, a file for each aspect and list: what teachers said, as it was edited and without what was rejected, and what models answered. No score of a test image goes in.",
    });
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        let num_images = if choices.only_scope {
            state.scope.num_images
        } else {
            all
        };
        let words = format!("Export {} images", grouped(num_images));
        let is_said = !choices.path_text.trim().is_empty() && !choices.aspects.is_empty();
        let hint = match num_images {
            0 => "There is no picture among these: choose all, or show others",
            _ => "Say where to write, and choose at least one aspect",
        };
        let button = ui.add_enabled(is_said && num_images > 0, Button::new(words));
        if button.on_disabled_hover_text(hint).clicked() {
            out.push(Command::Dialog(DialogCommand::ConfirmExport));
        }
        close(ui, "Cancel", out);
    });
}

fn study(ui: &mut Ui, choices: &StudyChoices, out: &mut Vec<Command>) {
    ui.heading("Export the study");
    ui.add_space(GAP);
    for (what, words, hint) in STUDY_FILES {
        let is_on = choices.what == what;
        if ui.radio(is_on, words).on_hover_text(hint).clicked() {
            out.push(Command::Dialog(DialogCommand::SetStudyFile(what)));
        }
        if is_on {
            ui.weak(hint);
        }
    }
    path_field(ui, &choices.path_text, "File to write", out);
    pick_button(ui, Pick::StudyFile, out);
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        let is_ready = !choices.path_text.trim().is_empty();
        let button = ui.add_enabled(is_ready, Button::new("Write the file"));
        if button
            .on_disabled_hover_text("Say where to write")
            .clicked()
        {
            out.push(Command::Dialog(DialogCommand::WriteStudy));
        }
        close(ui, "Cancel", out);
    });
}

pub(super) fn pick_button(ui: &mut Ui, pick: Pick, out: &mut Vec<Command>) {
    if ui.button("Choose a file…").clicked() {
        out.push(Command::Dialog(DialogCommand::Pick(pick)));
    }
}

fn import_report(ui: &mut Ui, state: &AppState) {
    ui.heading("What the import did");
    let Some(summary) = &state.import else {
        ui.weak("Nothing was imported in this session.");
        return;
    };
    let counts = [
        ("rows", summary.rows),
        ("with a file", summary.with_file),
        ("without a file", summary.missing),
        ("unreadable", summary.unreadable),
        ("rejected", summary.rejected),
        ("new or changed", summary.changed),
        ("descriptions", summary.descriptions),
    ];
    let words: Vec<String> = counts
        .iter()
        .map(|(words, count)| format!("{} {words}", grouped(*count)))
        .collect();
    ui.label(words.join(" · "));
    let palette = Palette::in_use(ui);
    ScrollArea::vertical()
        .max_height(420.0)
        .auto_shrink([false, true])
        .show_rows(ui, 20.0, summary.problems.len(), |ui, rows| {
            for problem in &summary.problems[rows] {
                let ink = match problem.kind {
                    ProblemKind::Warning => palette.warning,
                    ProblemKind::Rejected => palette.error,
                };
                let line = problem
                    .line
                    .map_or_else(String::new, |line| format!(", line {line}"));
                let words = format!("{}{line}: {}", problem.file, problem.message);
                let label = egui::Label::new(egui::RichText::new(&words).color(ink)).truncate();
                ui.add(label).on_hover_text(&words);
            }
        });
}
