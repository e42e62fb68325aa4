//! Test figures as a table: both sides with their intervals, the difference with its own, and how sure that is.

use egui::Grid;
use egui::RichText;
use egui::Ui;
use egui::vec2;

use crate::domain::{Figures, RunReport};
use crate::state::actions::grouped;
use crate::state::train::runs as words;
use crate::stats::signed;
use crate::ui::tokens::GAP;
use crate::ui::tokens::STEP;

/// Height of a line of figures.
const LINE: f32 = 20.0;

/// A figure of a set.
type Pick = fn(&Figures) -> Option<f64>;

/// Every figure, with the digits it is known to.
const ROWS: [(&str, Pick); 6] = [
    ("SRCC", |figures| figures.srcc),
    ("PLCC", |figures| figures.plcc),
    ("PLCC, 4-parameter fit", |figures| figures.plcc_fit4),
    ("PLCC, 5-parameter fit", |figures| figures.plcc_fit5),
    ("KRCC", |figures| figures.krcc),
    ("RMSE", |figures| figures.rmse),
];

/// Two sets of figures on the same pictures, with their headings.
pub(super) struct Sides<'a> {
    pub(super) first: Option<&'a Figures>,
    pub(super) second: &'a Figures,
    /// Headings of the two columns.
    pub(super) names: [&'a str; 2],
    /// Intervals and test, where they have come.
    pub(super) report: Option<&'a RunReport>,
    /// Whether both sides score the same aspect, so that their difference means something.
    pub(super) is_comparable: bool,
}

/// Draws the table. `salt` keeps tables apart.
pub(super) fn show(ui: &mut Ui, salt: &str, sides: &Sides<'_>) {
    Grid::new(("figures", salt))
        .num_columns(5)
        .min_col_width(72.0)
        .min_row_height(LINE)
        .spacing(vec2(2.0 * GAP, STEP))
        .show(ui, |ui| {
            for name in ["Test list", sides.names[0], sides.names[1], "Change", "p"] {
                ui.weak(name);
            }
            ui.end_row();
            for (name, pick) in ROWS {
                line(ui, sides, (name, pick));
            }
            ui.label("Images");
            ui.label(
                sides
                    .first
                    .map_or_else(String::new, |first| grouped(first.n)),
            );
            ui.label(grouped(sides.second.n));
            ui.end_row();
        });
    if let Some(report) = sides.report {
        ui.weak(format!(
            "In brackets: 95 % intervals over {} resamples of the test images. Change and p: paired, both sides on the same resamples.",
            grouped(report.resamples)
        ));
    }
    for (name, figures) in [
        (sides.names[0], sides.first),
        (sides.names[1], Some(sides.second)),
    ] {
        if let Some(reason) = figures.and_then(|figures| figures.reason.as_ref()) {
            ui.label(RichText::new(format!("{name}: {reason}")).weak());
        }
    }
}

fn line(ui: &mut Ui, sides: &Sides<'_>, (name, pick): (&str, Pick)) {
    let found = sides
        .report
        .and_then(|report| report.figures.iter().find(|figure| figure.name == name));
    let paired = found.and_then(|figure| figure.paired.as_ref().ok());
    let alone = found.and_then(|figure| figure.alone.as_ref().ok());
    ui.label(name);
    match sides.first {
        Some(first) => figure(ui, first, pick, paired.map(|paired| paired.first.range)),
        None => {
            ui.weak("none");
        }
    }
    figure(ui, sides.second, pick, alone.map(|alone| alone.range));
    match (paired, sides.first.and_then(pick), pick(sides.second)) {
        (Some(paired), ..) => {
            let change = paired.difference;
            ui.label(format!(
                "{} [{}, {}]",
                signed(change.value, 3),
                signed(change.range.low, 3),
                signed(change.range.high, 3)
            ));
            ui.label(p_words(paired.p_value));
        }
        (None, Some(old), Some(new)) if sides.is_comparable => {
            ui.label(signed(new - old, 3));
            ui.label("");
        }
        _ => {
            ui.label("");
            ui.label("");
        }
    }
    ui.end_row();
}

/// A figure with its interval; where it is undefined, the reason for the pointer.
fn figure(ui: &mut Ui, figures: &Figures, pick: Pick, range: Option<crate::domain::Range>) {
    let value = pick(figures);
    let text = match (value, range) {
        (Some(value), Some(range)) => {
            format!("{value:.3} [{:.3}, {:.3}]", range.low, range.high)
        }
        _ => words::figure(value),
    };
    let label = ui.label(text);
    if value.is_none() {
        label.on_hover_text(words::reason(figures));
    }
}

/// A p-value with the digits that so many resamples allow.
pub(super) fn p_words(p_value: f64) -> String {
    match p_value {
        p if p < 0.001 => "< 0.001".to_owned(),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}
