//! Long text: a few lines of it, and all of it on request.

use egui::FontId;
use egui::Label;
use egui::Ui;
use egui::epaint::text::LayoutJob;

use crate::ui::tokens::BODY;
use crate::ui::tokens::Palette;

/// Lines of a prompt before it is unfolded.
const FOLDED_ROWS: usize = 3;

/// Shows three lines of a text, or all of it; `true` when the user asks for the other.
pub fn folded(ui: &mut Ui, text: &str, is_unfolded: bool) -> bool {
    let folded = job(ui, text, false);
    let folded = ui.fonts_mut(|fonts| fonts.layout_job(folded));
    let is_long = folded.elided;
    let galley = match is_unfolded && is_long {
        true => {
            let whole = job(ui, text, true);
            ui.fonts_mut(|fonts| fonts.layout_job(whole))
        }
        false => folded,
    };
    ui.add(Label::new(galley).selectable(true));
    if !is_long {
        return false;
    }
    let words = if is_unfolded { "Show less" } else { "Show all" };
    ui.small_button(words).clicked()
}

fn job(ui: &Ui, text: &str, is_unfolded: bool) -> LayoutJob {
    let palette = Palette::in_use(ui);
    let font = FontId::proportional(BODY);
    let mut job = LayoutJob::simple(text.to_owned(), font, palette.ink, ui.available_width());
    if !is_unfolded {
        job.wrap.max_rows = FOLDED_ROWS;
    }
    job
}
