//! The prompt, in a field that leaves the study's tallest picture its room. What does not fit is scrolled, by wheel or
//! by key, so that neither the size of a picture nor its place hangs on the length of a prompt.

use std::sync::Arc;

use egui::Align;
use egui::Context;
use egui::FontId;
use egui::Galley;
use egui::Id;
use egui::Label;
use egui::ScrollArea;
use egui::Ui;
use egui::epaint::text::LayoutJob;
use egui::scroll_area::ScrollBarVisibility;
use egui::vec2;

use crate::state::rate::sitting::Showing;
use crate::state::rate::sitting::Sitting;
use crate::ui::tokens::BODY;
use crate::ui::tokens::GAP;
use crate::ui::tokens::STUDY;

/// Widest prompt: longer lines are hard to follow.
const WIDTH: f32 = 920.0;

/// Lines that a prompt keeps even where the picture has to shrink for them: fewer cannot be read.
const FEWEST_LINES: f32 = 3.0;

/// What a key asks of the prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Scroll {
    /// So many lines down, or up.
    Lines(f32),
    /// So many fields down, or up.
    Pages(f32),
    /// The next page, and from the end back to the beginning: one key reads everything.
    #[default]
    ReadOn,
}

/// Where the prompt of a trial stands.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    trial: usize,
    offset: f32,
    field: f32,
    most: f32,
}

/// Remembers what a key asks until the prompt is drawn.
pub(super) fn ask(ctx: &Context, scroll: Scroll) {
    ctx.data_mut(|data| data.insert_temp(asked_id(), scroll));
}

/// Draws the prompt in at most `room`; whether there is more of it than fits.
pub(super) fn show(ui: &mut Ui, (sitting, showing): (&Sitting, &Showing), room: f32) -> bool {
    let asked: Option<Scroll> = ui.data_mut(|data| data.remove_temp(asked_id()));
    if *sitting.protocol().hide_prompt.get(showing.trial.aspect)
        || sitting.longest_prompt.is_empty()
    {
        return false;
    }
    let width = ui.available_width().min(WIDTH);
    let longest = layout(ui, &sitting.longest_prompt, width);
    let line = ui.fonts_mut(|fonts| fonts.row_height(&FontId::proportional(BODY)));
    // As high for every trial, so that the picture stays where it is.
    let height = field_height(longest.size().y + GAP, room, line);
    let text = showing.prompt.as_deref().unwrap_or("No prompt is known");
    let galley = layout(ui, text, width);
    let is_long = galley.size().y > height;
    let trial = showing.trial.index;
    let before: Place = ui.data(|data| data.get_temp(place_id()).unwrap_or_default());
    let mut area = ScrollArea::vertical()
        .id_salt(("sitting_prompt", trial))
        .max_height(height)
        .auto_shrink(false);
    if is_long {
        area = area.scroll_bar_visibility(ScrollBarVisibility::AlwaysVisible);
    }
    if let Some(asked) = asked.filter(|_| before.trial == trial) {
        area = area.vertical_scroll_offset(target(before, asked, line));
    }
    ui.vertical_centered(|ui| {
        ui.allocate_ui(vec2(width, height), |ui| {
            ui.set_min_size(vec2(width, height));
            let shown = area.show(ui, |ui| {
                ui.add(Label::new(galley).selectable(false));
            });
            let field = shown.inner_rect.height();
            let place = Place {
                trial,
                offset: shown.state.clamped_offset().y,
                field,
                most: (shown.content_size.y - field).max(0.0),
            };
            ui.data_mut(|data| data.insert_temp(place_id(), place));
        });
    });
    is_long
}

/// As much as the longest prompt needs, within the room that the picture leaves, but never too little to read.
fn field_height(needed: f32, room: f32, line: f32) -> f32 {
    needed.min(room.max(FEWEST_LINES * line)).floor()
}

/// Where the prompt stands after a key.
fn target(place: Place, scroll: Scroll, line: f32) -> f32 {
    // A line of the page before stays in sight.
    let page = (place.field - line).max(line);
    let to = match scroll {
        Scroll::Lines(num) => place.offset + num * line,
        Scroll::Pages(num) => place.offset + num * page,
        Scroll::ReadOn if place.offset + 1.0 >= place.most => 0.0,
        Scroll::ReadOn => place.offset + page,
    };
    to.clamp(0.0, place.most)
}

fn layout(ui: &Ui, text: &str, width: f32) -> Arc<Galley> {
    let font = FontId::proportional(BODY);
    let mut job = LayoutJob::simple(text.to_owned(), font, STUDY.ink, width);
    job.halign = Align::LEFT;
    ui.fonts_mut(|fonts| fonts.layout_job(job))
}

fn asked_id() -> Id {
    Id::unique("sitting_prompt_asked")
}

fn place_id() -> Id {
    Id::unique("sitting_prompt_place")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_comes_first_and_three_lines_are_always_read() {
        let is = |height: f32, wanted: f32| (height - wanted).abs() < 1e-3;
        assert!(is(field_height(300.0, 90.0, 18.0), 90.0));
        assert!(
            is(field_height(40.0, 90.0, 18.0), 40.0),
            "no more than needed"
        );
        assert!(is(field_height(300.0, -200.0, 18.0), 54.0));
        assert!(is(field_height(18.0, -200.0, 18.0), 18.0));
    }

    #[test]
    fn reading_on_comes_to_the_end_and_begins_again() {
        let mut place = Place {
            trial: 1,
            offset: 0.0,
            field: 60.0,
            most: 100.0,
        };
        let mut offsets = Vec::new();
        for _ in 0..4 {
            place.offset = target(place, Scroll::ReadOn, 18.0);
            offsets.push(place.offset);
        }
        assert_eq!(offsets, [42.0, 84.0, 100.0, 0.0]);
        let is = |scroll, place, wanted: f32| (target(place, scroll, 18.0) - wanted).abs() < 1e-3;
        assert!(is(Scroll::Pages(-1.0), place, 0.0));
        place.offset = 90.0;
        assert!(is(Scroll::Lines(1.0), place, 100.0));
    }
}
