//! Nothing to compare yet: why, and what to do.

use egui::Ui;

use crate::state::Command;
use crate::state::Screen;
use crate::state::actions::grouped;
use crate::ui::tokens::GROUP_GAP;

use super::View;
use super::toolbar;

/// Says what is lacking and offers it.
pub(super) fn show(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let aspect = view.state.compare.aspect;
    let part = view
        .comparison
        .split
        .map_or("rated".to_owned(), |split| split.to_string());
    ui.vertical_centered(|ui| {
        ui.add_space(GROUP_GAP * 4.0);
        if view.comparison.num_rated == 0 {
            ui.heading(format!("Nobody rated {aspect} here"));
            ui.weak("The dataset gives no opinion scores of this aspect in this part. Choose another above.");
            return;
        }
        ui.heading("No scores to compare yet");
        if view.project.predictor_card(aspect).is_none() {
            ui.weak(format!(
                "No {aspect} predictor fits the model in use. Train one on this dataset first."
            ));
            if ui.button("Go to Train").clicked() {
                out.push(Command::Show(Screen::Train));
            }
            return;
        }
        if view.comparison.to_score.is_empty() {
            ui.weak("None of the rated pictures of this part has a file that could be scored.");
            return;
        }
        ui.weak(
            "Scoring predicts the opinion score of each picture; pictures that are not described yet are described first.",
        );
        let num = view.comparison.to_score.len();
        let noun = if num == 1 { "picture" } else { "pictures" };
        if ui
            .button(format!("Score {} {part} {noun}", grouped(num)))
            .clicked()
        {
            out.push(toolbar::score(view));
        }
    });
}
