//! The continuous scale: five intervals with their words, and a handle that is nowhere until the rater puts it somewhere.

use egui::Align;
use egui::Align2;
use egui::Button;
use egui::Color32;
use egui::FontId;
use egui::Layout;
use egui::Rect;
use egui::Response;
use egui::Role;
use egui::Sense;
use egui::Stroke;
use egui::Ui;
use egui::WidgetInfo;
use egui::pos2;
use egui::vec2;

use crate::domain::{Method, OpinionScale};
use crate::state::Command;
use crate::state::rate::SittingCommand;
use crate::state::rate::sitting::Showing;
use crate::state::rate::sitting::Sitting;
use crate::ui::tokens::BODY;
use crate::ui::tokens::GAP;
use crate::ui::tokens::QUESTION;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STUDY;

use super::command;

/// Width of the scale.
const WIDTH: f32 = 640.0;

/// Height of scale, words and numbers.
const HEIGHT: f32 = 48.0;

/// Width of the number beside it.
const NUMBER: f32 = 48.0;

/// Width of the button.
const BUTTON: f32 = 104.0;

/// Draws the scale, the number and the button that answers.
pub(super) fn show(
    ui: &mut Ui,
    sitting: &Sitting,
    (showing, is_open): (&Showing, bool),
    out: &mut Vec<Command>,
) {
    let scale = sitting.protocol().method.scale();
    let width = WIDTH.min(ui.available_width() - NUMBER - BUTTON - 2.0 * GAP - 2.0 * 12.0);
    let whole = width + NUMBER + BUTTON + 2.0 * GAP;
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), HEIGHT),
        Layout::left_to_right(Align::Center),
        |ui| {
            ui.add_space(((ui.available_width() - whole) / 2.0).max(12.0));
            let response = track(ui, width, (scale, showing.slider));
            let is_moved = response.clicked() || response.dragged();
            if let Some(pointer) = response.interact_pointer_pos().filter(|_| is_moved) {
                let share = (pointer.x - response.rect.left()) / response.rect.width();
                let score = scale.min + f64::from(share) * (scale.max - scale.min);
                out.push(command(SittingCommand::Slide(score)));
            }
            number(ui, showing.slider);
            let can = is_open && showing.slider.is_some();
            let button = Button::new("Answer").min_size(vec2(BUTTON, HEIGHT - GAP));
            if ui.add_enabled(can, button).on_hover_text("Enter").clicked() {
                out.push(command(SittingCommand::Confirm));
            }
        },
    );
}

fn number(ui: &mut Ui, score: Option<f64>) {
    let words = score.map_or_else(|| "–".to_owned(), |score| format!("{score:.1}"));
    let (rect, response) = ui.allocate_exact_size(vec2(NUMBER, HEIGHT), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
    super::centred(ui, rect, &words, QUESTION);
}

fn track(ui: &mut Ui, width: f32, (scale, score): (OpinionScale, Option<f64>)) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click_and_drag());
    response.widget_info(|| {
        let mut info = WidgetInfo::slider(true, score.unwrap_or(f64::NAN), "Score from 0 to 5");
        // Nowhere is said in words, because a slider without a number would be read as one at its start.
        if score.is_none() {
            info = WidgetInfo::labeled(Role::Slider, true, "Score from 0 to 5, not given yet");
        }
        info
    });
    let painter = ui.painter();
    let x = |value: f64| rect.left() + rect.width() * scale.fraction(value) as f32;
    let middle = rect.top() + 16.0;
    let line = Rect::from_min_max(
        pos2(rect.left(), middle - 2.0),
        pos2(rect.right(), middle + 2.0),
    );
    painter.rect_filled(line, 2.0, STUDY.line);
    let num_intervals = Method::WORDS.len();
    for idx in 0..=num_intervals {
        let at = x(idx as f64);
        let stroke = Stroke::new(1.0, STUDY.faint);
        painter.vline(at, middle - 8.0..=middle + 8.0, stroke);
        if let Some(word) = Method::WORDS.get(idx) {
            let between = pos2(x(idx as f64 + 0.5), rect.bottom());
            let font = FontId::proportional(BODY);
            painter.text(between, Align2::CENTER_BOTTOM, word, font, STUDY.ink);
        }
        let font = FontId::proportional(SMALL);
        let below = pos2(at, rect.bottom());
        painter.text(below, Align2::CENTER_BOTTOM, idx, font, STUDY.faint);
    }
    if let Some(score) = score {
        let handle = Rect::from_center_size(pos2(x(score), middle), vec2(10.0, 28.0));
        painter.rect_filled(handle, 3.0, Color32::WHITE);
    }
    response
}
