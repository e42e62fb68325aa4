//! Two plots of predicted over true scores, one a side, on the same axes; a click selects the picture in both.

use egui::Pos2;
use egui::Rangef;
use egui::Response;
use egui::Role;
use egui::Sense;
use egui::Stroke;
use egui::Ui;
use egui::WidgetInfo;
use egui_plot::AxisHints;
use egui_plot::Line;
use egui_plot::LineStyle;
use egui_plot::MarkerShape;
use egui_plot::Plot;
use egui_plot::PlotBounds;
use egui_plot::PlotPoint;
use egui_plot::PlotTransform;
use egui_plot::Points;

use crate::domain::{Aspect, OpinionScale, Tested};
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::ui::tokens;
use crate::ui::tokens::Palette;
use crate::ui::tokens::Shape;

/// How far from a point the pointer may be to mean it.
const REACH: f32 = 10.0;

/// Largest side of a plot.
const LARGEST: f32 = 400.0;

/// What the plots show.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a AppState,
    pub(super) pictures: &'a [Tested],
    pub(super) aspect: Aspect,
    pub(super) scale: OpinionScale,
    /// Titles of the two plots.
    pub(super) names: [&'a str; 2],
}

/// Draws both plots; only the second where there is no first side.
pub(super) fn show(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let has_first = view.pictures.iter().any(|picture| picture.first.is_some());
    let bounds = bounds(view);
    let gap = ui.spacing().item_spacing.x;
    let side = ((ui.available_width() - gap) / 2.0).min(LARGEST);
    ui.horizontal_top(|ui| {
        if has_first {
            one(ui, view, (0, side, bounds), out);
        }
        one(ui, view, (1, side, bounds), out);
    });
}

fn value(picture: &Tested, idx: usize) -> Option<f64> {
    match idx {
        0 => picture.first,
        _ => Some(picture.second),
    }
}

fn one(
    ui: &mut Ui,
    view: View<'_>,
    (idx, side, bounds): (usize, f32, [f64; 2]),
    out: &mut Vec<Command>,
) {
    ui.vertical(|ui| {
        ui.set_width(side);
        ui.weak(view.names[idx]);
        let (response, transform) = plot(ui, view, (idx, side, bounds));
        let words = format!(
            "{}: predicted over true {} scores of {} pictures",
            view.names[idx],
            view.aspect,
            grouped(view.pictures.len())
        );
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &words));
        rings(ui, view, idx, (&response, &transform));
        let Some(picture) = nearest(view, idx, &response, &transform) else {
            return;
        };
        if response.double_clicked() {
            out.push(Command::Inspect(picture.image));
        } else if response.clicked() {
            response.surrender_focus();
            out.push(super::select(ui, picture.image));
        }
        response.on_hover_ui_at_pointer(|ui| hint(ui, view, picture));
    });
}

fn plot(
    ui: &mut Ui,
    view: View<'_>,
    (idx, side, [low, high]): (usize, f32, [f64; 2]),
) -> (Response, PlotTransform) {
    let palette = Palette::in_use(ui);
    let ink = match idx {
        0 => palette.faint,
        _ => palette.aspect(view.aspect),
    };
    let places: Vec<[f64; 2]> = view
        .pictures
        .iter()
        .filter_map(|picture| Some([picture.mos, value(picture, idx)?]))
        .collect();
    let shown = Plot::new(("train_scatter", idx))
        .width(side)
        .height(side)
        .sense(Sense::click())
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .allow_axis_zoom_drag(false)
        .show_crosshair(false)
        .grid_color(palette.line)
        .show_x(false)
        .show_y(false)
        .custom_x_axes(vec![
            AxisHints::new_x()
                .label(format!("People (MOS, {})", view.scale))
                .label_spacing(Rangef::new(24.0, 40.0)),
        ])
        .y_axis_label("Predicted")
        .show(ui, |plot| {
            plot.set_plot_bounds(PlotBounds::from_min_max([low; 2], [high; 2]));
            let diagonal = Line::new("Diagonal", vec![[low; 2], [high; 2]])
                .color(palette.faint)
                .style(LineStyle::dashed_dense())
                .allow_hover(false);
            plot.line(diagonal);
            let points = Points::new("Pictures", places)
                .shape(marker(view.aspect))
                .radius(2.5)
                .color(ink.gamma_multiply(0.6))
                .allow_hover(false);
            plot.points(points);
        });
    (shown.response, shown.transform)
}

const fn marker(aspect: Aspect) -> MarkerShape {
    match tokens::shape(aspect) {
        Shape::Circle => MarkerShape::Circle,
        Shape::Diamond => MarkerShape::Diamond,
        Shape::Square => MarkerShape::Square,
    }
}

/// Both plots alike: the scale, wider where predictions leave it.
fn bounds(view: View<'_>) -> [f64; 2] {
    let ends = (view.scale.min, view.scale.max);
    let values = view
        .pictures
        .iter()
        .flat_map(|picture| [picture.first, Some(picture.second)])
        .flatten();
    let (low, high) = values.fold(ends, |(low, high), value| (low.min(value), high.max(value)));
    let air = (high - low) * 0.02;
    [low - air, high + air]
}

fn place_of(transform: &PlotTransform, picture: &Tested, idx: usize) -> Option<Pos2> {
    let value = value(picture, idx)?;
    Some(transform.position_from_point(&PlotPoint::new(picture.mos, value)))
}

/// The point under the pointer.
fn nearest(
    view: View<'_>,
    idx: usize,
    response: &Response,
    transform: &PlotTransform,
) -> Option<Tested> {
    let pointer = response.hover_pos()?;
    view.pictures
        .iter()
        .filter_map(|picture| {
            let place = place_of(transform, picture, idx)?;
            Some((place.distance_sq(pointer), *picture))
        })
        .filter(|(distance, _)| *distance <= REACH * REACH)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, picture)| picture)
}

/// Rings around what is selected.
fn rings(ui: &Ui, view: View<'_>, idx: usize, (response, transform): (&Response, &PlotTransform)) {
    let ink = Stroke::new(2.0, Palette::in_use(ui).ink);
    let painter = ui.painter().with_clip_rect(response.rect);
    for picture in view.pictures {
        if view.state.selection.contains(picture.image)
            && let Some(place) = place_of(transform, picture, idx)
        {
            painter.circle_stroke(place, 6.0, ink);
        }
    }
}

fn hint(ui: &mut Ui, view: View<'_>, picture: Tested) {
    if let Some(row) = view.state.row(picture.image) {
        ui.strong(row.record.file_name());
    }
    ui.label(format!("People {:.2}", picture.mos));
    for idx in [0, 1] {
        if let Some(value) = value(&picture, idx) {
            ui.label(format!("{}: {value:.2}", view.names[idx]));
        }
    }
}
