//! Compare: predictions against ground truth, as a plot, as figures, and picture by picture.

mod empty;
mod figures;
mod residuals;
pub(super) mod scatter;
mod toolbar;

use egui::CentralPanel;
use egui::Frame;
use egui::Margin;
use egui::Panel;
use egui::ScrollArea;
use egui::Ui;

use crate::domain::Aspect;
use crate::domain::ImageId;
use crate::domain::OpinionScale;
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::compare::Comparison;
use crate::state::selection::SelectionCommand;

use super::textures::Textures;
use super::tokens::Palette;

/// What every part of the screen draws from.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// Everything that the window knows.
    pub(super) state: &'a AppState,
    /// The open project.
    pub(super) project: &'a Project,
    /// What is compared.
    pub(super) comparison: &'a Comparison,
    /// The aspect compared.
    pub(super) aspect: Aspect,
    /// The scale of what people said.
    pub(super) truth_scale: OpinionScale,
    /// The study in which they said it, where it is not the dataset's own truth.
    pub(super) truth_study: Option<&'a str>,
}

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let Some(project) = &state.project else {
        ui.weak("Open a dataset to compare predictions with what people said.");
        return;
    };
    let view = View {
        state,
        project,
        comparison: &state.compare.comparison,
        aspect: state.compare.aspect,
        truth_scale: project.info.scale,
        truth_study: project
            .truth_study(state.compare.aspect)
            .map(|study| study.protocol.name.as_str()),
    };
    let bar = Frame::new()
        .fill(Palette::in_use(ui).panel)
        .inner_margin(Margin::symmetric(12, 8));
    Panel::top("compare_bar")
        .frame(bar)
        .show(ui, |ui| toolbar::show(ui, view, out));
    if view.comparison.pairs.is_empty() {
        CentralPanel::default()
            .frame(bar)
            .show(ui, |ui| empty::show(ui, view, out));
        return;
    }
    let width = ui.available_width();
    Panel::right("compare_figures")
        .frame(bar)
        .resizable(true)
        .default_size((width * 0.4).clamp(300.0, 440.0))
        .size_range(280.0..=560.0)
        .show(ui, |ui| {
            ScrollArea::vertical()
                .auto_shrink(false)
                .show(ui, |ui| figures::show(ui, view, out));
        });
    let height = ui.available_height();
    Panel::bottom("compare_residuals")
        .frame(bar)
        .resizable(true)
        .default_size((height * 0.36).clamp(160.0, 360.0))
        .size_range(120.0..=(height - 200.0).max(121.0))
        .show(ui, |ui| residuals::show(ui, view, textures, out));
    CentralPanel::default()
        .frame(bar)
        .show(ui, |ui| scatter::show(ui, view, textures, out));
}

/// What a click on a picture's mark or line asks for: with the command key it adds to the selection.
fn click(ui: &Ui, image: ImageId) -> Command {
    let is_adding = ui.input(|input| input.modifiers.command);
    Command::Selection(match is_adding {
        true => SelectionCommand::Toggle(image),
        false => SelectionCommand::Only(image),
    })
}
