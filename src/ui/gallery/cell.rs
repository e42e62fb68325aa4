//! One cell: the picture, its score marks, and what is the matter with it.

use egui::Align2;
use egui::Color32;
use egui::FontId;
use egui::Painter;
use egui::Rect;
use egui::Response;
use egui::Role;
use egui::Sense;
use egui::Stroke;
use egui::StrokeKind;
use egui::Ui;
use egui::WidgetInfo;
use egui::pos2;
use egui::vec2;

use crate::domain::{Aspect, OpinionScale};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Row;
use crate::state::selection::SelectionCommand;
use crate::ui::textures::Textures;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::RADIUS;
use crate::ui::tokens::SMALL;
use crate::ui::widgets::score_mark::ScoreMark;
use crate::ui::widgets::score_mark::paint_shape;

/// Height of one score mark below the picture.
const MARK_HEIGHT: f32 = 16.0;

/// Width kept for the number beside a mark.
const NUMBER_WIDTH: f32 = 32.0;

/// Seconds in which a new picture fades in.
const FADE_SECONDS: f32 = 0.15;

/// A cell to draw.
pub(super) struct Cell<'a> {
    /// The picture with all that is known of it.
    pub(super) row: &'a Row,
    /// Where it lies.
    pub(super) rect: Rect,
    /// Scale of its scores.
    pub(super) scale: OpinionScale,
}

/// Height of a cell whose picture is `side` points wide.
pub(super) fn height(state: &AppState, side: f32) -> f32 {
    side + GAP + state.gallery.action_aspects.len() as f32 * MARK_HEIGHT
}

/// Draws a cell and takes clicks.
pub(super) fn show(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    out: &mut Vec<Command>,
    cell: &Cell<'_>,
) {
    let image = cell.row.record.id;
    let id = ui.scope_id().with(("cell", image.0));
    let response = ui.interact(cell.rect, id, Sense::click());
    let is_selected = state.selection.contains(image);
    response.widget_info(|| {
        WidgetInfo::selected(Role::ListBoxOption, true, is_selected, words(state, cell))
    });
    paint(ui, state, textures, cell, &response);
    clicks(ui, &response, cell, out);
    response.on_hover_ui(|ui| hint(ui, state, cell));
}

fn clicks(ui: &Ui, response: &Response, cell: &Cell<'_>, out: &mut Vec<Command>) {
    let image = cell.row.record.id;
    if response.double_clicked() {
        out.push(Command::Inspect(image));
    } else if response.clicked() {
        // A clicked cell must not keep the keyboard: Space and Enter belong to the gallery.
        response.surrender_focus();
        let modifiers = ui.input(|input| input.modifiers);
        out.push(Command::Selection(if modifiers.command {
            SelectionCommand::Toggle(image)
        } else if modifiers.shift {
            SelectionCommand::ExtendTo(image)
        } else {
            SelectionCommand::Only(image)
        }));
    }
}

/// What a screen reader hears, and what tests look for.
fn words(state: &AppState, cell: &Cell<'_>) -> String {
    let record = &cell.row.record;
    match failure(state, cell.row) {
        Some(reason) => format!("{}, {reason}", record.file_name()),
        None => format!("{}, {}", record.file_name(), record.prompt),
    }
}

/// Why a row has no picture to show.
fn failure<'a>(state: &'a AppState, row: &'a Row) -> Option<&'a str> {
    let record = &row.record;
    record
        .file
        .reason()
        .or_else(|| state.picture_failures.get(&record.id).map(String::as_str))
}

fn hint(ui: &mut Ui, state: &AppState, cell: &Cell<'_>) {
    let record = &cell.row.record;
    ui.strong(record.file_name());
    if let Some(reason) = failure(state, cell.row) {
        ui.colored_label(Palette::in_use(ui).error, reason);
    }
    if !record.prompt.is_empty() {
        let prompt: String = record.prompt.chars().take(400).collect();
        ui.label(prompt);
    }
    for aspect in Aspect::ALL {
        let mark = ScoreMark::of(cell.row, aspect, cell.scale);
        if !mark.is_empty() {
            ui.weak(mark.words());
        }
    }
}

fn paint(ui: &Ui, state: &AppState, textures: &mut Textures, cell: &Cell<'_>, response: &Response) {
    let palette = Palette::in_use(ui);
    let painter = ui.painter();
    let image = cell.row.record.id;
    let frame = Rect::from_min_size(cell.rect.min, egui::Vec2::splat(cell.rect.width()));
    if let Some(reason) = failure(state, cell.row) {
        paint_missing(painter, frame, reason, palette);
    } else if let Some(thumbnail) = textures.thumbnail(image) {
        let texture = &thumbnail.texture;
        let place = fitted(frame, texture.size_vec2());
        let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        let tint = Color32::WHITE.gamma_multiply(opacity(ui, state, thumbnail.since));
        painter.image(texture.id(), place, uv, tint);
    } else {
        painter.rect_filled(frame, 0.0, palette.panel);
    }
    paint_state_icon(painter, frame, cell.row, palette);
    paint_marks(painter, state, cell, palette);
    let ring = frame.expand(2.0);
    if state.selection.focus == Some(image) {
        painter.rect_stroke(
            ring,
            RADIUS,
            Stroke::new(3.0, palette.accent),
            StrokeKind::Middle,
        );
    } else if state.selection.contains(image) {
        painter.rect_stroke(
            ring,
            RADIUS,
            Stroke::new(2.0, palette.accent),
            StrokeKind::Middle,
        );
    } else if response.hovered() {
        painter.rect_stroke(
            ring,
            RADIUS,
            Stroke::new(1.0, palette.faint),
            StrokeKind::Middle,
        );
    }
    if state.selection.is_many() && state.selection.contains(image) {
        painter.rect_filled(frame, 0.0, palette.accent.gamma_multiply(0.12));
    }
}

/// How far a new picture has faded in, from 0 to 1; at once where motion is reduced.
fn opacity(ui: &Ui, state: &AppState, since: f64) -> f32 {
    let age = (ui.input(|input| input.time) - since) as f32;
    if state.is_motion_reduced || age >= FADE_SECONDS {
        return 1.0;
    }
    ui.request_repaint();
    (age / FADE_SECONDS).clamp(0.0, 1.0)
}

/// The largest rectangle of a picture's shape within a frame.
pub(super) fn fitted(frame: Rect, size: egui::Vec2) -> Rect {
    let scale = (frame.width() / size.x.max(1.0)).min(frame.height() / size.y.max(1.0));
    Rect::from_center_size(frame.center(), size * scale)
}

fn paint_missing(painter: &Painter, frame: Rect, reason: &str, palette: &Palette) {
    let inner = frame.shrink(1.0);
    painter.rect_stroke(
        inner,
        RADIUS,
        Stroke::new(1.0, palette.error),
        StrokeKind::Inside,
    );
    let font = FontId::proportional(SMALL);
    let room = inner.shrink(GAP);
    let text = painter.layout(reason.to_owned(), font, palette.faint, room.width());
    let at = pos2(
        room.left(),
        (room.center().y - text.size().y / 2.0).max(room.top()),
    );
    painter
        .with_clip_rect(inner.intersect(painter.clip_rect()))
        .galley(at, text, palette.faint);
}

/// Lines of text in the corner: described; with a cursor: being described now.
fn paint_state_icon(painter: &Painter, frame: Rect, row: &Row, palette: &Palette) {
    let is_streaming = row.streaming.iter().any(|(_, text)| text.is_some());
    let is_described = Aspect::ALL
        .into_iter()
        .any(|aspect| row.local_description(aspect).is_some());
    if !is_streaming && !is_described {
        return;
    }
    let tile = Rect::from_min_size(frame.right_top() + vec2(-22.0, 4.0), vec2(18.0, 16.0));
    painter.rect_filled(tile, RADIUS, palette.veil);
    let widths = if is_streaming {
        [10.0, 4.0]
    } else {
        [10.0, 7.0]
    };
    let ink = if is_streaming {
        DARK_PALETTE.warning
    } else {
        DARK_PALETTE.ink
    };
    for (idx, width) in widths.into_iter().enumerate() {
        let from = tile.left_top() + vec2(4.0, 5.5 + 5.0 * idx as f32);
        painter.line_segment([from, from + vec2(width, 0.0)], Stroke::new(1.5, ink));
    }
}

/// Icons lie on pictures, whose ground is dark in both themes.
const DARK_PALETTE: &Palette = Palette::of(crate::state::Theme::Dark);

fn paint_marks(painter: &Painter, state: &AppState, cell: &Cell<'_>, palette: &Palette) {
    let left = cell.rect.left();
    let right = cell.rect.right();
    let mut top = cell.rect.top() + cell.rect.width() + GAP / 2.0;
    for &aspect in &state.gallery.action_aspects {
        let middle = top + MARK_HEIGHT / 2.0;
        top += MARK_HEIGHT;
        let mark = ScoreMark::of(cell.row, aspect, cell.scale);
        let colour = palette.aspect(aspect);
        paint_shape(painter, pos2(left + 4.0, middle), 3.0, aspect, colour);
        let track = Rect::from_min_max(
            pos2(left + 14.0, middle - 6.0),
            pos2(right - NUMBER_WIDTH, middle + 6.0),
        );
        mark.paint_track(painter, track, palette);
        let (number, ink) = match (mark.predicted, mark.truth) {
            (Some(predicted), _) => (format!("{predicted:.2}"), palette.ink),
            (None, Some(truth)) => (format!("{:.2}", truth.mos), palette.faint),
            (None, None) => ("–".to_owned(), palette.faint),
        };
        painter.text(
            pos2(right, middle),
            Align2::RIGHT_CENTER,
            number,
            FontId::proportional(SMALL),
            ink,
        );
    }
}
