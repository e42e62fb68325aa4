//! Predictors as cards: what each scores, what it learned from, and what may be expected of it.

use egui::Button;
use egui::Grid;
use egui::Ui;
use egui::vec2;

use crate::domain::PredictorCard;
use crate::state::AppState;
use crate::state::Command;
use crate::state::models;
use crate::state::models::PredictorEntry;
use crate::state::train::TrainCommand;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::STEP;
use crate::ui::train::card;
use crate::ui::widgets::chip;
use crate::ui::widgets::predictor_card::figures_words;

use super::FACT_HEIGHT;

/// Draws the cards.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let list = models::predictors(state);
    if list.is_empty() {
        ui.label("There is no predictor for the model in use yet: train one on the Train screen.");
        return;
    }
    for pair in list.chunks(2) {
        ui.columns(2, |columns| {
            for (ui, entry) in columns.iter_mut().zip(pair) {
                card(ui, &entry.card.name, |ui| predictor(ui, entry, out));
            }
        });
    }
}

fn predictor(ui: &mut Ui, entry: &PredictorEntry<'_>, out: &mut Vec<Command>) {
    let card = entry.card;
    ui.horizontal_wrapped(|ui| {
        ui.colored_label(Palette::in_use(ui).aspect(card.aspect), card.aspect.title());
        if entry.is_in_use {
            chip::chip(ui, "in use", "Gives the scores on screen");
        }
        match entry.is_embedded {
            true => chip::chip(ui, "inside the program", "Comes with the program"),
            false => chip::chip(ui, "of this project", "Kept in the project file"),
        };
    });
    facts(ui, card);
    if entry.is_in_use {
        return;
    }
    let can_use = entry.obstacle.is_none();
    let why = entry.obstacle.clone().unwrap_or_default();
    ui.horizontal_wrapped(|ui| {
        if ui
            .add_enabled(can_use, Button::new("Use"))
            .accessible_name(format!("Use {}", card.name))
            .on_hover_text("Gives the scores from now on. Can be undone.")
            .on_disabled_hover_text(&why)
            .clicked()
        {
            out.push(Command::Train(TrainCommand::Use {
                aspect: card.aspect,
                predictor: entry.wanted(),
            }));
        }
        if !can_use {
            ui.weak(why);
        }
    });
}

fn facts(ui: &mut Ui, card: &PredictorCard) {
    let model = format!("{}, wording {}", card.model.name, card.preset);
    let scale = card.scale.to_string();
    Grid::new(("predictor", card.id.0, &card.name, card.aspect.name()))
        .num_columns(2)
        .min_col_width(96.0)
        .min_row_height(FACT_HEIGHT)
        .spacing(vec2(GAP, STEP))
        .show(ui, |ui| {
            for (name, value) in [
                ("Scale", scale.as_str()),
                ("Learned from", &card.dataset),
                ("Split", &card.split),
                ("Reads", &model),
                ("Head", &card.head),
            ] {
                ui.weak(name);
                ui.add(egui::Label::new(value).wrap());
                ui.end_row();
            }
            for (name, figures) in [("Validation", &card.val), ("Test", &card.test)] {
                ui.weak(name);
                ui.add(egui::Label::new(figures_words(figures.as_ref())).wrap());
                ui.end_row();
            }
        });
}
