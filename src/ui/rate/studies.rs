//! Every study with what can be done with it, and quick rating.

use egui::Align;
use egui::Align2;
use egui::Button;
use egui::Label;
use egui::Layout;
use egui::RichText;
use egui::ScrollArea;
use egui::TextEdit;
use egui::Ui;
use egui::vec2;

use crate::domain::{Aspect, Study};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::VoteCount;
use crate::state::actions::duration_in_words;
use crate::state::actions::grouped;
use crate::state::dialogs::DialogCommand;
use crate::state::dialogs::StudyFile;
use crate::state::rate::RateCommand;
use crate::state::rate::quick::QuickCommand;
use crate::stats::raters::Screening;
use crate::ui::tokens::BODY;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::train::card;
use crate::ui::train::page;
use crate::ui::widgets::chip;

/// Room of a study's buttons.
const BUTTONS: f32 = 360.0;

/// Raters that are named one by one.
const NAMED: usize = 4;

/// Skipped pictures that are listed one by one.
const LISTED: usize = 8;

/// Draws the page.
pub(super) fn show(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            ui.horizontal(|ui| {
                ui.heading("Rate");
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    new_study(ui, out);
                    let hint = "From a package that came back, another project or a table";
                    if ui.button("Take votes in…").on_hover_text(hint).clicked() {
                        out.push(Command::Dialog(DialogCommand::TakeVotes));
                    }
                });
            });
            ui.weak(
                "What people say is the ground truth. Raters see the picture and the question, and nothing else.",
            );
            ui.add_space(GAP);
            let studies = project.studies.iter().rev();
            let mut has_study = false;
            for study in studies.filter(|study| !study.is_quick) {
                study_card(ui, project, study, out);
                has_study = true;
            }
            if !has_study {
                empty(ui, state, out);
            }
            skipped(ui, state, project);
            quick(ui, state, project, out);
            ui.add_space(GROUP_GAP);
        });
    });
}

fn new_study(ui: &mut Ui, out: &mut Vec<Command>) {
    let button = Button::new(RichText::new("New study…").strong())
        .fill(Palette::in_use(ui).accent_ground)
        .min_size(vec2(120.0, ROW_HEIGHT));
    let hint = "Choose pictures, method and questions";
    if ui.add(button).on_hover_text(hint).clicked() {
        out.push(Command::Rate(RateCommand::New));
    }
}

fn empty(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    card(ui, "No study yet", |ui| {
        ui.label(
            "A study asks several people the same questions about the same pictures: blind, each in an order of their \
             own, with practice, breaks and hidden repeats, as ITU-T P.910 and ITU-R BT.500 describe. The votes come \
             out as opinion scores with intervals, and can be the ground truth of this project.",
        );
        ui.add_space(GAP);
        let words = format!(
            "It begins with the {} pictures that the gallery shows; select some there to have only these.",
            grouped(state.scope.num_images)
        );
        ui.weak(words);
        ui.add_space(GAP);
        if ui.button("Make the first study…").clicked() {
            out.push(Command::Rate(RateCommand::New));
        }
    });
}

fn study_card(ui: &mut Ui, project: &Project, study: &Study, out: &mut Vec<Command>) {
    let tally = project.tally(study.id);
    card(ui, &study.protocol.name, |ui| {
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.set_max_width((ui.available_width() - BUTTONS).max(BUTTONS));
                ui.add(Label::new(facts(study)).truncate());
                let words = RichText::new(tally_words(study, &tally)).weak();
                ui.add(Label::new(words).truncate())
                    .on_hover_text(rater_words(&tally));
                truth_chips(ui, project, study);
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                buttons(ui, study, &tally, out);
            });
        });
    });
}

fn facts(study: &Study) -> String {
    let protocol = &study.protocol;
    let aspects: Vec<&str> = protocol
        .aspects
        .iter()
        .map(|aspect| aspect.name())
        .collect();
    let num_pictures = protocol.rated_pictures().len();
    format!(
        "{} · {} · {} pictures",
        protocol.method.title(),
        aspects.join(", "),
        grouped(num_pictures)
    )
}

fn tally_words(study: &Study, tally: &VoteCount) -> String {
    if tally.num_votes == 0 {
        return "No votes yet; the protocol can still be changed".to_owned();
    }
    let votes = grouped(tally.num_votes);
    let planned = match study.protocol.num_raters {
        0 => String::new(),
        planned => format!(" of {planned} planned"),
    };
    match raters(tally).count() {
        _ if study.is_quick => format!("{votes} votes: {}", rater_words(tally)),
        num if num > NAMED => format!("{votes} votes by {num}{planned} raters"),
        num => format!(
            "{votes} votes by {num}{planned} raters: {}",
            rater_words(tally)
        ),
    }
}

/// Everybody who voted, with how often.
fn rater_words(tally: &VoteCount) -> String {
    let names = raters(tally).map(|(name, num)| format!("{name} {}", grouped(*num)));
    names.collect::<Vec<_>>().join(", ")
}

fn raters(tally: &VoteCount) -> impl Iterator<Item = (&String, &usize)> {
    tally.raters.iter().filter(|(_, num)| **num > 0)
}

fn truth_chips(ui: &mut Ui, project: &Project, study: &Study) {
    let is_truth = |aspect: &Aspect| *project.settings.ground_truth.get(*aspect) == Some(study.id);
    for aspect in Aspect::ALL.into_iter().filter(is_truth) {
        let words = format!("ground truth of {aspect}");
        let hint = "Compare, Train and export go by this study's scores for the aspect";
        chip::chip(ui, &words, hint);
    }
}

fn buttons(ui: &mut Ui, study: &Study, tally: &VoteCount, out: &mut Vec<Command>) {
    let rate = Button::new(RichText::new("Rate").strong())
        .fill(Palette::in_use(ui).accent_ground)
        .min_size(vec2(88.0, ROW_HEIGHT));
    let named = |words: &str| format!("{words} {}", study.protocol.name);
    let hint = "The window shows nothing but the pictures until the rater leaves";
    if ui
        .add(rate)
        .on_hover_text(hint)
        .accessible_name(named("Rate in"))
        .clicked()
    {
        out.push(Command::Rate(RateCommand::Sit(study.id)));
    }
    if ui
        .add_enabled(tally.num_votes > 0, Button::new("Results"))
        .on_disabled_hover_text("There are no votes yet")
        .accessible_name(named("Results of"))
        .clicked()
    {
        out.push(Command::Rate(RateCommand::ShowResults(study.id)));
    }
    if ui
        .button("Export…")
        .on_hover_text("Votes, tables, and packages for other machines")
        .accessible_name(named("Export"))
        .clicked()
    {
        let aspect = study.protocol.aspects.first().copied();
        out.push(Command::Dialog(DialogCommand::ExportStudy {
            study: study.id,
            what: StudyFile::Package,
            aspect: aspect.unwrap_or(Aspect::Quality),
            screening: Screening::default(),
        }));
    }
    if !study.is_frozen
        && ui
            .button("Change…")
            .accessible_name(named("Change"))
            .clicked()
    {
        out.push(Command::Rate(RateCommand::Change(study.id)));
    }
}

/// Pictures that the last sitting could not show: for the one who runs the study, not for raters.
fn skipped(ui: &mut Ui, state: &AppState, project: &Project) {
    let skipped = &state.rate.skipped;
    if skipped.is_empty() {
        return;
    }
    let noun = if skipped.len() == 1 {
        "picture"
    } else {
        "pictures"
    };
    let title = format!(
        "{} {noun} could not be shown in the last sitting",
        skipped.len()
    );
    card(ui, &title, |ui| {
        for picture in skipped.iter().take(LISTED) {
            let mut studies = project.studies.iter();
            let known = studies.find_map(|study| study.protocol.picture(picture.picture));
            let path =
                known.map_or_else(|| picture.picture.to_string(), |known| known.path.clone());
            let ink = Palette::in_use(ui).error;
            ui.colored_label(ink, format!("{path}: {}", picture.reason));
        }
        if skipped.len() > LISTED {
            ui.weak(format!("and {} more", skipped.len() - LISTED));
        }
        ui.weak("They got no vote. Raters are asked about them once the files are there again.");
    });
}

fn quick(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let quick = &state.rate.quick;
    let command = |command| Command::Rate(RateCommand::Quick(command));
    card(ui, "Quick rating", |ui| {
        ui.label(
            "The keys 1 to 5 rate whatever is selected in Gallery and Inspect: bad, poor, fair, good, excellent. \
             Ctrl+Z takes it back.",
        );
        ui.horizontal(|ui| {
            ui.label("The keys rate");
            for aspect in Aspect::ALL {
                let is_on = quick.aspect == aspect;
                let palette = Palette::in_use(ui);
                let ink = if is_on {
                    palette.aspect(aspect)
                } else {
                    palette.faint
                };
                let words = RichText::new(aspect.title()).color(ink);
                if ui.add(Button::selectable(is_on, words)).clicked() {
                    out.push(command(QuickCommand::SetAspect(aspect)));
                }
            }
            ui.add_space(GROUP_GAP);
            let label = ui.label("as");
            let mut rater = quick.rater.clone();
            let field = TextEdit::singleline(&mut rater)
                .hint_text(quick.rater_name())
                .align(Align2::LEFT_CENTER)
                .desired_width(140.0);
            if ui.add(field).labelled_by(label.id).changed() {
                out.push(command(QuickCommand::SetRater(rater)));
            }
        });
        let mut moves_on = quick.moves_on;
        let words = "Go to the next picture after rating a single one";
        if ui.checkbox(&mut moves_on, words).changed() {
            out.push(command(QuickCommand::ToggleMovesOn));
        }
        let study = project.studies.iter().find(|study| study.is_quick);
        let tally = study.map(|study| project.tally(study.id));
        if let (Some(study), Some(tally)) = (study, tally.filter(|tally| tally.num_votes > 0)) {
            ui.horizontal(|ui| {
                ui.weak(tally_words(study, &tally));
                if ui
                    .button("Results")
                    .accessible_name("Results of quick rating")
                    .clicked()
                {
                    out.push(Command::Rate(RateCommand::ShowResults(study.id)));
                }
            });
        }
    });
}

/// "about 24 min for one rater (315 trials)".
pub(super) fn effort_words(seconds: f64, num_trials: usize) -> String {
    format!(
        "{} for one rater, {} trials",
        duration_in_words(seconds),
        grouped(num_trials)
    )
}

/// A line of small print.
pub(super) fn small(ui: &mut Ui, words: &str) {
    ui.label(RichText::new(words).weak().size(BODY - 2.0));
}
