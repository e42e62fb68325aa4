//! The picture in its frame: fit, one to one, zoom to the pointer, pan. Magnified pixels stay square.

use egui::Align;
use egui::Color32;
use egui::Layout;
use egui::Rect;
use egui::Response;
use egui::RichText;
use egui::Role;
use egui::Sense;
use egui::Ui;
use egui::UiBuilder;
use egui::Vec2;
use egui::WidgetInfo;
use egui::pos2;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::Row;
use crate::state::dialogs::DialogCommand;
use crate::state::inspect::InspectCommand;
use crate::state::inspect::Zoom;
use crate::ui::textures::FullTexture;
use crate::ui::textures::Textures;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::Palette;

/// Points of wheel travel that magnify by e.
const WHEEL: f32 = 400.0;

/// Draws the picture in focus over all the space there is.
pub(in crate::ui) fn show(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) -> Response {
    let (frame, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    let Some(row) = state.focused() else {
        return response;
    };
    let image = row.record.id;
    let name = format!("Picture {}", row.record.file_name());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
    let failure = row
        .record
        .file
        .reason()
        .or_else(|| state.picture_failures.get(&image).map(String::as_str));
    if let Some(reason) = failure {
        no_picture(ui, frame, (row, reason), out);
        return response;
    }
    if let Some(full) = textures.picture(image) {
        let size = vec2(full.width as f32, full.height as f32) / ui.ctx().pixels_per_point();
        let place = place(state, frame, size);
        paint_tiles(ui, frame, place, full);
        gestures(ui, state, &response, (frame, place, size), out);
    } else if let Some(thumbnail) = textures.thumbnail(image) {
        // The thumbnail stands in until the whole picture is decoded.
        let size = thumbnail.texture.size_vec2();
        let scale = (frame.width() / size.x).min(frame.height() / size.y);
        let place = Rect::from_center_size(frame.center(), size * scale);
        ui.painter()
            .image(thumbnail.texture.id(), place, whole(), Color32::WHITE);
    }
    response
}

fn whole() -> Rect {
    Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0))
}

fn fit_scale(frame: Rect, size: Vec2) -> f32 {
    (frame.width() / size.x).min(frame.height() / size.y)
}

/// Where a picture of `size` points at one to one lies on screen.
fn place(state: &AppState, frame: Rect, size: Vec2) -> Rect {
    let (scale, pan) = match state.inspect.zoom {
        Zoom::Fit => (fit_scale(frame, size), Vec2::ZERO),
        Zoom::Scale(scale) => (scale, Vec2::from(state.inspect.pan)),
    };
    Rect::from_center_size(frame.center() + pan, size * scale)
}

/// Paints a whole picture to a place, as far as the frame shows it.
pub(in crate::ui) fn paint_tiles(ui: &Ui, frame: Rect, place: Rect, full: &FullTexture) {
    let painter = ui.painter_at(frame);
    let scale = vec2(
        place.width() / full.width as f32,
        place.height() / full.height as f32,
    );
    for tile in &full.tiles {
        let [left, top, right, bottom] = tile.bounds.map(|bound| bound as f32);
        let rect = Rect::from_min_max(
            place.min + vec2(left, top) * scale,
            place.min + vec2(right, bottom) * scale,
        );
        if rect.intersects(frame) {
            painter.image(tile.texture.id(), rect, whole(), Color32::WHITE);
        }
    }
}

/// Dragging pans, the wheel zooms to the pointer.
fn gestures(
    ui: &Ui,
    state: &AppState,
    response: &Response,
    (frame, place, size): (Rect, Rect, Vec2),
    out: &mut Vec<Command>,
) {
    let scale = match state.inspect.zoom {
        Zoom::Fit => fit_scale(frame, size),
        Zoom::Scale(scale) => scale,
    };
    let pan = place.center() - frame.center();
    if response.dragged() && response.drag_delta() != Vec2::ZERO {
        let pan = pan + response.drag_delta();
        out.push(Command::Picture(InspectCommand::Place {
            scale,
            pan: pan.into(),
        }));
    }
    let Some(pointer) = response.hover_pos() else {
        return;
    };
    let wheel = ui.input(|input| input.smooth_scroll_delta().y / WHEEL + input.zoom_delta().ln());
    if wheel != 0.0 {
        let wanted = (scale * wheel.exp()).clamp(0.05, 64.0);
        // What lies under the pointer stays there.
        let offset = (pointer - place.center()) * (1.0 - wanted / scale);
        out.push(Command::Picture(InspectCommand::Place {
            scale: wanted,
            pan: (pan + offset).into(),
        }));
    }
}

/// Why there is no picture, and what can be done.
fn no_picture(ui: &mut Ui, frame: Rect, (row, reason): (&Row, &str), out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    let width = (frame.width() - 4.0 * GROUP_GAP).min(420.0);
    let room = Rect::from_center_size(frame.center(), vec2(width, 200.0));
    let layout = Layout::top_down(Align::Center);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(room).layout(layout));
    ui.label(RichText::new("No picture to show").heading());
    ui.colored_label(palette.error, reason);
    ui.weak(&row.record.path);
    ui.add_space(GROUP_GAP);
    let hint = "Choose the folder in which the pictures lie now";
    if ui
        .button("Find moved pictures…")
        .on_hover_text(hint)
        .clicked()
    {
        out.push(Command::Dialog(DialogCommand::Relocate));
    }
}
