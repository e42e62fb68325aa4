//! Start: what to open. The first thing a newcomer sees.

use egui::Align2;
use egui::Button;
use egui::Color32;
use egui::FontId;
use egui::Rect;
use egui::RichText;
use egui::Role;
use egui::ScrollArea;
use egui::Sense;
use egui::Stroke;
use egui::StrokeKind;
use egui::TextEdit;
use egui::Ui;
use egui::WidgetInfo;
use egui::pos2;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::command::Pick;
use crate::state::dialogs::DialogCommand;
use crate::state::start::RecentProject;
use crate::state::start::StartCommand;

use super::textures::Textures;
use super::tokens::BODY;
use super::tokens::GAP;
use super::tokens::GROUP_GAP;
use super::tokens::Palette;
use super::tokens::RADIUS;
use super::tokens::ROW_HEIGHT;
use super::tokens::SMALL;
use super::tokens::STEP;

/// Width of the column.
const WIDTH: f32 = 760.0;

/// Width of the button beside the path field.
const OPEN_WIDTH: f32 = 88.0;

/// Side of a picture in a project's strip.
const STRIP_SIDE: f32 = 72.0;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let space = (ui.available_width() - WIDTH).max(2.0 * GROUP_GAP) / 2.0;
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            ui.add_space(space);
            ui.vertical(|ui| {
                ui.set_max_width(WIDTH.min(ui.available_width() - space));
                column(ui, state, textures, out);
            });
        });
    });
}

fn column(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    ui.add_space(3.0 * GROUP_GAP);
    ui.label(RichText::new("Assay").heading().strong());
    ui.label("See what is good and bad about generated pictures, and how people would rate them.");
    ui.add_space(GROUP_GAP);
    ui.horizontal_wrapped(|ui| buttons(ui, out));
    ui.horizontal(|ui| path_field(ui, state, out));
    ui.weak("or drop a folder, a table, a picture or a project anywhere on the window");
    if let Some(job) = state.jobs.running.first() {
        ui.add_space(GAP);
        ui.horizontal(|ui| {
            ui.spinner();
            ui.label(format!("{} · {}", job.title, job.progress.stage));
        });
    }
    ui.add_space(GROUP_GAP);
    recent(ui, state, textures, out);
    ui.add_space(GROUP_GAP);
}

fn buttons(ui: &mut Ui, out: &mut Vec<Command>) {
    let choices = [
        (
            "Open folder…",
            "A folder of images, or a dataset such as AGIQA-3K",
            Command::Dialog(DialogCommand::Pick(Pick::OpenFolder)),
        ),
        (
            "Open project or table…",
            "An .assay project, or a CSV with image paths and prompts",
            Command::Dialog(DialogCommand::Pick(Pick::OpenFile)),
        ),
        (
            "Try the demo",
            "Synthetic scenes with known defects, made by this program",
            Command::OpenDemo,
        ),
    ];
    let gaps = (choices.len() - 1) as f32 * GAP;
    let width = ((ui.available_width() - gaps) / choices.len() as f32).floor();
    for (words, hint, command) in choices {
        let button = Button::new(words).min_size(vec2(width, ROW_HEIGHT + GAP));
        if ui.add(button).on_hover_text(hint).clicked() {
            out.push(command);
        }
    }
}

fn path_field(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let mut text = state.start.path_text.clone();
    let field = TextEdit::singleline(&mut text)
        .hint_text("or its path")
        .align(Align2::LEFT_CENTER)
        .desired_width(ui.available_width() - OPEN_WIDTH - GAP);
    let response = ui.add(field).accessible_name("Path");
    if response.changed() {
        out.push(Command::Start(StartCommand::SetPath(text)));
    }
    let is_entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
    let path = state.start.path_text.trim();
    let size = vec2(OPEN_WIDTH, ROW_HEIGHT);
    let button = ui.add_enabled(!path.is_empty(), Button::new("Open").min_size(size));
    let is_clicked = button.on_disabled_hover_text("Type a path first").clicked();
    if (is_clicked || is_entered) && !path.is_empty() {
        out.push(Command::Open(path.into()));
    }
}

fn recent(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    ui.strong("Recent projects");
    if state.start.recent.is_empty() {
        nothing_recent(ui);
        return;
    }
    for project in &state.start.recent {
        card(ui, project, textures, out);
    }
}

fn nothing_recent(ui: &mut Ui) {
    let palette = Palette::in_use(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 96.0), Sense::hover());
    let line = Stroke::new(1.0, palette.line);
    ui.painter()
        .rect_stroke(rect, RADIUS, line, StrokeKind::Inside);
    let words = "Projects that you open will be listed here, with some of their pictures";
    let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(rect));
    ui.centered_and_justified(|ui| ui.weak(words));
}

/// A project: its pictures, its name, where it is. A click opens it.
fn card(ui: &mut Ui, project: &RecentProject, textures: &mut Textures, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    let height = STRIP_SIDE + 2.0 * GAP;
    let forget_width = 72.0;
    ui.horizontal(|ui| {
        let size = vec2(ui.available_width() - forget_width - GAP, height);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        let name = match project.is_gone {
            true => format!("{}, its file is gone", project.title),
            false => format!("Open {}", project.title),
        };
        response.widget_info(|| WidgetInfo::labeled(Role::Button, !project.is_gone, &name));
        let fill = match response.hovered() && !project.is_gone {
            true => palette.hover,
            false => palette.raised,
        };
        ui.painter().rect_filled(rect, RADIUS, fill);
        if response.has_focus() {
            let ring = Stroke::new(2.0, palette.accent);
            ui.painter()
                .rect_stroke(rect, RADIUS, ring, StrokeKind::Inside);
        }
        words(ui, rect, project);
        strip(ui, rect, project, textures);
        if response.on_hover_text(&project.path).clicked() && !project.is_gone {
            out.push(Command::Open(project.path.clone().into()));
        }
        if ui
            .small_button("Forget")
            .accessible_name(format!("Forget {}", project.title))
            .on_hover_text("Strike it off this list; its file stays")
            .clicked()
        {
            let path = project.path.clone().into();
            out.push(Command::Start(StartCommand::Forget(path)));
        }
    });
}

/// Width of the part of a card that its words take.
const WORDS_WIDTH: f32 = 200.0;

fn words(ui: &Ui, card: Rect, project: &RecentProject) {
    let palette = Palette::in_use(ui);
    let room = Rect::from_min_max(card.min, pos2(card.left() + WORDS_WIDTH, card.bottom()));
    let room = room.shrink2(vec2(1.5 * GAP, GAP));
    let painter = ui.painter_at(room);
    let mut at = room.left_center() - vec2(0.0, ROW_HEIGHT);
    let second = match (project.is_gone, project.num_images) {
        (true, _) => "Its file is gone".to_owned(),
        (false, 0) => String::new(),
        (false, number) => format!("{} images", grouped(number)),
    };
    let ink = match project.is_gone {
        true => palette.error,
        false => palette.faint,
    };
    let lines = [
        (project.title.clone(), BODY, palette.ink),
        (second, SMALL, ink),
        (short_path(&project.path), SMALL, palette.faint),
    ];
    for (words, size, ink) in lines {
        let font = FontId::proportional(size);
        painter.text(at, Align2::LEFT_TOP, words, font, ink);
        at.y += size + 1.5 * STEP;
    }
}

/// The end of a path, which says more than its beginning.
fn short_path(path: &str) -> String {
    const MOST: usize = 28;
    let num_chars = path.chars().count();
    if num_chars <= MOST {
        return path.to_owned();
    }
    let end: String = path.chars().skip(num_chars - MOST + 1).collect();
    format!("…{end}")
}

fn strip(ui: &Ui, card: Rect, project: &RecentProject, textures: &mut Textures) {
    let palette = Palette::in_use(ui);
    let left = card.left() + WORDS_WIDTH + GAP;
    let places = ((card.right() - GAP - left) / (STRIP_SIDE + STEP)).floor() as usize;
    let pictures = textures.strip(&project.path);
    for place in 0..places {
        let corner = pos2(left + place as f32 * (STRIP_SIDE + STEP), card.top() + GAP);
        let rect = Rect::from_min_size(corner, egui::Vec2::splat(STRIP_SIDE));
        match pictures.get(place) {
            Some(texture) => {
                let uv = middle_square(texture.size_vec2());
                ui.painter().image(texture.id(), rect, uv, Color32::WHITE);
            }
            None => {
                ui.painter().rect_filled(rect, 0.0, palette.ground);
            }
        }
    }
}

/// The part of a picture that fills a square without distorting it.
fn middle_square(size: egui::Vec2) -> Rect {
    let side = size.x.min(size.y).max(1.0);
    let part = vec2(side / size.x.max(1.0), side / size.y.max(1.0));
    Rect::from_center_size(pos2(0.5, 0.5), part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_shows_the_middle_of_a_wide_picture() {
        let part = middle_square(vec2(200.0, 100.0));
        assert_eq!(part, Rect::from_min_max(pos2(0.25, 0.0), pos2(0.75, 1.0)));
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        let path = "/home/somebody/studies/2026/autumn/prompts/pictures.assay";
        let short = short_path(path);
        assert!(short.starts_with('…') && short.ends_with("/pictures.assay"));
        assert_eq!(short_path("a.assay"), "a.assay");
    }
}
