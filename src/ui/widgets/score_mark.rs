//! The score mark: a track over the dataset's scale, an ink tick with whiskers for what people said, a dot in the
//! aspect's colour and shape for the prediction. The same in cells, panels and tables.

use egui::Align2;
use egui::Color32;
use egui::FontId;
use egui::Painter;
use egui::Pos2;
use egui::Rect;
use egui::Response;
use egui::Role;
use egui::Sense;
use egui::Stroke;
use egui::Ui;
use egui::Vec2;
use egui::WidgetInfo;
use egui::pos2;
use egui::vec2;

use crate::domain::{Aspect, OpinionScale, PredictorCard, Truth};
use crate::state::Row;
use crate::stats::signed;
use crate::ui::tokens;
use crate::ui::tokens::BODY;
use crate::ui::tokens::Palette;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::Shape;
use crate::ui::widgets::predictor_card;

/// One score with the truth it is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreMark {
    /// Aspect.
    pub aspect: Aspect,
    /// Scale of both values.
    pub scale: OpinionScale,
    /// What people said.
    pub truth: Option<Truth>,
    /// What the predictor says.
    pub predicted: Option<f64>,
}

impl ScoreMark {
    /// The mark of a row.
    pub fn of(row: &Row, aspect: Aspect, scale: OpinionScale) -> Self {
        Self {
            aspect,
            scale,
            truth: *row.record.truth.get(aspect),
            predicted: row.predicted(aspect),
        }
    }

    /// Whether there is anything to show.
    pub fn is_empty(&self) -> bool {
        self.truth.is_none() && self.predicted.is_none()
    }

    /// Prediction minus truth.
    pub fn error(&self) -> Option<f64> {
        Some(self.predicted? - self.truth?.mos)
    }

    /// Everything that the mark says, in words.
    pub fn words(&self) -> String {
        let mut words = vec![self.aspect.title().to_owned()];
        if let Some(predicted) = self.predicted {
            words.push(format!("predicted {predicted:.2}"));
        }
        if let Some(truth) = self.truth {
            let std = truth
                .std
                .map_or_else(String::new, |std| format!(" ± {std:.2}"));
            words.push(format!("people {:.2}{std}", truth.mos));
        }
        if let Some(error) = self.error() {
            words.push(format!("error {}", signed(error, 2)));
        }
        if self.is_empty() {
            words.push("no score yet".to_owned());
        }
        format!("{}, scale {}", words.join(", "), self.scale)
    }

    /// Paints the track with tick, whiskers and dot into a rectangle.
    pub fn paint_track(&self, painter: &Painter, rect: Rect, palette: &Palette) {
        let middle = rect.center().y;
        let x = |value: f64| rect.left() + rect.width() * self.scale.fraction(value) as f32;
        painter.line_segment(
            [pos2(rect.left(), middle), pos2(rect.right(), middle)],
            Stroke::new(2.0, palette.line),
        );
        if let Some(truth) = self.truth {
            let ink = Stroke::new(1.0, palette.ink);
            if let Some(std) = truth.std {
                let (low, high) = (x(truth.mos - std), x(truth.mos + std));
                painter.line_segment([pos2(low, middle), pos2(high, middle)], ink);
                for end in [low, high] {
                    painter.line_segment([pos2(end, middle - 2.0), pos2(end, middle + 2.0)], ink);
                }
            }
            let at = x(truth.mos);
            let half = (rect.height() / 2.0).min(6.0);
            painter.line_segment(
                [pos2(at, middle - half), pos2(at, middle + half)],
                Stroke::new(2.0, palette.ink),
            );
        }
        if let Some(predicted) = self.predicted {
            let radius = (rect.height() / 2.0 - 1.0).min(5.0);
            let centre = pos2(x(predicted), middle);
            paint_shape(
                painter,
                centre,
                radius,
                self.aspect,
                palette.aspect(self.aspect),
            );
        }
    }

    /// Draws the mark over the width that is there: name and numbers, and below them the track with its scale.
    pub fn show(&self, ui: &mut Ui, card: Option<&PredictorCard>) -> Response {
        let palette = Palette::in_use(ui);
        let size = Vec2::new(ui.available_width(), 40.0);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, self.words()));
        if ui.is_rect_visible(rect) {
            self.paint_line(ui.painter(), rect, palette);
            let ends = [
                (rect.left_bottom(), Align2::LEFT_BOTTOM, self.scale.min),
                (rect.right_bottom(), Align2::RIGHT_BOTTOM, self.scale.max),
            ];
            for (at, anchor, value) in ends {
                let font = FontId::proportional(SMALL);
                ui.painter()
                    .text(at, anchor, value.to_string(), font, palette.faint);
            }
            let track = Rect::from_min_max(
                rect.left_bottom() + vec2(16.0, -16.0),
                rect.right_bottom() - vec2(16.0, 2.0),
            );
            self.paint_track(ui.painter(), track, palette);
        }
        response.on_hover_ui(|ui| {
            ui.label(self.words());
            predictor_card::show(ui, card);
        })
    }

    fn paint_line(&self, painter: &Painter, rect: Rect, palette: &Palette) {
        let colour = palette.aspect(self.aspect);
        paint_shape(
            painter,
            rect.left_top() + vec2(5.0, 9.0),
            4.0,
            self.aspect,
            colour,
        );
        let font = FontId::proportional(BODY);
        painter.text(
            rect.left_top() + vec2(16.0, 0.0),
            Align2::LEFT_TOP,
            self.aspect.title(),
            font.clone(),
            palette.ink,
        );
        let (numbers, ink) = self.numbers(palette);
        painter.text(rect.right_top(), Align2::RIGHT_TOP, numbers, font, ink);
    }

    /// The numbers beside the name: prediction with signed error, or what people said, or that there is none.
    fn numbers(&self, palette: &Palette) -> (String, Color32) {
        match (self.predicted, self.truth) {
            (Some(predicted), Some(_)) => {
                let error = self.error().unwrap_or_default();
                let text = format!("{predicted:.2}  ({})", signed(error, 2));
                (text, palette.ink)
            }
            (Some(predicted), None) => (format!("{predicted:.2}"), palette.ink),
            (None, Some(truth)) => (format!("people {:.2}", truth.mos), palette.faint),
            (None, None) => ("no score yet".to_owned(), palette.faint),
        }
    }
}

/// Paints an aspect's shape.
pub fn paint_shape(painter: &Painter, centre: Pos2, radius: f32, aspect: Aspect, colour: Color32) {
    match tokens::shape(aspect) {
        Shape::Circle => {
            painter.circle_filled(centre, radius, colour);
        }
        Shape::Square => {
            let square = Rect::from_center_size(centre, Vec2::splat(radius * 1.8));
            painter.rect_filled(square, 0.0, colour);
        }
        Shape::Diamond => {
            let reach = radius * 1.25;
            let corners = vec![
                centre + vec2(0.0, -reach),
                centre + vec2(reach, 0.0),
                centre + vec2(0.0, reach),
                centre + vec2(-reach, 0.0),
            ];
            painter.add(egui::Shape::convex_polygon(corners, colour, Stroke::NONE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_both_values_the_error_and_the_scale() {
        let mark = ScoreMark {
            aspect: Aspect::Quality,
            scale: OpinionScale::ZERO_TO_FIVE,
            truth: Some(Truth {
                mos: 3.0,
                std: Some(0.5),
                num_ratings: None,
            }),
            predicted: Some(3.25),
        };
        assert_eq!(
            mark.words(),
            "Quality, predicted 3.25, people 3.00 ± 0.50, error +0.25, scale 0-5"
        );
    }

    #[test]
    fn a_mark_without_values_says_so() {
        let mark = ScoreMark {
            aspect: Aspect::Authenticity,
            scale: OpinionScale::ZERO_TO_FIVE,
            truth: None,
            predicted: None,
        };
        assert_eq!(mark.words(), "Authenticity, no score yet, scale 0-5");
    }
}
