//! The curves of a run: losses on the left, validation correlations on the right.

use egui::Color32;
use egui::Ui;
use egui_plot::Corner;
use egui_plot::Legend;
use egui_plot::Line;
use egui_plot::LineStyle;
use egui_plot::Plot;
use egui_plot::PlotPoints;
use egui_plot::PlotUi;
use egui_plot::Points;
use egui_plot::VLine;

use crate::domain::{EpochFigures, Figures, RunRecord};
use crate::state::train::LiveStep;
use crate::state::train::runs::reason;
use crate::ui::tokens::Palette;
use crate::ui::tokens::STEP;

/// Height of a plot.
const HEIGHT: f32 = 200.0;

/// A curve with its name and look.
struct Curve {
    name: &'static str,
    points: Vec<[f64; 2]>,
    ink: Color32,
    is_dashed: bool,
}

/// Draws both plots; `live` is where the run stands within its epoch.
pub(super) fn show(ui: &mut Ui, run: &RunRecord, live: Option<LiveStep>) {
    let palette = Palette::in_use(ui);
    let ink = palette.aspect(run.settings.aspect);
    let live = live.filter(|live| live.run == run.id);
    let curve = |name, ink, is_dashed, value: &dyn Fn(&EpochFigures) -> Option<f64>| Curve {
        name,
        points: points(&run.epochs, value),
        ink,
        is_dashed,
    };
    let of_val = |pick: fn(&Figures) -> Option<f64>| move |epoch: &EpochFigures| pick(&epoch.val);
    let mut training = curve("Training loss", palette.faint, true, &|epoch| {
        Some(epoch.train_loss)
    });
    if let Some(live) = live {
        let within = f64::from(live.step) / f64::from(live.steps.max(1));
        let epoch = f64::from(live.epoch.saturating_sub(1)) + within;
        training.points.push([epoch, live.loss]);
    }
    let losses = [
        training,
        curve("Validation loss", ink, false, &|epoch| Some(epoch.val_loss)),
    ];
    let correlations = [
        curve("Validation SRCC", ink, false, &of_val(|val| val.srcc)),
        curve(
            "Validation PLCC",
            palette.faint,
            true,
            &of_val(|val| val.plcc),
        ),
    ];
    ui.columns(2, |columns| {
        let [left, right] = columns else {
            return;
        };
        left.weak("Loss (mean squared error) by epoch");
        // Losses fall and correlations rise: each legend stands where its curves are not.
        plot(left, ("loss", Corner::LeftBottom), run, losses, [0.0, 0.0]);
        right.weak("Correlation with people on the validation part, by epoch");
        let corner = Corner::RightBottom;
        plot(
            right,
            ("correlation", corner),
            run,
            correlations,
            [0.0, 1.0],
        );
        if let Some(last) = run.epochs.last()
            && last.val.srcc.is_none()
        {
            right.weak(format!("SRCC is undefined: {}", reason(&last.val)));
        }
    });
}

fn points(epochs: &[EpochFigures], value: &dyn Fn(&EpochFigures) -> Option<f64>) -> Vec<[f64; 2]> {
    epochs
        .iter()
        .filter_map(|epoch| Some([f64::from(epoch.epoch), value(epoch)?]))
        .collect()
}

fn plot<const N: usize>(
    ui: &mut Ui,
    (name, corner): (&str, Corner),
    run: &RunRecord,
    curves: [Curve; N],
    [low, high]: [f64; 2],
) {
    let palette = Palette::in_use(ui);
    let line_ink = palette.line;
    let best_ink = palette.accent;
    let epochs = f64::from(run.settings.epochs.max(2));
    let best = run.best_epoch.map(f64::from);
    let response = Plot::new((name, run.id.0))
        .height(HEIGHT)
        .include_x(1.0)
        .include_x(epochs)
        .include_y(low)
        .include_y(high)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .legend(Legend::default().position(corner))
        .grid_color(line_ink)
        .x_axis_formatter(|mark, _| {
            let is_whole = (mark.value - mark.value.round()).abs() < 1e-6;
            match is_whole {
                true => format!("{:.0}", mark.value),
                false => String::new(),
            }
        })
        .show(ui, |plot| {
            if let Some(best) = best {
                let line = VLine::new(format!("Best epoch, {best:.0}"), best);
                plot.vline(line.color(best_ink).width(1.0));
            }
            for curve in curves {
                draw(plot, curve);
            }
        })
        .response;
    response.accessible_name(format!("Curves of run {}: {name}", run.id.0));
    ui.add_space(STEP);
}

fn draw(plot: &mut PlotUi<'_>, curve: Curve) {
    let Curve {
        name,
        points,
        ink,
        is_dashed,
    } = curve;
    // A first epoch is a point before it is a line.
    let dots = Points::new(name, PlotPoints::from(points.clone()));
    plot.points(dots.color(ink).radius(2.5));
    let style = match is_dashed {
        true => LineStyle::dashed_dense(),
        false => LineStyle::Solid,
    };
    let line = Line::new(name, PlotPoints::from(points));
    plot.line(line.color(ink).width(2.0).style(style));
}
