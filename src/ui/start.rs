//! Start: what to open. The first thing a newcomer sees.

use egui::Button;
use egui::RichText;
use egui::Ui;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::command::Pick;
use crate::state::dialogs::DialogCommand;

use super::textures::Textures;
use super::tokens::GAP;
use super::tokens::GROUP_GAP;
use super::tokens::ROW_HEIGHT;

/// Width of the column.
const WIDTH: f32 = 640.0;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, _textures: &mut Textures, out: &mut Vec<Command>) {
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.16);
        ui.set_max_width(WIDTH);
        ui.label(RichText::new("Assay").heading().strong());
        ui.label(
            "See what is good and bad about generated pictures, and how people would rate them.",
        );
        ui.add_space(GROUP_GAP);
        buttons(ui, out);
        ui.add_space(GAP);
        ui.weak("or drop a folder, a table or a project anywhere on the window");
        ui.add_space(GROUP_GAP);
        if let Some(job) = state.jobs.running.first() {
            ui.spinner();
            ui.label(format!("{} · {}", job.title, job.progress.stage));
        }
        recent(ui, state, out);
    });
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
            Command::Dialog(DialogCommand::Open),
        ),
        (
            "Try the demo",
            "Synthetic scenes with known defects, made by this program",
            Command::OpenDemo,
        ),
    ];
    for (words, hint, command) in choices {
        let button = Button::new(words).min_size(vec2(260.0, ROW_HEIGHT + 8.0));
        if ui.add(button).on_hover_text(hint).clicked() {
            out.push(command);
        }
    }
}

fn recent(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    if state.recent.is_empty() {
        return;
    }
    ui.strong("Recent");
    for project in &state.recent {
        let button = Button::new(&project.title)
            .min_size(vec2(260.0, ROW_HEIGHT))
            .frame(false);
        if ui.add(button).on_hover_text(&project.path).clicked() {
            out.push(Command::Open(project.path.clone().into()));
        }
    }
}
