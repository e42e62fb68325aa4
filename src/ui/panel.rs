//! The panel on the right: the selected picture with its prompt, scores and newest descriptions.

use egui::Color32;
use egui::Rect;
use egui::ScrollArea;
use egui::Sense;
use egui::Ui;
use egui::Vec2;
use egui::pos2;

use crate::domain::Aspect;
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::Row;
use crate::state::inspect::InspectCommand;
use crate::state::keys::Action;

use super::textures::Textures;
use super::tokens::GAP;
use super::tokens::Palette;
use super::tokens::STEP;
use super::widgets::chip;
use super::widgets::score_mark::ScoreMark;
use super::widgets::text;

/// Draws the panel.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let (Some(project), Some(row)) = (&state.project, state.focused()) else {
        ui.weak("Select a picture to see what is known of it.");
        return;
    };
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        thumbnail(ui, row, textures);
        head(ui, (state, row), out);
        prompt(ui, state, row, out);
        ui.separator();
        for aspect in Aspect::ALL {
            let mark = ScoreMark::of(row, aspect, project.info.scale);
            mark.show(ui, project.predictor_card(aspect));
        }
        ui.separator();
        for aspect in Aspect::ALL {
            description(ui, row, aspect);
        }
    });
}

fn thumbnail(ui: &mut Ui, row: &Row, textures: &mut Textures) {
    let side = ui.available_width().min(288.0);
    let (frame, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), side), Sense::hover());
    if let Some(reason) = row.record.file.reason() {
        let palette = Palette::in_use(ui);
        let font = egui::FontId::proportional(super::tokens::BODY);
        let room = frame.shrink(GAP);
        let galley = ui
            .painter()
            .layout(reason.to_owned(), font, palette.error, room.width());
        ui.painter().galley(room.left_top(), galley, palette.error);
        ui.painter().rect_stroke(
            frame,
            super::tokens::RADIUS,
            egui::Stroke::new(1.0, palette.error),
            egui::StrokeKind::Inside,
        );
    } else if let Some(thumbnail) = textures.thumbnail(row.record.id) {
        let texture = &thumbnail.texture;
        let size = texture.size_vec2();
        let scale = (frame.width() / size.x).min(frame.height() / size.y);
        let place = Rect::from_center_size(frame.center(), size * scale);
        let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter().image(texture.id(), place, uv, Color32::WHITE);
    }
}

/// File name, open button and the chips of a row.
pub(super) fn head(ui: &mut Ui, (state, row): (&AppState, &Row), out: &mut Vec<Command>) {
    let record = &row.record;
    ui.strong(record.file_name()).on_hover_text(&record.path);
    ui.scope(|ui| chips(ui, row));
    let hint = state.keys.map.hint("Look at it closely", Action::Inspect);
    if ui.button("Inspect").on_hover_text(hint).clicked() {
        out.push(Command::Inspect(record.id));
    }
}

fn chips(ui: &mut Ui, row: &Row) {
    let record = &row.record;
    // Chips are lower than controls, so their rows may lie closer.
    ui.spacing_mut().interact_size.y = 0.0;
    ui.spacing_mut().item_spacing.y = STEP;
    ui.horizontal_wrapped(|ui| {
        if let Some(generator) = &record.generator {
            chip::chip(ui, generator, "The model that made the picture");
        }
        if let Some(style) = &record.style {
            chip::chip(ui, style, "Style word of the prompt");
        }
        splits(ui, row);
        for tag in &record.tags {
            chip::chip(ui, tag, "Tag");
        }
    });
}

/// The split of every aspect; once where all are in the same.
fn splits(ui: &mut Ui, row: &Row) {
    let hint = "Which split list the picture is in";
    let split = &row.record.split;
    let first = *split.get(Aspect::Quality);
    if let Some(same) = first
        && split.iter().all(|(_, other)| *other == first)
    {
        chip::chip(ui, same.name(), hint);
        return;
    }
    for (aspect, split) in split.iter() {
        if let Some(split) = split {
            let words = format!("{} {split}", aspect.title().to_lowercase());
            chip::chip(ui, &words, hint);
        }
    }
}

/// The prompt: three lines, or all of it.
pub(super) fn prompt(ui: &mut Ui, state: &AppState, row: &Row, out: &mut Vec<Command>) {
    if row.record.prompt.is_empty() {
        ui.weak("No prompt is known for this picture.");
        return;
    }
    let source = format!("Prompt, from {}", row.record.prompt_source);
    ui.weak("Prompt").on_hover_text(source);
    if text::folded(ui, &row.record.prompt, state.inspect.is_prompt_unfolded) {
        out.push(Command::Picture(InspectCommand::TogglePrompt));
    }
}

fn description(ui: &mut Ui, row: &Row, aspect: Aspect) {
    let palette = Palette::in_use(ui);
    ui.colored_label(palette.aspect(aspect), aspect.title());
    if let Some(streaming) = row.streaming.get(aspect) {
        ui.label(streaming);
        return;
    }
    let newest = row
        .local_description(aspect)
        .or_else(|| row.descriptions.get(aspect).last());
    let Some(description) = newest else {
        ui.weak("Not described yet");
        return;
    };
    ui.horizontal(|ui| {
        chip::origin(ui, description.origin);
        if let Some(rating) = description.rating() {
            chip::chip(ui, rating.word(), "The word that the model chose");
        }
    });
    ui.label(&description.text);
}

/// The scale and name of the dataset, as the top bar says them.
pub(super) fn dataset_words(project: &Project) -> String {
    format!(
        "{} · {} images · scores on {}",
        project.info.dataset,
        crate::state::actions::grouped(project.rows.len()),
        project.info.scale
    )
}
