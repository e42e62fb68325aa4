//! The button of a screen that begins its work.

use egui::Button;
use egui::RichText;
use egui::Ui;
use egui::vec2;

use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;

/// Draws it, and answers whether it was pressed. Where something stands in the way it cannot be, and says why when it is
/// pointed at.
pub fn start_button(ui: &mut Ui, words: String, obstacle: Option<&str>) -> bool {
    let button = Button::new(RichText::new(words).strong())
        .min_size(vec2(200.0, ROW_HEIGHT + GAP))
        .fill(Palette::in_use(ui).accent_ground);
    ui.add_enabled(obstacle.is_none(), button)
        .on_disabled_hover_text(obstacle.unwrap_or_default())
        .clicked()
}
