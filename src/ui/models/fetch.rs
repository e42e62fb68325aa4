//! The way of a model to this machine: asking, the offer with its licence, the running download.

use egui::Align;
use egui::Button;
use egui::Grid;
use egui::Label;
use egui::Layout;
use egui::ProgressBar;
use egui::RichText;
use egui::Ui;
use egui::vec2;

use crate::domain::Offer;
use crate::state::AppState;
use crate::state::Command;
use crate::state::command::Control;
use crate::state::jobs::JobsCommand;
use crate::state::jobs::RunningJob;
use crate::state::models;
use crate::state::models::ModelsCommand;
use crate::state::models::bytes_words;
use crate::state::models::parameters_words;
use crate::state::models::progress_words;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::STEP;
use crate::ui::widgets::chip;

use super::FACT_HEIGHT;
use super::outlook;

/// Width of a download's bar.
const BAR_WIDTH: f32 = 260.0;

/// Draws how far somebody is with a model: the button to ask, the answer, or the download.
pub(super) fn show(ui: &mut Ui, state: &AppState, source: &str, out: &mut Vec<Command>) {
    if let Some(job) = models::download(state, source) {
        running(ui, job, out);
        return;
    }
    if models::is_asked(state, source) {
        ui.horizontal(|ui| {
            ui.spinner();
            ui.weak(format!("Asking {}", state.models.shelf.host));
        });
        return;
    }
    if let Some(offer) = state.models.offers.get(source) {
        offered(ui, state, offer, out);
        return;
    }
    refused(ui, state, source);
    ui.horizontal_wrapped(|ui| {
        ask_button(ui, state, source, out);
        hide_button(ui, state, source, out);
    });
}

/// Whether nobody has asked for it yet, so that there is nothing to show but the button.
pub(super) fn is_idle(state: &AppState, source: &str) -> bool {
    let models = &state.models;
    !models.offers.contains_key(source)
        && !models.refusals.contains_key(source)
        && !models::is_asked(state, source)
        && models::download(state, source).is_none()
}

/// Why there is no offer, in full.
pub(super) fn refused(ui: &mut Ui, state: &AppState, source: &str) {
    if let Some(reason) = state.models.refusals.get(source) {
        let palette = Palette::in_use(ui);
        ui.add(Label::new(RichText::new(reason).color(palette.error)).wrap());
    }
}

/// The button that puts away why there is no offer.
pub(super) fn hide_button(ui: &mut Ui, state: &AppState, source: &str, out: &mut Vec<Command>) {
    if state.models.refusals.contains_key(source)
        && ui
            .button("Hide")
            .accessible_name(format!("Hide why {source} was not fetched"))
            .clicked()
    {
        out.push(Command::Models(ModelsCommand::TurnDown(source.to_owned())));
    }
}

/// The button that asks for an offer.
pub(super) fn ask_button(ui: &mut Ui, state: &AppState, source: &str, out: &mut Vec<Command>) {
    let words = match state.models.refusals.contains_key(source) {
        true => "Try again",
        false => "Download…",
    };
    let hint = format!(
        "Asks {} for size and licence first; nothing is fetched yet",
        state.models.shelf.host
    );
    if ui
        .button(words)
        .accessible_name(format!("Download {source}…"))
        .on_hover_text(hint)
        .clicked()
    {
        out.push(Command::Models(ModelsCommand::Ask(source.to_owned())));
    }
}

/// What would come, from where, under which licence, and whether there is room: all of it before the click.
fn offered(ui: &mut Ui, state: &AppState, offer: &Offer, out: &mut Vec<Command>) {
    ui.horizontal_wrapped(|ui| {
        if offer.is_gated {
            let hint = "Sign in at its page and accept its licence there; HF_TOKEN then holds a token of that account";
            chip::warning(ui, "licence to be accepted on its page", hint);
        }
        if !offer.has_room() {
            chip::warning(ui, "too little room", "Make room on the disk first");
        }
    });
    Grid::new(("offer", &offer.source))
        .num_columns(2)
        .min_col_width(120.0)
        .min_row_height(FACT_HEIGHT)
        .spacing(vec2(GAP, STEP))
        .show(ui, |ui| facts(ui, state, offer));
    ui.horizontal_wrapped(|ui| {
        let size = offer.to_come().map_or_else(|| "it".to_owned(), bytes_words);
        let words = match &offer.licence {
            Some(_) => format!("Accept the licence and download {size}"),
            None => format!("Download {size}"),
        };
        if ui
            .add_enabled(offer.has_room(), Button::new(words))
            .on_hover_text("Can be paused and stopped; it goes on from there, also after the program was closed")
            .on_disabled_hover_text("There is too little room on the disk")
            .clicked()
        {
            out.push(Command::Models(ModelsCommand::Fetch(offer.source.clone())));
        }
        if ui.button("Not now").clicked() {
            out.push(Command::Models(ModelsCommand::TurnDown(offer.source.clone())));
        }
    });
}

fn facts(ui: &mut Ui, state: &AppState, offer: &Offer) {
    let row = |ui: &mut Ui, name: &str, value: String| {
        ui.weak(name);
        ui.add(Label::new(value).wrap());
        ui.end_row();
    };
    let bytes = offer
        .bytes
        .map_or_else(|| "the server does not say".to_owned(), bytes_words);
    let free = offer.free.map_or_else(String::new, |free| {
        format!("; {} are free on the disk", bytes_words(free))
    });
    let here = match offer.present {
        0 => String::new(),
        present => format!(", {} of it here already", bytes_words(present)),
    };
    let files = match offer.num_files {
        1 => "1 file".to_owned(),
        number => format!("{number} files"),
    };
    row(ui, "Size", format!("{bytes} in {files}{here}{free}"));
    row(
        ui,
        "Licence",
        offer
            .licence
            .clone()
            .unwrap_or_else(|| "not stated".to_owned()),
    );
    ui.weak("Page");
    ui.hyperlink(&offer.page);
    ui.end_row();
    row(ui, "Commit", offer.commit.clone());
    if let Some(parameters) = offer.parameters {
        row(ui, "Parameters", parameters_words(parameters));
    }
    if offer.fit.is_some() || offer.parameters.is_some() {
        ui.weak("In memory");
        match (&offer.fit, offer.parameters) {
            (Some(fit), _) => outlook::verdict(ui, fit),
            (None, parameters) => {
                memory(ui, parameters.unwrap_or(0), state.models.shelf.free_memory);
            }
        }
        ui.end_row();
    }
    row(ui, "Goes to", offer.folder.display().to_string());
}

/// The weights at each precision, and whether they fit.
fn memory(ui: &mut Ui, parameters: u64, free: Option<u64>) {
    let fit = models::fit(parameters, free);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = STEP / 2.0;
        ui.add(Label::new(&fit.verdict).wrap());
        let each: Vec<String> = fit
            .rows
            .iter()
            .map(|(precision, bytes, fits)| {
                let sign = match fits {
                    Some(true) => " fits",
                    Some(false) => " too large",
                    None => "",
                };
                format!("{} {}{sign}", precision.word(), bytes_words(*bytes))
            })
            .collect();
        ui.add(Label::new(RichText::new(each.join(" · ")).weak()).wrap());
    });
}

/// The bar of a running download with what can be done to it.
pub(super) fn running(ui: &mut Ui, job: &RunningJob, out: &mut Vec<Command>) {
    let progress = &job.progress;
    ui.horizontal(|ui| {
        let part = match progress.total {
            0 => 0.0,
            total => progress.done as f32 / total as f32,
        };
        bar(ui, part, &job.title);
        ui.label(progress_words(job));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            buttons(ui, job, out);
        });
    });
    ui.add(Label::new(RichText::new(&progress.stage).weak()).truncate());
}

fn buttons(ui: &mut Ui, job: &RunningJob, out: &mut Vec<Command>) {
    if job.is_stopping {
        ui.weak("Stopping");
        return;
    }
    let mut button = |ui: &mut Ui, words: &str, control: Control| {
        let name = format!("{words} {}", job.title.to_lowercase());
        if ui.button(words).accessible_name(name).clicked() {
            out.push(Command::Jobs(JobsCommand::Control(job.id, control)));
        }
    };
    button(ui, "Cancel", Control::Cancel);
    match job.is_paused {
        true => button(ui, "Resume", Control::Resume),
        false => button(ui, "Pause", Control::Pause),
    }
}

/// A bar with a name.
pub(super) fn bar(ui: &mut Ui, part: f32, title: &str) {
    ui.add(
        ProgressBar::new(part)
            .desired_width(BAR_WIDTH)
            .desired_height(8.0)
            .fill(Palette::in_use(ui).accent),
    )
    .accessible_name(format!("Progress of {title}"));
}
