//! One aspect beside the picture: what every origin said, side by side, then the score mark.

use egui::Align;
use egui::Frame;
use egui::Layout;
use egui::Margin;
use egui::RichText;
use egui::Ui;

use crate::domain::{Aspect, Description, Origin, PredictorCard};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::Row;
use crate::state::Screen;
use crate::state::command::Target;
use crate::state::inspect;
use crate::state::inspect::description_as_text;
use crate::state::keys::Action;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::RADIUS;
use crate::ui::tokens::SMALL;
use crate::ui::widgets::chip;
use crate::ui::widgets::predictor_card;
use crate::ui::widgets::score_mark::ScoreMark;

/// The tag of a picture whose description is wrong or useless.
const BAD_DESCRIPTION: &str = "bad description";

/// Draws an aspect.
pub(super) fn aspect_ui(
    ui: &mut Ui,
    (state, project, row): (&AppState, &Project, &Row),
    aspect: Aspect,
    out: &mut Vec<Command>,
) {
    ui.add_space(GAP);
    ui.separator();
    score(ui, (state, project, row), aspect, out);
    let only = state.inspect.only_origin(&inspect::origins(row));
    let origins: Vec<Origin> = Origin::ALL
        .into_iter()
        .filter(|&origin| {
            let has_said = row.newest_description(aspect, origin).is_some();
            match only {
                Some(only) => origin == only,
                None => origin == Origin::Local || has_said,
            }
        })
        .collect();
    ui.columns(origins.len(), |columns| {
        for (ui, origin) in columns.iter_mut().zip(origins) {
            card(ui, |ui| of_origin(ui, (state, row), (aspect, origin), out));
        }
    });
}

/// What one origin said of one aspect.
fn of_origin(
    ui: &mut Ui,
    (state, row): (&AppState, &Row),
    (aspect, origin): (Aspect, Origin),
    out: &mut Vec<Command>,
) {
    let description = row.newest_description(aspect, origin);
    ui.horizontal_wrapped(|ui| {
        chip::origin(ui, origin);
        rating(ui, description);
    });
    match (origin, description) {
        (Origin::Local, _) => local(ui, (state, row), aspect, out),
        (_, Some(description)) => {
            told(ui, state, description);
            copy(ui, description, out);
        }
        (_, None) => {
            ui.weak("Says nothing about this aspect");
        }
    }
}

/// The score with what people said on the left, and on the right what the score rests on.
fn score(
    ui: &mut Ui,
    (state, project, row): (&AppState, &Project, &Row),
    aspect: Aspect,
    out: &mut Vec<Command>,
) {
    let card = project.predictor_card(aspect);
    ui.columns(2, |columns| {
        let [left, right] = columns else {
            return;
        };
        ScoreMark::of(row, aspect, project.info.scale).show(left, card);
        truth_words(left, row, aspect);
        right.with_layout(Layout::top_down(Align::LEFT), |ui| match card {
            Some(card) => {
                predictor_card::beside_score(ui, card);
                elsewhere(ui, project, card);
            }
            None => no_predictor(ui, state, aspect, out),
        });
    });
}

/// Figures of one dataset promise nothing about another.
fn elsewhere(ui: &mut Ui, project: &Project, card: &PredictorCard) {
    if card.dataset != project.info.dataset {
        let palette = Palette::in_use(ui);
        let words = "It has not learned from this dataset";
        let text = RichText::new(words).color(palette.warning).size(SMALL);
        ui.add(egui::Label::new(text).truncate()).on_hover_text(
            "How well it does here shows in Compare, where people rated these pictures",
        );
    }
}

fn no_predictor(ui: &mut Ui, state: &AppState, aspect: Aspect, out: &mut Vec<Command>) {
    let words = format!("No {aspect} predictor fits the model in use");
    ui.label(RichText::new(words).weak().size(SMALL));
    let hint = state.keys.map.hint("Train one", Action::Go(Screen::Train));
    if ui.button("Go to Train").on_hover_text(hint).clicked() {
        out.push(Command::Show(Screen::Train));
    }
}

fn card(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    Frame::new()
        .fill(Palette::in_use(ui).raised)
        .corner_radius(RADIUS)
        .inner_margin(Margin::same(8))
        .show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            // Columns justify; running text and buttons are easier to read ragged.
            ui.with_layout(Layout::top_down(Align::LEFT), content);
        });
}

fn truth_words(ui: &mut Ui, row: &Row, aspect: Aspect) {
    let Some(truth) = row.record.truth.get(aspect) else {
        return;
    };
    let std = truth
        .std
        .map_or_else(String::new, |std| format!(" ± {std:.2}"));
    let raters = truth
        .num_ratings
        .map_or_else(String::new, |number| format!(", {number} ratings"));
    ui.weak(format!("People: {:.2}{std}{raters}", truth.mos));
}

fn rating(ui: &mut Ui, description: Option<&Description>) {
    let Some(description) = description else {
        return;
    };
    match (description.rating(), &description.answer) {
        (Some(rating), _) => {
            chip::chip(ui, rating.word(), "The word that the model answered with");
        }
        (None, Some(answer)) => {
            let short: String = answer.chars().take(24).collect();
            chip::warning(ui, &short, "An answer without one of the five words");
        }
        (None, None) => {}
    }
}

/// What the model on this machine says: the text as it comes, or the newest saved one.
fn local(ui: &mut Ui, (state, row): (&AppState, &Row), aspect: Aspect, out: &mut Vec<Command>) {
    if let Some(text) = row.streaming.get(aspect) {
        ui.label(text);
        ui.weak("Being written");
        return;
    }
    let description = row.local_description(aspect);
    if let Some(description) = description {
        told(ui, state, description);
    } else {
        ui.weak("Not described yet");
    }
    ui.horizontal_wrapped(|ui| {
        let is_usable = row.record.file.is_present();
        let (words, hint) = match description {
            Some(_) => ("Describe again", "The former description is kept"),
            None => ("Describe", "Runs on this machine"),
        };
        let button = ui
            .add_enabled(is_usable, egui::Button::new(words))
            .on_hover_text(hint)
            .on_disabled_hover_text("There is no picture to look at");
        if button.clicked() {
            out.push(Command::Describe {
                target: Target::Images(vec![row.record.id]),
                aspects: vec![aspect],
                again: description.is_some(),
            });
        }
        if is_usable && row.predicted(aspect).is_none() && ui.button("Score").clicked() {
            out.push(Command::Score {
                target: Target::Images(vec![row.record.id]),
                aspects: vec![aspect],
            });
        }
        if let Some(description) = description {
            copy(ui, description, out);
            report(ui, row, out);
        }
    });
}

/// Marks the picture's description as bad, or takes the mark off; undo takes it back.
fn report(ui: &mut Ui, row: &Row, out: &mut Vec<Command>) {
    let is_reported = row.record.tags.iter().any(|tag| tag == BAD_DESCRIPTION);
    let (words, hint) = if is_reported {
        ("Withdraw report", "Take the tag off again")
    } else {
        ("Report", "Mark the description as bad; kept as a tag")
    };
    if ui.button(words).on_hover_text(hint).clicked() {
        out.push(Command::SetTag {
            target: Target::Images(vec![row.record.id]),
            tag: BAD_DESCRIPTION.to_owned(),
            on: !is_reported,
        });
    }
}

fn told(ui: &mut Ui, state: &AppState, description: &Description) {
    let is_whole = state.inspect.is_conversation_unfolded;
    if is_whole {
        ui.label(RichText::new(&description.request).weak().size(SMALL));
    }
    ui.label(&description.text);
    if is_whole {
        ui.label(RichText::new(&description.question).weak().size(SMALL));
        ui.label(description.answer.as_deref().unwrap_or("Not asked"));
        ui.label(RichText::new(made_by(description)).weak().size(SMALL));
    }
}

fn made_by(description: &Description) -> String {
    let made = &description.made;
    let model = made
        .model
        .as_ref()
        .map_or("an unknown model", |model| model.name.as_str());
    let preset = made.preset.as_deref().unwrap_or("none");
    format!("Made by {model}, preset {preset}, seed {}", made.seed)
}

fn copy(ui: &mut Ui, description: &Description, out: &mut Vec<Command>) {
    if ui
        .button("Copy")
        .on_hover_text("Put the text on the clipboard")
        .clicked()
    {
        let text = description_as_text(description.aspect, description);
        out.push(Command::Copy(text));
    }
}
