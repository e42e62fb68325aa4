//! A histogram over a scale with a range to drag below it.

use egui::Rect;
use egui::Sense;
use egui::Ui;
use egui::Vec2;
use egui::pos2;

use crate::ui::tokens::Palette;

/// Width of the histogram and of the range below it.
const WIDTH: f32 = 280.0;

/// Height of the tallest bar.
const HEIGHT: f32 = 64.0;

/// Draws the bars and the range; answers the new range, `Some(None)` when it was opened to its bounds.
pub fn range_to_drag(
    ui: &mut Ui,
    name: &str,
    bars: &[u32],
    bounds: [f64; 2],
    range: Option<[f64; 2]>,
) -> Option<Option<[f64; 2]>> {
    let [mut low, mut high] = range.unwrap_or(bounds);
    let fraction = |value: f64| (value - bounds[0]) / (bounds[1] - bounds[0]);
    paint_bars(ui, bars, [fraction(low), fraction(high)]);
    let slider = egui::RangeSlider::new(&mut low, &mut high, bounds[0]..=bounds[1])
        .show_value(false)
        .step_by(0.1);
    ui.spacing_mut().slider_width = WIDTH;
    let response = ui.add(slider).accessible_name(name);
    let num_images: u32 = bars.iter().sum();
    if num_images == 0 {
        ui.weak("No picture here has one yet");
    } else {
        ui.weak(format!("From {low:.1} to {high:.1}"));
    }
    if !response.changed() {
        return None;
    }
    let is_whole = low <= bounds[0] && high >= bounds[1];
    Some((!is_whole).then_some([low, high]))
}

fn paint_bars(ui: &mut Ui, bars: &[u32], inside: [f64; 2]) {
    let palette = Palette::in_use(ui);
    let (rect, _) = ui.allocate_exact_size(Vec2::new(WIDTH, HEIGHT), Sense::hover());
    let most = bars.iter().copied().max().unwrap_or(0).max(1) as f32;
    let width = rect.width() / bars.len().max(1) as f32;
    for (idx, &bar) in bars.iter().enumerate() {
        let middle = (idx as f64 + 0.5) / bars.len() as f64;
        let colour = if (inside[0]..=inside[1]).contains(&middle) {
            palette.accent
        } else {
            palette.line
        };
        let left = rect.left() + idx as f32 * width;
        let top = rect.bottom() - rect.height() * bar as f32 / most;
        let bar = Rect::from_min_max(
            pos2(left, top),
            pos2(left + (width - 1.0).max(1.0), rect.bottom()),
        );
        ui.painter().rect_filled(bar, 0.0, colour);
    }
}
