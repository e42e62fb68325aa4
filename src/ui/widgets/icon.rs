//! Small drawn icons on buttons, each with its words for the pointer and for a screen reader.

use egui::Button;
use egui::Response;
use egui::Shape;
use egui::Stroke;
use egui::Ui;
use egui::vec2;

use crate::ui::tokens::ROW_HEIGHT;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// An arrow upwards.
    Up,
    /// An arrow downwards.
    Down,
}

/// A square button with an icon.
pub fn icon_button(ui: &mut Ui, icon: Icon, words: &str) -> Response {
    let response = ui
        .add(Button::new("").min_size(vec2(ROW_HEIGHT, ROW_HEIGHT)))
        .accessible_name(words)
        .on_hover_text(words);
    let ink = ui.style().interact(&response).fg_stroke.color;
    let centre = response.rect.center();
    let tip = match icon {
        Icon::Up => -4.0,
        Icon::Down => 4.0,
    };
    let corners = vec![
        centre + vec2(0.0, tip),
        centre + vec2(-5.0, -tip * 0.6),
        centre + vec2(5.0, -tip * 0.6),
    ];
    ui.painter()
        .add(Shape::convex_polygon(corners, ink, Stroke::NONE));
    response
}
