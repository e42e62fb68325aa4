//! Charts as inline SVG. Each says in a title what it shows, for those who cannot see it.

use std::fmt::Write as _;

use super::html::escape;
use super::html::number;
use crate::domain::OpinionScale;

/// Width of a chart that spans the page, in its own units.
const WIDTH: f64 = 720.0;
/// Room for numbers beside and below the axes.
const MARGIN: f64 = 34.0;

/// A mean with the half width of its interval, where that is defined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mean {
    pub(super) value: f64,
    pub(super) half: Option<f64>,
}

/// Counts of answers, lowest first, small enough for a row of a table.
pub(super) fn small_histogram(counts: &[usize]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let step = 70.0 / counts.len().max(1) as f64;
    let mut svg = open(
        70.0,
        18.0,
        &format!("Answers from the lowest up: {counts:?}"),
    );
    for (idx, count) in counts.iter().enumerate() {
        let height = *count as f64 / most * 16.0;
        rect(
            &mut svg,
            "bar",
            [idx as f64 * step, 17.0 - height, step - 1.0, height],
        );
    }
    line(&mut svg, "axis", [0.0, 17.5, 70.0, 17.5]);
    svg + "</svg>"
}

/// Counts of answers with a label for each.
pub(super) fn histogram(counts: &[usize], labels: &[String]) -> String {
    let height = 150.0;
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / counts.len().max(1) as f64;
    let mut svg = open(WIDTH, height, "How often each answer was given");
    let floor = height - 20.0;
    for (idx, (count, label)) in counts.iter().zip(labels).enumerate() {
        let tall = *count as f64 / most * (floor - 16.0);
        let left = idx as f64 * step;
        rect(
            &mut svg,
            "bar",
            [left + 2.0, floor - tall, step - 4.0, tall],
        );
        let middle = left + step / 2.0;
        text(
            &mut svg,
            [middle, floor - tall - 4.0],
            "middle",
            &count.to_string(),
        );
        text(&mut svg, [middle, height - 5.0], "middle", label);
    }
    line(&mut svg, "axis", [0.0, floor, WIDTH, floor]);
    svg + "</svg>"
}

/// Means from the lowest to the highest, each with its interval.
pub(super) fn ordered_means(means: &[Mean], scale: OpinionScale) -> String {
    let mut means = means.to_vec();
    means.sort_by(|a, b| a.value.total_cmp(&b.value));
    let height = 260.0;
    let mut svg = open(
        WIDTH,
        height,
        "Mean opinion scores in order, with 95 % intervals",
    );
    let up = |value: f64| {
        let share = (value - scale.min) / (scale.max - scale.min);
        height - 10.0 - share.clamp(-0.02, 1.02) * (height - 20.0)
    };
    scale_lines(&mut svg, scale, &up);
    let step = (WIDTH - MARGIN) / means.len().max(1) as f64;
    for (idx, mean) in means.iter().enumerate() {
        let x = MARGIN + (idx as f64 + 0.5) * step;
        if let Some(half) = mean.half {
            line(
                &mut svg,
                "whisker",
                [x, up(mean.value - half), x, up(mean.value + half)],
            );
        }
        dot(&mut svg, x, up(mean.value), (step / 2.5).clamp(0.8, 3.5));
    }
    svg + "</svg>"
}

/// Plain means against screened ones, with the line on which nothing changes.
pub(super) fn changes(pairs: &[(f64, f64)], scale: OpinionScale) -> String {
    let size = 300.0;
    let mut svg = open(
        size + MARGIN,
        size + 20.0,
        "Plain means against screened scores",
    );
    let share = |value: f64| ((value - scale.min) / (scale.max - scale.min)).clamp(-0.02, 1.02);
    let right = |value: f64| MARGIN + share(value) * size;
    let up = |value: f64| size - share(value) * size;
    for mark in marks(scale) {
        line(
            &mut svg,
            "axis",
            [MARGIN, up(mark), MARGIN + size, up(mark)],
        );
        line(&mut svg, "axis", [right(mark), 0.0, right(mark), size]);
        text(
            &mut svg,
            [MARGIN - 6.0, up(mark) + 4.0],
            "end",
            &number(mark, 0),
        );
        text(
            &mut svg,
            [right(mark), size + 15.0],
            "middle",
            &number(mark, 0),
        );
    }
    line(
        &mut svg,
        "even",
        [
            right(scale.min),
            up(scale.min),
            right(scale.max),
            up(scale.max),
        ],
    );
    for (plain, screened) in pairs {
        dot(&mut svg, right(*plain), up(*screened), 2.4);
    }
    svg + "</svg>"
}

/// Strengths with intervals, a row each, around the line of equal strength.
pub(super) fn strengths(rows: &[(String, Mean)]) -> String {
    const LABELS: f64 = 250.0;
    let height = 22.0 * rows.len() as f64 + 20.0;
    let reach = rows
        .iter()
        .map(|(_, mean)| mean.value.abs() + mean.half.unwrap_or(0.0))
        .fold(0.5, f64::max);
    let right = |value: f64| LABELS + f64::midpoint(value / reach, 1.0) * (WIDTH - LABELS - 10.0);
    let mut svg = open(WIDTH, height, "Strengths with 95 % intervals");
    line(
        &mut svg,
        "even",
        [right(0.0), 0.0, right(0.0), height - 18.0],
    );
    for (idx, (label, mean)) in rows.iter().enumerate() {
        let y = 22.0 * idx as f64 + 11.0;
        text(&mut svg, [0.0, y + 4.0], "start", &shortened(label, 40));
        if let Some(half) = mean.half {
            line(
                &mut svg,
                "whisker",
                [right(mean.value - half), y, right(mean.value + half), y],
            );
        }
        dot(&mut svg, right(mean.value), y, 3.5);
    }
    text(&mut svg, [right(0.0), height - 4.0], "middle", "0");
    text(
        &mut svg,
        [right(-reach), height - 4.0],
        "start",
        &number(-reach, 1),
    );
    text(
        &mut svg,
        [right(reach), height - 4.0],
        "end",
        &number(reach, 1),
    );
    svg + "</svg>"
}

/// The end of a text that is too long, as file names differ at their end.
fn shortened(text: &str, most: usize) -> String {
    let num = text.chars().count();
    if num <= most {
        return text.to_owned();
    }
    let end: String = text.chars().skip(num - most + 1).collect();
    format!("\u{2026}{end}")
}

fn marks(scale: OpinionScale) -> Vec<f64> {
    let (first, last) = (scale.min.ceil() as i32, scale.max.floor() as i32);
    (first..=last).map(f64::from).collect()
}

fn scale_lines(svg: &mut String, scale: OpinionScale, up: &impl Fn(f64) -> f64) {
    for mark in marks(scale) {
        line(svg, "axis", [MARGIN, up(mark), WIDTH, up(mark)]);
        text(svg, [MARGIN - 6.0, up(mark) + 4.0], "end", &number(mark, 0));
    }
}

fn open(width: f64, height: f64, title: &str) -> String {
    let class = if width < WIDTH { "part" } else { "full" };
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\"><title>{}</title>",
        escape(title)
    )
}

fn line(svg: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    // Writing to a string cannot fail.
    write!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    )
    .ok();
}

fn rect(svg: &mut String, class: &str, [x, y, width, height]: [f64; 4]) {
    write!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
    )
    .ok();
}

fn dot(svg: &mut String, x: f64, y: f64, radius: f64) {
    write!(
        svg,
        "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>"
    )
    .ok();
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, words: &str) {
    write!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        escape(words)
    )
    .ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_end() {
        assert_eq!(shortened("folder/picture_0001.png", 9), "\u{2026}0001.png");
        assert_eq!(shortened("a.png", 9), "a.png");
    }

    #[test]
    fn nothing_to_draw_is_an_empty_chart_and_no_nonsense() {
        let scale = OpinionScale::ZERO_TO_FIVE;
        for svg in [
            small_histogram(&[0, 0]),
            histogram(&[], &[]),
            ordered_means(&[], scale),
            changes(&[], scale),
            strengths(&[]),
        ] {
            assert!(
                svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"),
                "{svg}"
            );
        }
    }
}
