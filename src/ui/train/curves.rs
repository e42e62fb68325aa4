//! The curves of a run: losses on the left, validation correlations on the right.

use egui::Color32;
use egui::RichText;
use egui::Sense;
use egui::Shape;
use egui::Stroke;
use egui::Ui;
use egui::vec2;
use egui_plot::Line;
use egui_plot::LineStyle;
use egui_plot::Plot;
use egui_plot::PlotPoints;
use egui_plot::PlotUi;
use egui_plot::Points;
use egui_plot::VLine;

use crate::domain::{EpochFigures, RunRecord, RunStatus};
use crate::state::train::LiveStep;
use crate::state::train::runs::reason;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STEP;

/// Height of a plot.
const HEIGHT: f32 = 200.0;

/// Length of a line in the legend.
const SAMPLE: f32 = 20.0;

/// A curve with its name and look.
struct Curve {
    name: String,
    points: Vec<[f64; 2]>,
    ink: Color32,
    is_dashed: bool,
}

/// A figure of an epoch.
type Value = fn(&EpochFigures) -> Option<f64>;

/// One of the two plots: its title, its curves, and the ends of its axis.
struct Panel {
    name: &'static str,
    title: &'static str,
    /// The second curve of each is drawn dashed.
    solid: (&'static str, Value),
    dashed: (&'static str, Value),
    bounds: [f64; 2],
}

const PANELS: [Panel; 2] = [
    Panel {
        name: "loss",
        title: "Loss by epoch",
        solid: ("validation loss", |epoch| Some(epoch.val_loss)),
        dashed: ("training loss", |epoch| Some(epoch.train_loss)),
        bounds: [0.0, 0.0],
    },
    Panel {
        name: "correlation",
        title: "Correlation with people on the validation part, by epoch",
        solid: ("validation SRCC", |epoch| epoch.val.srcc),
        dashed: ("validation PLCC", |epoch| epoch.val.plcc),
        bounds: [0.0, 1.0],
    },
];

/// Draws both plots of one run, or of two over each other; `live` is where a run stands within its epoch.
pub(super) fn show(ui: &mut Ui, runs: &[&RunRecord], live: Option<LiveStep>) {
    ui.columns(2, |columns| {
        for (column, panel) in columns.iter_mut().zip(&PANELS) {
            let title = match (panel.name, runs) {
                ("correlation", [run, ..]) if run.settings.selects_on_test() => {
                    "Correlation with people on the test list, which chooses the epoch"
                }
                _ => panel.title,
            };
            column.weak(title);
            plot(column, panel, runs, live);
        }
        if let ([run], Some(right)) = (runs, columns.get_mut(1))
            && let Some(last) = run.epochs.last()
            && last.val.srcc.is_none()
        {
            right.weak(format!("SRCC is undefined: {}", reason(&last.val)));
        }
    });
}

/// The curves of a panel: of each run a solid one and a dashed one.
fn curves(
    palette: &Palette,
    panel: &Panel,
    runs: &[&RunRecord],
    live: Option<LiveStep>,
) -> Vec<Curve> {
    let mut curves = Vec::new();
    for (idx, run) in runs.iter().enumerate() {
        let is_first_of_two = runs.len() > 1 && idx == 0;
        let aspect = palette.aspect(run.settings.aspect);
        let (solid, dashed) = match (runs.len() > 1, is_first_of_two) {
            (false, _) => (aspect, palette.faint),
            (true, true) => (palette.faint, palette.faint.gamma_multiply(0.6)),
            (true, false) => (aspect, aspect.gamma_multiply(0.6)),
        };
        let name = |words: &str| match runs.len() {
            1 => capital(words),
            _ => format!("Run {}, {words}", run.id.0),
        };
        let mut dashed = Curve {
            name: name(panel.dashed.0),
            points: points(&run.epochs, panel.dashed.1),
            ink: dashed,
            is_dashed: true,
        };
        if panel.name == "loss"
            && let Some(live) = live.filter(|live| live.run == run.id)
        {
            let within = f64::from(live.step) / f64::from(live.steps.max(1));
            let epoch = f64::from(live.epoch.saturating_sub(1)) + within;
            dashed.points.push([epoch, live.loss]);
        }
        curves.push(dashed);
        curves.push(Curve {
            name: name(panel.solid.0),
            points: points(&run.epochs, panel.solid.1),
            ink: solid,
            is_dashed: false,
        });
    }
    curves
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

fn points(epochs: &[EpochFigures], value: Value) -> Vec<[f64; 2]> {
    epochs
        .iter()
        .filter_map(|epoch| Some([f64::from(epoch.epoch), value(epoch)?]))
        .collect()
}

fn plot(ui: &mut Ui, panel: &Panel, runs: &[&RunRecord], live: Option<LiveStep>) {
    let palette = Palette::in_use(ui);
    let best_ink = palette.accent;
    let curves = curves(palette, panel, runs, live);
    legend(ui, &curves);
    let longest = runs.iter().map(|run| length(run)).max().unwrap_or(2);
    let ids: Vec<i64> = runs.iter().map(|run| run.id.0).collect();
    let response = Plot::new((panel.name, &ids))
        .height(HEIGHT)
        .include_x(1.0)
        .include_x(f64::from(longest.max(2)))
        .include_y(panel.bounds[0])
        .include_y(panel.bounds[1])
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .grid_color(palette.line)
        .x_axis_formatter(|mark, _| {
            let is_whole = (mark.value - mark.value.round()).abs() < 1e-6;
            match is_whole {
                true => format!("{:.0}", mark.value),
                false => String::new(),
            }
        })
        .show(ui, |plot| {
            if let ([run], Some(best)) = (runs, runs.first().and_then(|run| run.best_epoch)) {
                let is_over = run.status != RunStatus::Running;
                let words = if is_over { "Best epoch" } else { "Best so far" };
                let line = VLine::new(format!("{words}, {best}"), f64::from(best));
                plot.vline(line.color(best_ink).width(1.0));
            }
            for curve in curves {
                draw(plot, curve);
            }
        })
        .response;
    let words: Vec<String> = ids.iter().map(i64::to_string).collect();
    let noun = if ids.len() > 1 { "runs" } else { "run" };
    let name = format!("Curves of {noun} {}: {}", words.join(" and "), panel.name);
    response.accessible_name(name);
    ui.add_space(STEP);
}

/// What each line means, above the plot, where it hides none of them.
fn legend(ui: &mut Ui, curves: &[Curve]) {
    ui.horizontal_wrapped(|ui| {
        for curve in curves {
            let (rect, _) = ui.allocate_exact_size(vec2(SAMPLE, SMALL), Sense::hover());
            let ends = [rect.left_center(), rect.right_center()];
            let stroke = Stroke::new(2.0, curve.ink);
            if curve.is_dashed {
                ui.painter()
                    .extend(Shape::dashed_line(&ends, stroke, 4.0, 3.0));
            } else {
                ui.painter().line_segment(ends, stroke);
            }
            ui.label(RichText::new(&curve.name).size(SMALL));
            ui.add_space(GAP);
        }
    });
}

/// Epochs on the axis: all that were wanted while a run goes on, those that were done once it is over.
fn length(run: &RunRecord) -> u32 {
    match run.status {
        RunStatus::Running => run.settings.epochs,
        _ => u32::try_from(run.epochs.len()).unwrap_or(u32::MAX),
    }
}

fn draw(plot: &mut PlotUi<'_>, curve: Curve) {
    let Curve {
        name,
        points,
        ink,
        is_dashed,
    } = curve;
    // A first epoch is a point before it is a line.
    let dots = Points::new(name.clone(), PlotPoints::from(points.clone()));
    plot.points(dots.color(ink).radius(2.5));
    let style = match is_dashed {
        true => LineStyle::dashed_dense(),
        false => LineStyle::Solid,
    };
    let line = Line::new(name, PlotPoints::from(points));
    plot.line(line.color(ink).width(2.0).style(style));
}
