//! Chips: short facts in a rounded box, with a word for every colour.

use egui::Color32;
use egui::CornerRadius;
use egui::Frame;
use egui::Margin;
use egui::Response;
use egui::RichText;
use egui::Stroke;
use egui::Ui;

use crate::domain::Origin;
use crate::ui::tokens::Palette;
use crate::ui::tokens::SMALL;

/// A chip with a hint.
pub fn chip(ui: &mut Ui, text: &str, hint: &str) -> Response {
    let palette = Palette::in_use(ui);
    outlined(ui, text, palette.line, palette.faint).on_hover_text(hint)
}

/// A chip for something that deserves a look.
pub fn warning(ui: &mut Ui, text: &str, hint: &str) -> Response {
    let palette = Palette::in_use(ui);
    outlined(ui, text, palette.warning, palette.warning).on_hover_text(hint)
}

/// The chip of a description's origin.
pub fn origin(ui: &mut Ui, origin: Origin) -> Response {
    let hint = match origin {
        Origin::Local => "Written by the model on this machine",
        Origin::Published => "Written by the fine-tuned model of a published system, imported",
        Origin::Teacher => {
            "Written by a teacher that may have known the opinion score, imported; never scored from"
        }
    };
    chip(ui, origin.name(), hint)
}

fn outlined(ui: &mut Ui, text: &str, line: Color32, ink: Color32) -> Response {
    Frame::new()
        .stroke(Stroke::new(1.0, line))
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::symmetric(8, 1))
        .show(ui, |ui| {
            ui.add(egui::Label::new(RichText::new(text).size(SMALL).color(ink)).extend())
        })
        .inner
}
