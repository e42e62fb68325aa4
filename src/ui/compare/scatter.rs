//! The plot: predicted over true scores with the diagonal and the fitted curve; points can be clicked and brushed.

use egui::Pos2;
use egui::Rect;
use egui::Response;
use egui::Role;
use egui::Sense;
use egui::Stroke;
use egui::StrokeKind;
use egui::Ui;
use egui::Vec2;
use egui::WidgetInfo;
use egui::vec2;
use egui_plot::Line;
use egui_plot::LineStyle;
use egui_plot::MarkerShape;
use egui_plot::Plot;
use egui_plot::PlotBounds;
use egui_plot::PlotPoint;
use egui_plot::PlotTransform;
use egui_plot::Points;

use crate::domain::Aspect;
use crate::domain::OpinionScale;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::compare::Pair;
use crate::state::selection::SelectionCommand;
use crate::stats::signed;
use crate::ui::textures::Textures;
use crate::ui::tokens;
use crate::ui::tokens::Palette;
use crate::ui::tokens::Shape;

use super::View;
use super::residuals;

/// How far from a point the pointer may be to mean it.
const REACH: f32 = 12.0;

/// Above so many points they are drawn smaller and let each other shine through.
const CROWD: usize = 400;

/// Draws the plot and takes clicks and brushes.
pub(in crate::ui) fn show(
    ui: &mut Ui,
    view: View<'_>,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let side = ui.available_width().min(ui.available_height());
    let margin = vec2((ui.available_width() - side).max(0.0) / 2.0, 0.0);
    let place = Rect::from_min_size(ui.cursor().min + margin, Vec2::splat(side));
    let plotted = ui.scope_builder(egui::UiBuilder::new().max_rect(place), |ui| {
        plot(ui, view, side)
    });
    let (response, transform) = plotted.inner;
    let words = format!(
        "Predicted over true {} scores of {} pictures",
        view.aspect,
        grouped(view.comparison.pairs.len())
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &words));
    mark_selected(ui, view, &response, &transform);
    if brush(ui, view, &response, &transform, out) {
        return;
    }
    let Some(pair) = nearest(view, &response, &transform) else {
        return;
    };
    if response.double_clicked() {
        out.push(Command::Inspect(pair.image));
    } else if response.clicked() {
        response.surrender_focus();
        out.push(super::click(ui, pair.image));
    }
    ring(ui, &response, place_of(&transform, pair), 6.0);
    response.on_hover_ui_at_pointer(|ui| hint(ui, view, pair, textures));
}

fn plot(ui: &mut Ui, view: View<'_>, side: f32) -> (Response, PlotTransform) {
    let palette = Palette::in_use(ui);
    let (truth, predicted) = (view.truth_scale, predicted_scale(view));
    let [low, high] = bounds(view);
    let shown = Plot::new("compare_scatter")
        .width(side)
        .height(side)
        .sense(Sense::click_and_drag())
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
        .x_axis_label(truth_label(view, truth))
        .y_axis_label(format!("Predicted (MOS, {predicted})"))
        .show(ui, |plot| {
            plot.set_plot_bounds(PlotBounds::from_min_max([low; 2], [high; 2]));
            let ends = vec![[low; 2], [high; 2]];
            let diagonal = Line::new("Diagonal", ends)
                .color(palette.faint)
                .style(LineStyle::dashed_dense())
                .allow_hover(false);
            plot.line(diagonal);
            plot.points(points(view, palette));
            if let Ok(curve) = &view.comparison.curve {
                let line = Line::new("Fitted curve", curve.clone())
                    .color(palette.ink)
                    .width(2.0)
                    .allow_hover(false);
                plot.line(line);
            }
        });
    (shown.response, shown.transform)
}

/// Names the study where the truth is not the dataset's own.
fn truth_label(view: View<'_>, scale: OpinionScale) -> String {
    match view.truth_study {
        Some(name) => format!("What people said in {name} (MOS, {scale})"),
        None => format!("What people said (MOS, {scale})"),
    }
}

/// The scale of the predictor in use; the dataset's where there is none.
fn predicted_scale(view: View<'_>) -> OpinionScale {
    let card = view.project.predictor_card(view.aspect);
    card.map_or(view.project.info.scale, |card| card.scale)
}

/// Both axes alike: people's scale and the dataset's, wider where predictions leave them.
fn bounds(view: View<'_>) -> [f64; 2] {
    let (people, dataset) = (view.truth_scale, view.project.info.scale);
    let ends = (people.min.min(dataset.min), people.max.max(dataset.max));
    let values = view.comparison.pairs.iter();
    let (low, high) = values.fold(ends, |(low, high), pair| {
        (low.min(pair.predicted), high.max(pair.predicted))
    });
    let air = (high - low) * 0.02;
    [low - air, high + air]
}

fn points(view: View<'_>, palette: &Palette) -> Points<'static> {
    let aspect = view.aspect;
    let pairs = &view.comparison.pairs;
    let is_crowded = pairs.len() > CROWD;
    let places: Vec<[f64; 2]> = pairs
        .iter()
        .map(|pair| [pair.truth, pair.predicted])
        .collect();
    let colour = palette.aspect(aspect);
    Points::new("Pictures", places)
        .shape(marker(aspect))
        .radius(if is_crowded { 2.5 } else { 4.0 })
        .color(colour.gamma_multiply(if is_crowded { 0.55 } else { 0.8 }))
        .allow_hover(false)
}

const fn marker(aspect: Aspect) -> MarkerShape {
    match tokens::shape(aspect) {
        Shape::Circle => MarkerShape::Circle,
        Shape::Diamond => MarkerShape::Diamond,
        Shape::Square => MarkerShape::Square,
    }
}

fn place_of(transform: &PlotTransform, pair: Pair) -> Pos2 {
    transform.position_from_point(&PlotPoint::new(pair.truth, pair.predicted))
}

/// The point under the pointer.
fn nearest(view: View<'_>, response: &Response, transform: &PlotTransform) -> Option<Pair> {
    let pointer = response.hover_pos()?;
    view.comparison
        .pairs
        .iter()
        .map(|&pair| (place_of(transform, pair).distance_sq(pointer), pair))
        .filter(|(distance, _)| *distance <= REACH * REACH)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, pair)| pair)
}

fn mark_selected(ui: &Ui, view: View<'_>, response: &Response, transform: &PlotTransform) {
    for &pair in &view.comparison.pairs {
        if view.state.selection.contains(pair.image) {
            let radius = match view.state.selection.focus == Some(pair.image) {
                true => 8.0,
                false => 5.0,
            };
            ring(ui, response, place_of(transform, pair), radius);
        }
    }
}

fn ring(ui: &Ui, response: &Response, at: Pos2, radius: f32) {
    let ink = Stroke::new(2.0, Palette::in_use(ui).ink);
    ui.painter()
        .with_clip_rect(response.rect)
        .circle_stroke(at, radius, ink);
}

/// Draws the brush while it is pulled and selects what lies under it at its end; `true` while it is at work.
fn brush(
    ui: &Ui,
    view: View<'_>,
    response: &Response,
    transform: &PlotTransform,
    out: &mut Vec<Command>,
) -> bool {
    let id = response.id.with("brush");
    if response.drag_started()
        && let Some(origin) = ui.input(|input| input.pointer.press_origin())
    {
        ui.data_mut(|data| data.insert_temp(id, origin));
    }
    let origin: Option<Pos2> = ui.data(|data| data.get_temp(id));
    let pointer = ui.input(|input| input.pointer.latest_pos());
    let (Some(origin), Some(pointer)) = (origin, pointer) else {
        return false;
    };
    let area = Rect::from_two_pos(origin, pointer);
    if response.drag_stopped() {
        ui.data_mut(|data| data.remove::<Pos2>(id));
        let pairs = view.comparison.pairs.iter();
        let images: Vec<_> = pairs
            .filter(|pair| area.contains(place_of(transform, **pair)))
            .map(|pair| pair.image)
            .collect();
        out.push(Command::Selection(match images.is_empty() {
            true => SelectionCommand::Clear,
            false => SelectionCommand::Set(images),
        }));
    } else if response.dragged() {
        let palette = Palette::in_use(ui);
        let painter = ui.painter().with_clip_rect(response.rect);
        painter.rect_filled(area, 0.0, palette.accent.gamma_multiply(0.15));
        let line = Stroke::new(1.0, palette.accent);
        painter.rect_stroke(area, 0.0, line, StrokeKind::Inside);
    }
    true
}

fn hint(ui: &mut Ui, view: View<'_>, pair: Pair, textures: &mut Textures) {
    let Some(row) = view.state.row(pair.image) else {
        return;
    };
    let (frame, _) = ui.allocate_exact_size(Vec2::splat(128.0), Sense::hover());
    residuals::thumbnail(ui, pair, frame, textures);
    ui.strong(row.record.file_name());
    ui.label(format!(
        "Predicted {:.2}, people {:.2}, error {}",
        pair.predicted,
        pair.truth,
        signed(pair.error(), 2)
    ));
}
