//! The curves of a fine-tuning: the loss of every step, and what the validation part says after each epoch.

use egui::Ui;
use egui_plot::Line;
use egui_plot::LineStyle;
use egui_plot::Plot;
use egui_plot::PlotPoints;
use egui_plot::Points;

use crate::domain::{TuneEpoch, TuneFigures, TuneRun};
use crate::state::AppState;
use crate::state::distil::tune;
use crate::ui::tokens::Palette;

/// Height of a plot.
const HEIGHT: f32 = 170.0;

/// A figure of the validation part.
type Value = fn(&TuneFigures) -> Option<f64>;

/// Draws both plots of the run that is shown.
pub(super) fn show(ui: &mut Ui, state: &AppState) {
    let tune = &state.distil.tune;
    let run = tune.shown();
    let is_live = tune::job(state).is_some();
    let losses: &[[f64; 2]] = if is_live { &tune.losses } else { &[] };
    ui.columns(2, |columns| {
        if let [left, right] = columns {
            loss(left, run, losses);
            accuracy(right, run);
        }
    });
}

/// Losses over steps: each step's own, and those of the validation part at the end of each epoch.
fn loss(ui: &mut Ui, run: Option<&TuneRun>, losses: &[[f64; 2]]) {
    let palette = Palette::in_use(ui);
    ui.weak("Loss in nats a token: steps thin, validation part with dots");
    let epochs = run.map_or(&[][..], |run| &run.epochs);
    let an_epoch = run.map_or(1.0, |run| {
        run.steps as f64 / f64::from(run.settings.epochs.max(1))
    });
    let validated = points(epochs, an_epoch, |figures| Some(figures.loss));
    let trained: Vec<[f64; 2]> = match losses {
        [] => epochs
            .iter()
            .filter_map(|epoch| Some([f64::from(epoch.epoch) * an_epoch, epoch.train_loss?]))
            .collect(),
        losses => losses.to_vec(),
    };
    plot("tune_loss", ui, |plot| {
        let line = Line::new("training", PlotPoints::from(trained));
        plot.line(line.color(palette.faint).width(1.0));
        let line = Line::new("validation", PlotPoints::from(validated.clone()));
        plot.line(line.color(palette.ink).width(2.0));
        let dots = Points::new("validation", PlotPoints::from(validated));
        plot.points(dots.color(palette.ink).radius(3.0));
    })
    .accessible_name("Loss of the fine-tuning");
}

/// Accuracies of the rating word after each epoch.
fn accuracy(ui: &mut Ui, run: Option<&TuneRun>) {
    let palette = Palette::in_use(ui);
    ui.weak("Rating words on the validation part: exact solid, rough dashed");
    let epochs = run.map_or(&[][..], |run| &run.epochs);
    let exact = points(epochs, 1.0, |figures| figures.word_accuracy);
    let rough = points(epochs, 1.0, |figures| figures.rough_accuracy);
    let is_empty = exact.is_empty();
    plot("tune_accuracy", ui, |plot| {
        let line = Line::new("rough", PlotPoints::from(rough));
        plot.line(
            line.color(palette.faint)
                .width(2.0)
                .style(LineStyle::dashed_dense()),
        );
        let line = Line::new("exact", PlotPoints::from(exact.clone()));
        plot.line(line.color(palette.ink).width(2.0));
        let dots = Points::new("exact", PlotPoints::from(exact));
        plot.points(dots.color(palette.ink).radius(3.0));
    })
    .accessible_name("Rating words of the fine-tuning");
    if is_empty && run.is_some_and(|run| !run.epochs.is_empty()) {
        ui.weak("No conversation of the validation part has a rating word");
    }
}

fn points(epochs: &[TuneEpoch], scale: f64, value: Value) -> Vec<[f64; 2]> {
    epochs
        .iter()
        .filter_map(|epoch| Some([f64::from(epoch.epoch) * scale, value(&epoch.val)?]))
        .collect()
}

fn plot(name: &str, ui: &mut Ui, draw: impl FnOnce(&mut egui_plot::PlotUi<'_>)) -> egui::Response {
    Plot::new(name.to_owned())
        .height(HEIGHT)
        .include_x(0.0)
        .include_x(1.0)
        .include_y(0.0)
        .include_y(1.0)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .grid_color(Palette::in_use(ui).line)
        .show(ui, draw)
        .response
}
