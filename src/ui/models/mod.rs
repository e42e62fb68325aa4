//! Models: what describes and what scores on this machine, as cards.

mod fetch;
mod outlook;
mod predictors;
mod shelf;
mod use_add_on;

use std::path::Path;

use egui::Align2;
use egui::Button;
use egui::Grid;
use egui::RichText;
use egui::ScrollArea;
use egui::TextEdit;
use egui::Ui;
use egui::vec2;

use crate::domain::ModelCard;
use crate::state::AppState;
use crate::state::Command;
use crate::state::command::Pick;
use crate::state::dialogs::DialogCommand;
use crate::state::models::ModelsCommand;
use crate::state::models::bytes_words;
use crate::state::models::is_checked;
use crate::state::models::parameters_words;

use super::textures::Textures;
use super::tokens::GAP;
use super::tokens::GROUP_GAP;
use super::tokens::HEADING;
use super::tokens::Palette;
use super::tokens::STEP;
use super::train::card;
use super::train::page;
use super::widgets::chip;

/// Digits of a hash on screen; the whole one is copied.
const HASH_DIGITS: usize = 12;

/// Height of a line of facts.
pub(super) const FACT_HEIGHT: f32 = 20.0;

/// Width of the folder field.
const FIELD_WIDTH: f32 = 420.0;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, _textures: &mut Textures, out: &mut Vec<Command>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            ui.heading("Models on this machine");
            ui.weak("A model looks at a picture and says in words what is good and bad about it.");
            models(ui, state, out);
            folder(ui, state, out);
            shelf::halves(ui, state, out);
            shelf::to_fetch(ui, state, out);
            ui.add_space(GAP);
            ui.label(RichText::new("Predictors").size(HEADING));
            ui.weak(
                "A predictor reads what the model says and gives the score that people would give.",
            );
            predictors::show(ui, state, out);
            shelf::predictors(ui, state, out);
            ui.add_space(GROUP_GAP);
        });
    });
}

fn models(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    if state.models.cards.is_empty() {
        ui.horizontal(|ui| {
            ui.spinner();
            ui.label("Looking for models");
        });
        return;
    }
    for (idx, model) in state.models.cards.iter().enumerate() {
        card(ui, &model.tag.name, |ui| {
            model_card(ui, state, (model, idx == 0), out);
        });
    }
    for (folder, reason) in &state.models.broken {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        card(ui, &name, |ui| {
            ui.scope(|ui| {
                chip::warning(ui, "cannot be used", "It is listed again once it is whole")
            });
            ui.add(egui::Label::new(reason).wrap());
            check(ui, state, folder, out);
        });
    }
}

/// Reads the model's files when asked to, and says what came of it.
pub(super) fn check(ui: &mut Ui, state: &AppState, folder: &Path, out: &mut Vec<Command>) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if is_checked(state, folder) {
        ui.horizontal(|ui| {
            ui.spinner();
            ui.weak("Reading every file");
        });
        return;
    }
    ui.horizontal_wrapped(|ui| {
        if ui
            .button("Check")
            .accessible_name(format!("Check {name}"))
            .on_hover_text("Read every file and hold it against what is known of it")
            .clicked()
        {
            out.push(Command::Models(ModelsCommand::Check(folder.to_path_buf())));
        }
        match state.models.checks.get(folder) {
            Some(Ok(words)) => ui.weak(words),
            Some(Err(words)) => ui.colored_label(Palette::in_use(ui).error, words),
            None => return,
        };
    });
}

fn model_card(
    ui: &mut Ui,
    state: &AppState,
    (model, is_in_use): (&ModelCard, bool),
    out: &mut Vec<Command>,
) {
    ui.horizontal_wrapped(|ui| {
        if is_in_use {
            chip::chip(ui, "in use", "Describes pictures now");
        }
        match &model.loaded_on {
            Some(place) => chip::chip(ui, &format!("loaded, {place}"), "In memory, ready"),
            None => chip::chip(
                ui,
                "not loaded",
                "Loaded by the first picture that needs it",
            ),
        };
    });
    ui.label(&model.summary);
    Grid::new(("model", &model.tag.sha256))
        .num_columns(2)
        .min_col_width(120.0)
        .min_row_height(FACT_HEIGHT)
        .spacing(vec2(GAP, STEP))
        .show(ui, |ui| facts(ui, state, model, out));
    shelf::adapters(ui, state, &model.tag.name, out);
    if is_in_use && model.folder.is_none() {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        if !is_in_use {
            use_button(ui, state, model, out);
        }
        if let Some(folder) = &model.folder {
            check(ui, state, Path::new(folder), out);
        }
    });
}

fn facts(ui: &mut Ui, state: &AppState, model: &ModelCard, out: &mut Vec<Command>) {
    let place = model.folder.as_deref().unwrap_or("inside the program");
    let size = format!("{} on disk", bytes_words(model.weights_bytes));
    let parameters = parameters_words(model.num_parameters);
    for (name, value) in [
        ("Architecture", model.architecture.as_str()),
        ("Source", &model.source),
        ("Licence", &model.licence),
        ("Parameters", &parameters),
        ("Size", &size),
        ("Where", place),
    ] {
        ui.weak(name);
        ui.add(egui::Label::new(value).wrap());
        ui.end_row();
    }
    if let Some(outlook) = state.models.outlooks.get(&model.tag.sha256) {
        outlook::show(ui, outlook);
    }
    ui.weak("Hash");
    ui.horizontal(|ui| {
        let hash = &model.tag.sha256;
        let short: String = hash.chars().take(HASH_DIGITS).collect();
        ui.monospace(format!("{short}…")).on_hover_text(hash);
        if ui
            .small_button("Copy")
            .accessible_name(format!("Copy the hash of {}", model.tag.name))
            .on_hover_text("Copy the whole SHA-256")
            .clicked()
        {
            out.push(Command::Copy(hash.clone()));
        }
    });
    ui.end_row();
}

fn use_button(ui: &mut Ui, state: &AppState, model: &ModelCard, out: &mut Vec<Command>) {
    let has_project = state.project.is_some();
    if ui
        .add_enabled(has_project, Button::new("Use"))
        .accessible_name(format!("Use {}", model.tag.name))
        .on_hover_text("Describes pictures from now on. What others described is kept.")
        .on_disabled_hover_text("Open a project first: the choice is kept in it")
        .clicked()
    {
        let folder = model.folder.as_ref().map(Into::into);
        out.push(Command::Models(ModelsCommand::Use(folder)));
    }
}

fn folder(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.horizontal_wrapped(|ui| {
        if ui
            .button("Add folder…")
            .on_hover_text("A folder with config.json, tokenizer.json and weights, or an adapter of PEFT; it is only read")
            .clicked()
        {
            out.push(Command::Dialog(DialogCommand::Pick(Pick::ModelFolder)));
        }
        let label = ui.label("or drop it here, or its path");
        let mut text = state.models.folder_text.clone();
        let field = TextEdit::singleline(&mut text)
            .hint_text("folder of a model or an adapter")
            .align(Align2::LEFT_CENTER)
            .desired_width(FIELD_WIDTH);
        let response = ui.add(field).labelled_by(label.id);
        if response.changed() {
            out.push(Command::Models(ModelsCommand::SetFolderText(text.clone())));
        }
        let is_entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let path = text.trim();
        let is_clicked = ui
            .add_enabled(!path.is_empty(), Button::new("Add"))
            .accessible_name("Add the folder")
            .on_disabled_hover_text("Type a path first")
            .clicked();
        if (is_clicked || is_entered) && !path.is_empty() {
            out.push(Command::Models(ModelsCommand::Add(path.into())));
        }
        if ui
            .button("Look again")
            .on_hover_text("List the models anew")
            .clicked()
        {
            out.push(Command::Models(ModelsCommand::List));
        }
    });
}
