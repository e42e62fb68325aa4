//! Which aspect, which way of making scores, and what can be done with them.

use egui::Align;
use egui::Button;
use egui::ComboBox;
use egui::Layout;
use egui::RichText;
use egui::Ui;

use crate::domain::{Method, RatingsFormat};
use crate::state::Command;
use crate::state::dialogs::DialogCommand;
use crate::state::dialogs::StudyFile;
use crate::state::rate::RateCommand;
use crate::state::rate::results::ResultsCommand;
use crate::stats::raters::Screening;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::Palette;
use crate::ui::widgets::chip;

use super::View;

/// Draws the bar.
pub(super) fn show(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        let hint = "Back to all studies (Esc)";
        if ui.button("Studies").on_hover_text(hint).clicked() {
            out.push(Command::Rate(RateCommand::List));
        }
        ui.heading(&view.study.protocol.name);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            files(ui, view, out);
        });
    });
    ui.horizontal_wrapped(|ui| {
        aspects(ui, view, out);
        if view.study.protocol.method != Method::Pairs {
            screening(ui, view, out);
            truth(ui, view, out);
        }
        let results = &view.state.rate.results;
        if results.is_counting && results.digest.is_some() {
            ui.weak("Counting anew…");
        }
    });
}

fn push(out: &mut Vec<Command>, command: ResultsCommand) {
    out.push(Command::Rate(RateCommand::Results(command)));
}

fn files(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let hint = "Votes, tables and packages for other programs and machines";
    if ui
        .button("Export…")
        .on_hover_text(hint)
        .accessible_name("Export the study")
        .clicked()
    {
        out.push(export(view, StudyFile::Ratings(RatingsFormat::Long)));
    }
    let hint = "One page to print or to send, with what ITU-T P.910 asks to be reported";
    if ui.button("Report…").on_hover_text(hint).clicked() {
        out.push(export(view, StudyFile::Ratings(RatingsFormat::Report)));
    }
}

fn export(view: View<'_>, what: StudyFile) -> Command {
    let results = &view.state.rate.results;
    Command::Dialog(DialogCommand::ExportStudy {
        study: view.study.id,
        what,
        aspect: results.aspect,
        screening: results.screening,
    })
}

fn aspects(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    for &aspect in &view.study.protocol.aspects {
        let is_on = view.state.rate.results.aspect == aspect;
        let ink = if is_on {
            palette.aspect(aspect)
        } else {
            palette.faint
        };
        let words = RichText::new(aspect.title()).color(ink);
        if ui.add(Button::selectable(is_on, words)).clicked() {
            push(out, ResultsCommand::SetAspect(aspect));
        }
    }
    ui.add_space(GROUP_GAP);
}

fn screening(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let chosen = view.state.rate.results.screening;
    let label = ui.weak("Scores by");
    ComboBox::from_id_salt("screening")
        .selected_text(chosen.label())
        .width(200.0)
        .show_ui(ui, |ui| {
            for screening in Screening::ALL {
                let is_on = screening == chosen;
                if ui.selectable_label(is_on, screening.label()).clicked() {
                    push(out, ResultsCommand::SetScreening(screening));
                }
            }
        })
        .response
        .labelled_by(label.id);
    ui.add_space(GROUP_GAP);
}

fn truth(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let aspect = view.state.rate.results.aspect;
    let in_use = *view.project.settings.ground_truth.get(aspect);
    if in_use == Some(view.study.id) {
        let hint =
            "Compare, Train and export go by these scores. Pictures without votes have none.";
        chip::chip(ui, &format!("ground truth of {aspect}"), hint);
        let words = "Use the dataset's own again";
        if ui.button(words).clicked() {
            push(out, ResultsCommand::UseAsTruth(false));
        }
        return;
    }
    let hint = format!(
        "Compare, Train and export go by these scores of {aspect} from then on, and say so. \
         The dataset's own stay in the project and are not mixed in."
    );
    let words = "Use as ground truth";
    if ui.button(words).on_hover_text(hint).clicked() {
        push(out, ResultsCommand::UseAsTruth(true));
    }
}
