//! Raters as rows: how they lean, how steady they are, what the screening says and why.

use egui::Align;
use egui::Label;
use egui::Layout;
use egui::RichText;
use egui::Ui;
use egui_extras::Column;
use egui_extras::TableBuilder;
use egui_extras::TableRow;

use crate::domain::Method;
use crate::state::actions::grouped;
use crate::state::rate::results::Digest;
use crate::state::rate::results::RaterRow;
use crate::stats::StatsError;
use crate::stats::signed;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;

use super::View;

/// Rows before the table scrolls on its own.
const MOST_ROWS: f32 = 6.0;

/// A column's heading, its width, and what it means.
type Heading = (&'static str, f32, &'static str);

const OF_SCORES: [Heading; 5] = [
    ("Votes", 52.0, "Pictures that count"),
    (
        "Bias",
        56.0,
        "How much higher than the panel the rater scores",
    ),
    (
        "Inconsistency",
        96.0,
        "Standard deviation of what bias and score leave unexplained",
    ),
    (
        "Repeats",
        96.0,
        "Mean absolute difference at hidden repeats, and their number",
    ),
    ("Time", 56.0, "Median seconds from picture to answer"),
];

const OF_PAIRS: [Heading; 5] = [
    ("Votes", 52.0, "Comparisons that count"),
    (
        "Left",
        56.0,
        "Share of answers for the left picture; a half is even",
    ),
    ("Ties", 96.0, "Share of answers without a difference"),
    (
        "Repeats",
        96.0,
        "Share of hidden repeats that were answered otherwise, and their number",
    ),
    ("Time", 56.0, "Median seconds from pictures to answer"),
];

/// Draws the table.
pub(super) fn show(ui: &mut Ui, view: View<'_>, digest: &Digest) {
    let num = digest.raters.len();
    let noun = if num == 1 { "rater" } else { "raters" };
    ui.strong(format!(
        "{num} {noun}, {} votes that count",
        grouped(digest.num_votes)
    ));
    let headings = match view.study.protocol.method {
        Method::Pairs => OF_PAIRS,
        Method::Acr5 | Method::Continuous => OF_SCORES,
    };
    let mut builder = TableBuilder::new(ui)
        .id_salt("raters")
        .striped(true)
        .max_scroll_height(ROW_HEIGHT * MOST_ROWS)
        .auto_shrink([false, true])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::initial(112.0).at_least(64.0).clip(true));
    for (_, width, _) in headings {
        builder = builder.column(Column::initial(width).at_least(width * 0.8).clip(true));
    }
    builder
        .column(Column::remainder().at_least(120.0).clip(true))
        .header(ROW_HEIGHT, |mut header| {
            header.col(|ui| {
                ui.weak("Rater");
            });
            for (name, _, hint) in headings {
                header.col(|ui| {
                    ui.weak(name).on_hover_text(hint);
                });
            }
            header.col(|ui| {
                ui.weak("Screening");
            });
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, num, |mut row| {
                let rater = &digest.raters[row.index()];
                cells(&mut row, rater, view.study.protocol.method);
            });
        });
}

fn cells(row: &mut TableRow<'_, '_>, rater: &RaterRow, method: Method) {
    row.col(|ui| {
        ui.add(Label::new(&rater.name).truncate());
    });
    row.col(|ui| {
        ui.label(grouped(rater.num_votes));
    });
    let is_pairs = method == Method::Pairs;
    row.col(|ui| match is_pairs {
        true => figure(ui, &rater.bias, |value| format!("{:.0} %", value * 100.0)),
        false => figure(ui, &rater.bias, |value| signed(value, 2)),
    });
    row.col(|ui| match is_pairs {
        true => figure(ui, &rater.inconsistency, |value| {
            format!("{:.0} %", value * 100.0)
        }),
        false => figure(ui, &rater.inconsistency, |value| format!("{value:.2}")),
    });
    row.col(|ui| {
        let num = rater.num_repeats;
        figure(ui, &rater.repeat_error, |value| match is_pairs {
            true => format!("{:.0} % of {num}", value * 100.0),
            false => format!("{value:.2}, n {num}"),
        });
    });
    row.col(|ui| {
        ui.label(format!("{:.1} s", rater.seconds));
    });
    row.col(|ui| verdict(ui, rater));
}

fn figure(ui: &mut Ui, value: &Result<f64, StatsError>, words: impl FnOnce(f64) -> String) {
    match value {
        Ok(value) => ui.label(words(*value)),
        Err(reason) => ui.weak("–").on_hover_text(reason.to_string()),
    };
}

fn verdict(ui: &mut Ui, rater: &RaterRow) {
    let Some(verdict) = &rater.verdict else {
        ui.weak("Comparisons are not screened");
        return;
    };
    let palette = Palette::in_use(ui);
    let (word, ink) = match verdict.is_rejected {
        true => ("Left out", palette.error),
        false => ("Kept", palette.ink),
    };
    ui.label(RichText::new(word).color(ink));
    let reason = Label::new(RichText::new(&verdict.reason).weak()).truncate();
    ui.add(reason).on_hover_text(&verdict.reason);
}
