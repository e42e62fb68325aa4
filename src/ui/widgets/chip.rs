//! Chips: short facts in a rounded box, with a word for every colour.

use egui::Color32;
use egui::CornerRadius;
use egui::FontId;
use egui::Response;
use egui::Role;
use egui::Sense;
use egui::Stroke;
use egui::StrokeKind;
use egui::Ui;
use egui::WidgetInfo;
use egui::vec2;

use crate::domain::Origin;
use crate::ui::tokens::Palette;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STEP;

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
    let font = FontId::proportional(SMALL);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, ink);
    let size = galley.size() + vec2(4.0 * STEP, STEP);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    let rounding = CornerRadius::same((rect.height() / 2.0) as u8);
    ui.painter()
        .rect_stroke(rect, rounding, Stroke::new(1.0, line), StrokeKind::Inside);
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, ink);
    response
}
