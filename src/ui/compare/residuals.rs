//! Pictures by their error, worst or best first.

use egui::Align2;
use egui::Button;
use egui::Color32;
use egui::FontId;
use egui::Rect;
use egui::Role;
use egui::ScrollArea;
use egui::Sense;
use egui::Ui;
use egui::WidgetInfo;
use egui::pos2;
use egui::vec2;

use crate::state::Command;
use crate::state::compare::CompareCommand;
use crate::state::compare::Order;
use crate::state::compare::Pair;
use crate::stats::signed;
use crate::ui::textures::Textures;
use crate::ui::tokens::BODY;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::RADIUS;

use super::View;

/// Height of a line, thumbnail included.
const LINE: f32 = 52.0;

/// Width of each number at the right.
const NUMBER: f32 = 72.0;

/// Draws the list.
pub(super) fn show(ui: &mut Ui, view: View<'_>, textures: &mut Textures, out: &mut Vec<Command>) {
    head(ui, view, out);
    let comparison = view.comparison;
    let num = comparison.by_error.len();
    ui.spacing_mut().item_spacing.y = 0.0;
    let order = view.state.compare.order;
    // Another order is another list: it starts at its top.
    ScrollArea::vertical()
        .id_salt((
            "residuals",
            order == Order::Worst,
            view.state.compare.revision,
        ))
        .auto_shrink(false)
        .show_rows(ui, LINE, num, |ui, lines| {
            for line in lines {
                let place = match order {
                    Order::Worst => num - 1 - line,
                    Order::Best => line,
                };
                let pair = comparison
                    .by_error
                    .get(place)
                    .and_then(|&idx| comparison.pairs.get(idx));
                if let Some(&pair) = pair {
                    line_ui(ui, view, pair, textures, out);
                }
            }
        });
}

fn head(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        for (order, words, hint) in [
            (Order::Worst, "Worst first", "Largest error on top"),
            (Order::Best, "Best first", "Smallest error on top"),
        ] {
            let is_on = view.state.compare.order == order;
            let button = ui.add(Button::selectable(is_on, words)).on_hover_text(hint);
            if button.clicked() {
                out.push(Command::Compare(CompareCommand::SetOrder(order)));
            }
        }
        let row = ui.max_rect();
        let middle = row.center().y;
        let faint = Palette::in_use(ui).faint;
        for (idx, words) in ["error", "predicted", "people"].into_iter().enumerate() {
            let right = pos2(column(row, idx), middle);
            let font = FontId::proportional(BODY);
            ui.painter()
                .text(right, Align2::RIGHT_CENTER, words, font, faint);
        }
    });
}

/// Right edge of a number's column, counted from the right.
fn column(row: Rect, idx: usize) -> f32 {
    row.right() - GAP * 2.0 - idx as f32 * NUMBER
}

fn line_ui(
    ui: &mut Ui,
    view: View<'_>,
    pair: Pair,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let Some(row) = view.state.row(pair.image) else {
        return;
    };
    let size = vec2(ui.available_width(), LINE);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let id = ui.scope_id().with(("residual", pair.image.0));
    let response = ui.interact(rect, id, Sense::click());
    let is_selected = view.state.selection.contains(pair.image);
    let name = row.record.file_name();
    response.widget_info(|| {
        let words = format!(
            "{name}, predicted {:.2}, people {:.2}, error {}",
            pair.predicted,
            pair.truth,
            signed(pair.error(), 2)
        );
        WidgetInfo::selected(Role::ListBoxOption, true, is_selected, words)
    });
    let palette = Palette::in_use(ui);
    let ground = match (is_selected, response.hovered()) {
        (true, _) => palette.accent_ground,
        (false, true) => palette.hover,
        (false, false) => palette.panel,
    };
    ui.painter().rect_filled(rect.shrink(1.0), RADIUS, ground);
    let frame = Rect::from_min_size(rect.min, vec2(LINE * 1.2, LINE)).shrink(3.0);
    thumbnail(ui, pair, frame, textures);
    words(ui, rect, name, &row.record.prompt);
    numbers(ui, rect, pair);
    if response.double_clicked() {
        out.push(Command::Inspect(pair.image));
    } else if response.clicked() {
        // Enter belongs to the screen, which inspects the picture in focus.
        response.surrender_focus();
        out.push(super::click(ui, pair.image));
    }
    response.on_hover_text("Double click inspects (Enter)");
}

/// Paints a picture's thumbnail into a frame, whole.
pub(super) fn thumbnail(ui: &Ui, pair: Pair, frame: Rect, textures: &mut Textures) {
    if let Some(thumbnail) = textures.thumbnail(pair.image) {
        let texture = &thumbnail.texture;
        let size = texture.size_vec2();
        let scale = (frame.width() / size.x).min(frame.height() / size.y);
        let place = Rect::from_center_size(frame.center(), size * scale);
        let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter().image(texture.id(), place, uv, Color32::WHITE);
    }
}

fn words(ui: &Ui, rect: Rect, name: &str, prompt: &str) {
    let palette = Palette::in_use(ui);
    let left = rect.left() + LINE * 1.2 + GAP;
    let room = column(rect, 3) + GAP - left;
    let middle = rect.center().y;
    for (text, ink, anchor) in [
        (name, palette.ink, Align2::LEFT_BOTTOM),
        (prompt, palette.faint, Align2::LEFT_TOP),
    ] {
        let font = FontId::proportional(BODY);
        let mut job = egui::text::LayoutJob::simple(text.to_owned(), font, ink, room.max(1.0));
        job.wrap.max_rows = 1;
        job.wrap.break_anywhere = true;
        let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
        let place = anchor.anchor_size(pos2(left, middle), galley.size());
        ui.painter().galley(place.min, galley, ink);
    }
}

fn numbers(ui: &Ui, rect: Rect, pair: Pair) {
    let ink = Palette::in_use(ui).ink;
    let texts = [
        signed(pair.error(), 2),
        format!("{:.2}", pair.predicted),
        format!("{:.2}", pair.truth),
    ];
    for (idx, text) in texts.into_iter().enumerate() {
        let right = pos2(column(rect, idx), rect.center().y);
        let font = FontId::proportional(BODY);
        ui.painter()
            .text(right, Align2::RIGHT_CENTER, text, font, ink);
    }
}
