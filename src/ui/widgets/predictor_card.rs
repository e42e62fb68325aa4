//! The predictor's card: what a score rests on, and what may be expected of it. Shown beside every score.

use egui::Label;
use egui::RichText;
use egui::Ui;

use crate::domain::{Figures, PredictorCard};
use crate::state::actions::grouped;
use crate::state::train::runs::figure;
use crate::state::train::runs::reason;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STEP;

/// Draws the card as small lines, or says that there is none.
pub fn show(ui: &mut Ui, card: Option<&PredictorCard>) {
    let Some(card) = card else {
        ui.weak("No predictor fits the model in use.");
        return;
    };
    ui.spacing_mut().item_spacing.y = STEP / 2.0;
    for line in lines(card) {
        ui.add(Label::new(RichText::new(line).weak().size(SMALL)).wrap());
    }
}

/// Draws the card in as many lines as it has, each cut where the room ends; the pointer shows it whole.
pub fn beside_score(ui: &mut Ui, card: &PredictorCard) {
    ui.spacing_mut().item_spacing.y = STEP / 2.0;
    let [_, learned, ..] = lines(card);
    let short = [
        card.name.clone(),
        learned,
        format!("Validation {}", correlations_words(card.val.as_ref())),
        format!("Test {}", correlations_words(card.test.as_ref())),
    ];
    for line in short {
        let text = RichText::new(line).weak().size(SMALL);
        ui.add(Label::new(text).truncate().show_tooltip_when_elided(false))
            .on_hover_ui(|ui| show(ui, Some(card)));
    }
}

/// What the card says, line by line.
fn lines(card: &PredictorCard) -> [String; 4] {
    [
        format!("{}, {}, scale {}", card.name, card.aspect, card.scale),
        format!(
            "Learned from {} ({}), reads {} with the wording {}",
            card.dataset, card.split, card.model.name, card.preset
        ),
        format!("Validation: {}", figures_words(card.val.as_ref())),
        format!("Test: {}", figures_words(card.test.as_ref())),
    ]
}

/// The correlations alone, for little room.
fn correlations_words(figures: Option<&Figures>) -> String {
    match figures {
        Some(figures) if figures.srcc.is_some() => format!(
            "SRCC {}, PLCC {}, n {}",
            figure(figures.srcc),
            figure(figures.plcc),
            grouped(figures.n)
        ),
        other => figures_words(other),
    }
}

/// Figures with the number of pictures behind them, or why there are none.
pub fn figures_words(figures: Option<&Figures>) -> String {
    let Some(figures) = figures else {
        return "not measured".to_owned();
    };
    if figures.srcc.is_none() {
        return format!("undefined, n {}: {}", figures.n, reason(figures));
    }
    format!(
        "SRCC {}, PLCC {}, RMSE {}, n {}",
        figure(figures.srcc),
        figure(figures.plcc),
        figure(figures.rmse),
        grouped(figures.n)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correlation_is_never_without_its_n() {
        let figures = Figures {
            n: 1597,
            srcc: Some(0.5),
            plcc: Some(0.25),
            rmse: Some(0.125),
            ..Figures::default()
        };
        let short = correlations_words(Some(&figures));
        assert_eq!(short, "SRCC 0.500, PLCC 0.250, n 1,597");
        let words = figures_words(Some(&figures));
        assert_eq!(words, "SRCC 0.500, PLCC 0.250, RMSE 0.125, n 1,597");
        let equal = Figures {
            n: 3,
            reason: Some("all scores equal".to_owned()),
            ..Figures::default()
        };
        assert_eq!(
            figures_words(Some(&equal)),
            "undefined, n 3: all scores equal"
        );
        assert_eq!(figures_words(None), "not measured");
    }
}
