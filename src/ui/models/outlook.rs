//! How a model would do on this machine: whether it fits, at which precision, and how long a description took.

use egui::Label;
use egui::RichText;
use egui::Ui;

use crate::domain::Fit;
use crate::domain::Outlook;
use crate::domain::Verdict;
use crate::state::models::bytes_words;
use crate::state::models::fit_words;
use crate::ui::tokens::Palette;
use crate::ui::tokens::STEP;

/// Draws two rows of facts.
pub(super) fn show(ui: &mut Ui, outlook: &Outlook) {
    ui.weak("In memory");
    match &outlook.fit {
        Ok(fit) => verdict(ui, fit),
        Err(reason) => {
            let palette = Palette::in_use(ui);
            ui.add(Label::new(RichText::new(reason).color(palette.error)).wrap());
        }
    }
    ui.end_row();
    ui.weak("Speed");
    let speeds: Vec<String> = outlook.speeds.iter().map(ToString::to_string).collect();
    let words = match speeds.as_slice() {
        [] => "not known: nothing was described with it on this machine yet".to_owned(),
        speeds => speeds.join("\n"),
    };
    ui.add(Label::new(words).wrap());
    ui.end_row();
}

/// A sentence, and below it what every form takes.
pub(super) fn verdict(ui: &mut Ui, fit: &Fit) {
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = STEP / 2.0;
        let words = RichText::new(fit_words(fit));
        let words = match fit.verdict() {
            Verdict::DoesNotFit => words.color(Palette::in_use(ui).error),
            Verdict::Fits | Verdict::FitsQuantised => words,
        };
        ui.add(Label::new(words).wrap());
        let forms = fit.forms.iter().map(|form| {
            let sign = match fit.fits(form) {
                Some(true) => " fits",
                Some(false) => " too large",
                None => "",
            };
            format!("{} {}{sign}", form.form, bytes_words(form.need.total()))
        });
        let forms: Vec<String> = forms.collect();
        ui.add(Label::new(RichText::new(forms.join(" · ")).weak()).wrap());
    });
}
