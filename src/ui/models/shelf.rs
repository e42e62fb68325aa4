//! What lies beside whole models: adapters under their base, half downloads, published predictors, and what the program
//! knows to fetch.

use egui::Align;
use egui::Align2;
use egui::Button;
use egui::Label;
use egui::Layout;
use egui::RichText;
use egui::TextEdit;
use egui::Ui;

use crate::domain::AddOn;
use crate::domain::HalfDownload;
use crate::domain::KnownModel;
use crate::domain::ModelKind;
use crate::state::AppState;
use crate::state::Command;
use crate::state::models;
use crate::state::models::ModelsCommand;
use crate::state::models::bytes_words;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::HEADING;
use crate::ui::tokens::Palette;
use crate::ui::tokens::STEP;
use crate::ui::train::card;
use crate::ui::widgets::chip;

use super::check;
use super::fetch;
use super::use_add_on;

/// Width of the field for a repository.
const FIELD_WIDTH: f32 = 320.0;

/// Draws the downloads that are not whole and belong to no card below: of repositories that the program does not know.
pub(super) fn halves(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let is_known = |half: &&HalfDownload| {
        state
            .models
            .shelf
            .known
            .iter()
            .any(|known| known.name == half.name)
    };
    for half in state
        .models
        .shelf
        .halves
        .iter()
        .filter(|half| !is_known(half))
    {
        card(ui, &half.name, |ui| {
            ui.weak(&half.repository);
            half_download(ui, state, half, out);
        });
    }
}

/// Draws what the program knows and this machine lacks, and the field for everything else.
pub(super) fn to_fetch(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.add_space(GAP);
    ui.label(RichText::new("Models to download").size(HEADING));
    let host = &state.models.shelf.host;
    ui.weak(format!(
        "From {host}. Size and licence are shown before anything is fetched; a folder that was copied here needs no network."
    ));
    for known in state.models.to_fetch(ModelKind::Model) {
        card(ui, &known.name, |ui| {
            known_model(ui, state, known, out);
            adapters(ui, state, &known.name, out);
        });
    }
    other_repository(ui, state, out);
}

/// Draws the adapters of a model: those that are here, then those that could be fetched.
pub(super) fn adapters(ui: &mut Ui, state: &AppState, model: &str, out: &mut Vec<Command>) {
    let here: Vec<&AddOn> = state.models.adapters_of(model).collect();
    let others: Vec<&KnownModel> = state
        .models
        .to_fetch(ModelKind::Adapter)
        .filter(|known| known.purpose.base.as_deref() == Some(model))
        .collect();
    if here.is_empty() && others.is_empty() {
        return;
    }
    ui.add_space(GAP);
    ui.label(RichText::new("Adapters").strong());
    ui.weak("Each changes the model for one aspect; they lie over the same base.");
    for add_on in here {
        ui.separator();
        shelved(ui, state, add_on, out);
    }
    for known in others {
        ui.separator();
        known_row(ui, state, known, out);
    }
}

/// Draws the published predictors: those that are here, then those that could be fetched.
pub(super) fn predictors(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let is_predictor = |add_on: &&AddOn| add_on.kind == ModelKind::Predictor;
    let here: Vec<&AddOn> = state
        .models
        .shelf
        .add_ons
        .iter()
        .filter(is_predictor)
        .collect();
    let others: Vec<&KnownModel> = state.models.to_fetch(ModelKind::Predictor).collect();
    if here.is_empty() && others.is_empty() {
        return;
    }
    ui.add_space(GAP);
    card(ui, "Published predictors", |ui| {
        ui.weak(
            "Checkpoints of the paper's authors; each reads its own model with its own wording.",
        );
        for add_on in here {
            ui.separator();
            shelved(ui, state, add_on, out);
        }
        for known in others {
            ui.separator();
            known_row(ui, state, known, out);
        }
    });
}

/// A known model that is not here: what it is, and the way to get it.
fn known_model(ui: &mut Ui, state: &AppState, known: &KnownModel, out: &mut Vec<Command>) {
    ui.add(Label::new(&known.summary).wrap());
    origin_line(ui, known);
    match state.models.half(&known.name) {
        Some(half) => half_download(ui, state, half, out),
        None => fetch::show(ui, state, &known.name, out),
    }
}

/// A known adapter or predictor that is not here, in two lines until somebody wants it.
fn known_row(ui: &mut Ui, state: &AppState, known: &KnownModel, out: &mut Vec<Command>) {
    let half = state.models.half(&known.name);
    let is_idle = half.is_none() && fetch::is_idle(state, &known.name);
    ui.horizontal(|ui| {
        title(ui, &known.name, &known.purpose.words());
        if is_idle {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                fetch::ask_button(ui, state, &known.name, out);
            });
        }
    });
    origin_line(ui, known);
    match half {
        Some(half) => half_download(ui, state, half, out),
        None if is_idle => {}
        None => fetch::show(ui, state, &known.name, out),
    }
}

/// Where it is, its licence, and what else is worth knowing.
fn origin_line(ui: &mut Ui, known: &KnownModel) {
    let licence = known.licence.as_deref().map_or_else(
        || "licence: the server says it".to_owned(),
        |licence| format!("licence: {licence}"),
    );
    let note = known
        .purpose
        .note
        .as_deref()
        .map_or_else(String::new, |note| format!(" · {note}"));
    let words = format!("{} · {licence}{note}", known.repository);
    ui.add(Label::new(RichText::new(words).weak()).wrap());
}

/// A download that is not whole: running, or cut off and waiting.
fn half_download(ui: &mut Ui, state: &AppState, half: &HalfDownload, out: &mut Vec<Command>) {
    if let Some(job) = models::download(state, &half.source) {
        fetch::running(ui, job, out);
        return;
    }
    ui.horizontal_wrapped(|ui| {
        chip::warning(ui, "not whole", "It was cut off, and goes on from there");
        let part = match half.bytes {
            Some(bytes) if bytes > 0 => half.present as f32 / bytes as f32,
            _ => 0.0,
        };
        fetch::bar(ui, part.min(1.0), &half.name);
        let of = half
            .bytes
            .map_or_else(String::new, |bytes| format!(" of {}", bytes_words(bytes)));
        ui.label(format!("{}{of} are here", bytes_words(half.present)));
    });
    fetch::refused(ui, state, &half.source);
    ui.horizontal_wrapped(|ui| {
        let hint = "Only what is lacking is fetched";
        if ui
            .button("Resume")
            .accessible_name(format!("Resume the download of {}", half.name))
            .on_hover_text(hint)
            .clicked()
        {
            out.push(Command::Models(ModelsCommand::Resume(half.folder.clone())));
        }
        if ui
            .button("Throw away")
            .accessible_name(format!("Throw away the download of {}", half.name))
            .on_hover_text(format!("Takes away what came: {}", half.folder.display()))
            .clicked()
        {
            out.push(Command::Models(ModelsCommand::Forget(half.folder.clone())));
        }
        fetch::hide_button(ui, state, &half.source, out);
    });
}

/// An adapter or a predictor that is here.
fn shelved(ui: &mut Ui, state: &AppState, add_on: &AddOn, out: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        title(ui, &add_on.name, &add_on.purpose.words());
        chip::chip(ui, "here", "Its files are on this machine");
    });
    let words = format!(
        "{} · {} · licence: {} · {}",
        add_on.summary,
        bytes_words(add_on.bytes),
        add_on.licence,
        add_on.source
    );
    ui.add(Label::new(RichText::new(words).weak()).wrap());
    if let Some(problem) = &add_on.problem {
        let palette = Palette::in_use(ui);
        let words = format!("Cannot be used: {problem}");
        ui.add(Label::new(RichText::new(words).color(palette.error)).wrap());
    }
    ui.horizontal_wrapped(|ui| {
        match add_on.kind {
            ModelKind::Adapter => use_add_on::adapter(ui, state, add_on, out),
            ModelKind::Predictor => use_add_on::predictor(ui, state, add_on, out),
            ModelKind::Model => {}
        }
        check(ui, state, &add_on.folder, out);
    });
}

fn title(ui: &mut Ui, name: &str, purpose: &str) {
    ui.label(RichText::new(name).strong());
    if !purpose.is_empty() {
        chip::chip(ui, purpose, "What it was made for");
    }
}

/// The field for a repository that the program does not know, with what came of asking for it.
fn other_repository(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    card(ui, "Another repository", |ui| {
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Repository");
            let mut text = state.models.source_text.clone();
            let field = TextEdit::singleline(&mut text)
                .hint_text("owner/name, or its page's address")
                .align(Align2::LEFT_CENTER)
                .desired_width(FIELD_WIDTH);
            let response = ui.add(field).labelled_by(label.id);
            if response.changed() {
                out.push(Command::Models(ModelsCommand::SetSourceText(text.clone())));
            }
            let is_entered =
                response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let source = text.trim();
            let is_clicked = ui
                .add_enabled(!source.is_empty(), Button::new("Look it up"))
                .on_hover_text("Asks for size and licence; nothing is fetched yet")
                .on_disabled_hover_text("Type a repository first")
                .clicked();
            if (is_clicked || is_entered) && !source.is_empty() {
                out.push(Command::Models(ModelsCommand::Ask(source.to_owned())));
            }
        });
        for source in others(state) {
            ui.add_space(STEP);
            ui.strong(&source);
            fetch::show(ui, state, &source, out);
            ui.add_space(GROUP_GAP - GAP);
        }
    });
}

/// Sources that were asked for and are no known models: running, offered, or refused.
fn others(state: &AppState) -> Vec<String> {
    let models = &state.models;
    let is_known = |source: &String| models.shelf.known.iter().any(|known| known.name == *source);
    let is_half = |source: &String| {
        models
            .shelf
            .halves
            .iter()
            .any(|half| half.source == *source)
    };
    let typed = Some(models.source_text.trim().to_owned()).filter(|source| {
        models::is_asked(state, source) || models::download(state, source).is_some()
    });
    let mut sources: Vec<String> = models
        .offers
        .keys()
        .chain(models.refusals.keys())
        .cloned()
        .chain(typed)
        .collect();
    sources.retain(|source| !is_known(source) && !is_half(source));
    sources.sort();
    sources.dedup();
    sources
}
