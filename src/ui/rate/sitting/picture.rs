//! The picture or the pair, each in the size that the study asks for.

use egui::Rect;
use egui::Role;
use egui::Sense;
use egui::Ui;
use egui::Vec2;
use egui::WidgetInfo;
use egui::vec2;

use crate::domain::study::Presentation;
use crate::state::Command;
use crate::state::rate::SittingCommand;
use crate::state::rate::sitting::Display;
use crate::state::rate::sitting::Showing;
use crate::state::rate::sitting::Sitting;
use crate::ui::inspect;
use crate::ui::textures::FullTexture;
use crate::ui::textures::Textures;
use crate::ui::tokens::GROUP_GAP;

use super::command;

/// What the pictures' room is higher than the tallest of them.
pub(super) const MARGIN: f32 = GROUP_GAP;

/// Draws the pictures, and says so as soon as all of them are on screen.
pub(super) fn show(
    ui: &mut Ui,
    (sitting, showing): (&Sitting, &Showing),
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let room = ui.available_rect_before_wrap().shrink(MARGIN / 2.0);
    let frames = frames(room, showing.images.len());
    let names = names(showing.images.len());
    let mut zoom: f32 = 0.0;
    let mut is_whole = true;
    let mut is_shrunk = false;
    for ((&image, frame), name) in showing.images.iter().zip(frames).zip(names) {
        let response = ui.allocate_rect(frame, Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, *name));
        let Some(full) = textures.ready(image) else {
            is_whole = false;
            continue;
        };
        let pixels = ui.ctx().pixels_per_point();
        let (size, shrunk) = size(full, sitting.presentation(), frame.size(), pixels);
        let place = aligned(Rect::from_center_size(frame.center(), size), pixels);
        inspect::paint_tiles(ui, frame, place, full);
        zoom = zoom.max(place.width() * pixels / full.width as f32);
        is_shrunk |= shrunk;
    }
    if !is_whole {
        super::centred(ui, room, "One moment", crate::ui::tokens::BODY);
        return;
    }
    let display = Display {
        zoom: f64::from(zoom),
        size_px: screen_px(ui),
        dpi_scale: f64::from(ui.ctx().pixels_per_point()),
        is_shrunk,
    };
    if showing.shown_at.is_none() || showing.display != display {
        let trial = showing.trial.index;
        out.push(command(SittingCommand::Shown { trial, display }));
    }
}

const fn names(num: usize) -> &'static [&'static str] {
    match num {
        1 => &["Picture to rate"],
        _ => &["Left picture", "Right picture"],
    }
}

/// Frames side by side.
fn frames(room: Rect, num: usize) -> Vec<Rect> {
    let num = num.max(1);
    let width = (room.width() - GROUP_GAP * (num - 1) as f32) / num as f32;
    (0..num)
        .map(|idx| {
            let left = room.left() + idx as f32 * (width + GROUP_GAP);
            Rect::from_min_size(egui::pos2(left, room.top()), vec2(width, room.height()))
        })
        .collect()
}

/// Size in points; shrunk, which the answer records, where the frame is too small.
fn size(full: &FullTexture, presentation: Presentation, frame: Vec2, pixels: f32) -> (Vec2, bool) {
    let natural = vec2(full.width as f32, full.height as f32) / pixels;
    let wanted = match presentation {
        Presentation::OneToOne => natural,
        Presentation::Fixed { height_px } => natural * (height_px as f32 / full.height as f32),
    };
    let fit = (frame.x / wanted.x).min(frame.y / wanted.y);
    if fit < 1.0 {
        (wanted * fit, true)
    } else {
        (wanted, false)
    }
}

/// On whole screen pixels, so that one to one is exactly that.
fn aligned(rect: Rect, pixels: f32) -> Rect {
    let corner = (rect.min.to_vec2() * pixels).round() / pixels;
    Rect::from_min_size(corner.to_pos2(), rect.size())
}

/// The screen's size where the desktop tells it, else the window's.
fn screen_px(ui: &Ui) -> [u32; 2] {
    let pixels = ui.ctx().pixels_per_point();
    let monitor = ui.input(|input| input.viewport().monitor_size);
    let size = monitor.unwrap_or_else(|| ui.ctx().content_rect().size()) * pixels;
    [size.x.round() as u32, size.y.round() as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texture(width: u32, height: u32) -> FullTexture {
        FullTexture {
            width,
            height,
            tiles: Vec::new(),
        }
    }

    #[test]
    fn one_to_one_is_a_screen_pixel_for_a_picture_pixel() {
        let frame = vec2(1000.0, 800.0);
        let full = texture(512, 256);
        let one = Presentation::OneToOne;
        assert_eq!(size(&full, one, frame, 1.0), (vec2(512.0, 256.0), false));
        assert_eq!(size(&full, one, frame, 2.0), (vec2(256.0, 128.0), false));
    }

    #[test]
    fn a_fixed_height_holds_for_every_shape_until_the_frame_is_too_small() {
        let fixed = Presentation::Fixed { height_px: 400 };
        let wide = texture(1024, 512);
        assert_eq!(
            size(&wide, fixed, vec2(1000.0, 800.0), 1.0),
            (vec2(800.0, 400.0), false)
        );
        let (shrunk, is_shrunk) = size(&wide, fixed, vec2(400.0, 800.0), 1.0);
        assert!(is_shrunk);
        assert_eq!(shrunk, vec2(400.0, 200.0));
    }

    #[test]
    fn a_pair_has_equal_frames() {
        let room = Rect::from_min_size(egui::pos2(10.0, 20.0), vec2(1000.0, 500.0));
        let frames = frames(room, 2);
        assert_eq!(frames[0].size(), frames[1].size());
        assert!(frames[0].right() < frames[1].left());
        assert!((frames[1].right() - room.right()).abs() < 1e-3);
    }
}
