//! The chosen run: what it brought in a sentence, Use and Roll back, its curves, figures, plots and pictures.

use egui::Button;
use egui::Ui;

use crate::domain::{Contest, RunRecord};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions::grouped;
use crate::state::train;
use crate::state::train::TrainCommand;
use crate::state::train::data::images;
use crate::state::train::runs as words;
use crate::ui::textures::Textures;
use crate::ui::widgets::chip;

use super::curves;
use super::versus;

/// Draws a run that is not being trained.
pub(super) fn show(
    ui: &mut Ui,
    (state, project): (&AppState, &Project),
    run: &RunRecord,
    (textures, out): (&mut Textures, &mut Vec<Command>),
) {
    let contest = Contest::BeforeAfter(run.id);
    let report = state.train.reports.of(contest).and_then(Result::ok);
    ui.label(words::verdict_with(run, report));
    for sentence in words::folds_words(project, run) {
        ui.label(sentence);
    }
    ui.horizontal_wrapped(|ui| buttons(ui, state, (project, run), out));
    if let Some(after) = &run.test_after {
        let fallback = (run.test_before.as_ref(), after);
        let shown = (["Before", "After"], fallback);
        versus::show(ui, (state, project), contest, shown, (textures, out));
    }
    if run.epochs.is_empty() {
        ui.weak("No epoch was done, so there is no curve.");
    } else {
        curves::show(ui, &[run], None);
    }
    let from = run.settings.learn_from.words();
    let from = match from.is_empty() {
        true => String::new(),
        false => format!(" ({from})"),
    };
    ui.weak(format!(
        "{} to learn from{from}, {} for the best epoch, {} for testing. Read by {} with the wording {}. {}. {}.",
        images(run.num_images[0]),
        grouped(run.num_images[1]),
        grouped(run.num_images[2]),
        run.model.name,
        run.preset,
        words::head_words(&run.settings),
        words::settings_words(&run.settings)
    ));
}

fn buttons(
    ui: &mut Ui,
    state: &AppState,
    (project, run): (&Project, &RunRecord),
    out: &mut Vec<Command>,
) {
    let aspect = run.settings.aspect;
    let is_busy = train::is_busy(state);
    if run.settings.selects_on_test() {
        super::test_list_chip(ui);
    }
    if train::is_cut_off(state, run) {
        let hint = "Goes on after the last epoch that was saved";
        if ui
            .add_enabled(!is_busy, Button::new("Go on"))
            .on_hover_text(hint)
            .on_disabled_hover_text("A training runs already; wait for it or stop it")
            .clicked()
        {
            out.push(Command::Train(TrainCommand::Resume(run.id)));
        }
        return;
    }
    let Some(predictor) = run.predictor else {
        return;
    };
    if words::is_in_use(project, run) {
        chip::chip(ui, "in use", "Its predictor gives the scores on screen");
        let hint = words::roll_back_words(project, run);
        if ui.button("Roll back").on_hover_text(&hint).clicked() {
            out.push(Command::Train(TrainCommand::Use {
                aspect,
                predictor: run.previous,
            }));
        }
        ui.weak(hint);
    } else {
        let hint = format!("Gives the scores of {aspect} from now on. Can be undone.");
        if ui.button("Use").on_hover_text(&hint).clicked() {
            out.push(Command::Train(TrainCommand::Use {
                aspect,
                predictor: Some(predictor),
            }));
        }
        ui.weak(hint);
    }
}
