//! Step 3: what the local model learns and how, whether it fits, the button; then live curves, and the runs.

use egui::Button;
use egui::DragValue;
use egui::Grid;
use egui::Label;
use egui::ProgressBar;
use egui::RichText;
use egui::ScrollArea;
use egui::Ui;
use egui::vec2;

use crate::domain::{Aspect, TuneEstimate, TunePreset, TuneSettings, TuneStep};
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::duration_in_words;
use crate::state::actions::grouped;
use crate::state::distil::DistilCommand;
use crate::state::distil::Step;
use crate::state::distil::TuneCommand;
use crate::state::distil::teacher;
use crate::state::distil::tune;
use crate::state::distil::tune::Estimate;
use crate::state::models::bytes_words;
use crate::state::models::parameters_words;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::SMALL;
use crate::ui::train;
use crate::ui::train::card;
use crate::ui::train::page;
use crate::ui::widgets::start_button::start_button;

use super::curves;
use super::runs;
use super::texts;

/// Width of the names of fields.
const NAME: f32 = 96.0;

/// Draws the step.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            if teacher::num_taught(state) == 0 {
                nothing_taught(ui, out);
                ui.add_space(GAP);
            }
            ui.columns(2, |columns| {
                if let [left, right] = columns {
                    card(left, "What it learns", |ui| what(ui, state, out));
                    card(right, "How", |ui| how(ui, state, out));
                }
            });
            ui.add_space(GAP);
            card(ui, "Fine-tune", |ui| begin(ui, state, out));
            ui.add_space(GAP);
            runs::show(ui, state, out);
            ui.add_space(GROUP_GAP);
        });
    });
}

fn push(out: &mut Vec<Command>, command: TuneCommand) {
    out.push(Command::Distil(DistilCommand::Tune(command)));
}

fn nothing_taught(ui: &mut Ui, out: &mut Vec<Command>) {
    card(ui, "Nothing to learn yet", |ui| {
        ui.label("No teacher has described a training picture of this project.");
        if ui.button("Go to Teacher").clicked() {
            out.push(Command::Distil(DistilCommand::Go(Step::Teacher)));
        }
    });
}

fn what(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let settings = &state.distil.tune.settings;
    let mut new = settings.clone();
    ui.horizontal_wrapped(|ui| {
        for aspect in Aspect::ALL {
            let mut is_on = new.aspects.contains(&aspect);
            if ui.checkbox(&mut is_on, aspect.title()).changed() {
                new.aspects.retain(|known| *known != aspect);
                if is_on {
                    new.aspects.push(aspect);
                    new.aspects.sort_unstable();
                }
            }
        }
    });
    Grid::new("tune_what")
        .num_columns(2)
        .min_col_width(NAME)
        .spacing(vec2(GAP, GAP))
        .show(ui, |ui| {
            base(ui, state, &mut new);
            teachers(ui, state, &mut new);
        });
    let words = "Texts that were rejected are left out, edited ones are learned as they were edited, and no picture of a test list takes part.";
    ui.add(Label::new(RichText::new(words).weak().size(SMALL)).wrap());
    if new != *settings {
        push(out, TuneCommand::Set(Box::new(new)));
    }
    let hint = "A folder of this name among the program's models";
    Grid::new("tune_name")
        .num_columns(2)
        .min_col_width(NAME)
        .spacing(vec2(GAP, GAP))
        .show(ui, |ui| {
            if let Some(name) = texts::text_row(ui, ("Name", hint), "tuned-1", &settings.name) {
                push(out, TuneCommand::SetName(name));
            }
        });
}

/// A choice by number over names that were made just now.
fn choose_named(
    ui: &mut Ui,
    (name, salt, hint): (&str, &str, &str),
    names: &[String],
    at: usize,
) -> usize {
    let label = ui.label(name).on_hover_text(hint);
    let all: Vec<(usize, &str)> = names.iter().map(String::as_str).enumerate().collect();
    let mut chosen = at;
    let width = (ui.available_width() - GAP).min(260.0);
    train::choose(ui, (salt, width), &all, at, |other| chosen = other)
        .labelled_by(label.id)
        .on_hover_text(hint);
    ui.end_row();
    chosen
}

fn base(ui: &mut Ui, state: &AppState, new: &mut TuneSettings) {
    let bases = tune::bases(state);
    let names: Vec<String> = bases.iter().map(|(_, words)| words.clone()).collect();
    let at = bases
        .iter()
        .position(|(base, _)| *base == new.base)
        .unwrap_or(0);
    let hint = "The model that learns; its own files are not changed";
    let chosen = choose_named(ui, ("Model", "tune_base", hint), &names, at);
    if chosen != at {
        new.base.clone_from(&bases[chosen].0);
    }
}

fn teachers(ui: &mut Ui, state: &AppState, new: &mut TuneSettings) {
    let known = tune::teachers(state);
    let mut names = vec!["All teachers".to_owned()];
    names.extend(
        known
            .iter()
            .map(|(name, num)| format!("{name}, {} texts", grouped(*num))),
    );
    let at = new.teacher.as_ref().and_then(|wanted| {
        let at = known.iter().position(|(name, _)| name == wanted)?;
        Some(at + 1)
    });
    let at = at.unwrap_or(0);
    let hint = "Whose texts are learned";
    let chosen = choose_named(ui, ("Teacher", "tune_teacher", hint), &names, at);
    if chosen != at {
        let named = chosen.checked_sub(1).and_then(|at| known.get(at));
        new.teacher = named.map(|(name, _)| name.clone());
    }
}

fn how(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let settings = &state.distil.tune.settings;
    for preset in TunePreset::ALL {
        let is_on = settings.preset == preset;
        let name = match preset {
            TunePreset::Light => "Light",
            TunePreset::Paper => "As the paper says",
            TunePreset::Published => "As the published code does",
        };
        if ui
            .radio(is_on, name)
            .on_hover_text(preset.summary())
            .clicked()
        {
            push(out, TuneCommand::SetPreset(preset));
        }
    }
    let words = format!("{}.", settings.preset.summary());
    ui.add(Label::new(RichText::new(words).weak().size(SMALL)).wrap());
    let words = match state.distil.tune.is_advanced {
        true => "Hide advanced settings",
        false => "Advanced settings",
    };
    if ui.button(words).clicked() {
        push(out, TuneCommand::ToggleAdvanced);
    }
    if state.distil.tune.is_advanced {
        advanced(ui, settings, out);
    } else {
        let words = format!(
            "{} epochs, {} conversations a step, peak rate {:e}, rank {}, at most {} tokens",
            settings.epochs,
            settings.step_size(),
            settings.learning_rate,
            settings.rank,
            settings.max_len
        );
        ui.add(Label::new(RichText::new(words).weak().size(SMALL)).wrap());
    }
}

fn advanced(ui: &mut Ui, settings: &TuneSettings, out: &mut Vec<Command>) {
    let mut new = settings.clone();
    Grid::new("tune_advanced")
        .num_columns(2)
        .min_col_width(NAME)
        .spacing(vec2(GAP, GAP / 2.0))
        .show(ui, |ui| {
            changes(ui, &mut new);
            steps(ui, &mut new);
        });
    if new != *settings {
        push(out, TuneCommand::Set(Box::new(new)));
    }
}

/// What is changed of the model.
fn changes(ui: &mut Ui, new: &mut TuneSettings) {
    let rank = DragValue::new(&mut new.rank).range(1..=1024).speed(0.2);
    train::row(
        ui,
        "Rank",
        "Of the changes; more learns more and takes more memory",
        rank,
    );
    let alpha = DragValue::new(&mut new.alpha)
        .range(0.1..=4096.0)
        .speed(0.5);
    train::row(ui, "Alpha", "Changes are scaled by alpha over rank", alpha);
    let dropout = DragValue::new(&mut new.dropout)
        .range(0.0..=0.9)
        .speed(0.005);
    train::row(
        ui,
        "Dropout",
        "Part of what enters a change that is left out while learning",
        dropout,
    );
    let hint =
        "A regular expression for whole names of modules that get LoRA; empty for the preset's own";
    let target = new.target.clone().unwrap_or_default();
    if let Some(target) = texts::text_row(ui, ("Target", hint), "the preset's own", &target) {
        new.target = Some(target).filter(|target| !target.trim().is_empty());
    }
    let hint = "Modules that are trained whole, parted by commas; a dash for none, empty for the preset's own";
    let whole = match new.whole.as_deref() {
        None => String::new(),
        Some([]) => "-".to_owned(),
        Some(names) => names.join(", "),
    };
    if let Some(text) = texts::text_row(ui, ("Whole", hint), "the preset's own", &whole) {
        new.whole = match text.trim() {
            "" => None,
            "-" => Some(Vec::new()),
            names => Some(
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect(),
            ),
        };
    }
}

/// How it learns.
fn steps(ui: &mut Ui, new: &mut TuneSettings) {
    let epochs = DragValue::new(&mut new.epochs).range(1..=100).speed(0.1);
    train::row(ui, "Epochs", "Passes over the conversations", epochs);
    let batch = DragValue::new(&mut new.batch_size).range(1..=64).speed(0.1);
    train::row(
        ui,
        "Batch size",
        "Conversations that go through the model at once",
        batch,
    );
    let accumulation = DragValue::new(&mut new.accumulation)
        .range(1..=256)
        .speed(0.1);
    train::row(ui, "Accumulation", "Batches a step", accumulation);
    let rate = DragValue::new(&mut new.learning_rate)
        .range(1e-8..=0.1)
        .speed(1e-6)
        .custom_formatter(|rate, _| format!("{rate:e}"));
    train::row(ui, "Learning rate", "The highest one, of AdamW", rate);
    let warmup = DragValue::new(&mut new.warmup)
        .range(0.0..=0.9)
        .speed(0.002);
    train::row(
        ui,
        "Warm-up",
        "Part of the steps over which the rate rises; it falls as a cosine",
        warmup,
    );
    let decay = DragValue::new(&mut new.weight_decay)
        .range(0.0..=1.0)
        .speed(0.002);
    train::row(ui, "Weight decay", "Holds the weights small", decay);
    let max_len = DragValue::new(&mut new.max_len).range(32..=4096).speed(2.0);
    train::row(ui, "Tokens", "Conversations are cut after so many", max_len);
    let mut percent = new.val_fraction * 100.0;
    let part = DragValue::new(&mut percent)
        .range(1.0..=50.0)
        .speed(0.2)
        .max_decimals(0)
        .suffix(" %");
    let hint = "Of the training images, cut by prompt; chooses the epoch that is kept";
    if train::row(ui, "Validation part", hint, part).changed() {
        new.val_fraction = percent / 100.0;
    }
    let seed = DragValue::new(&mut new.seed).speed(0.2);
    train::row(
        ui,
        "Seed",
        "Same seed, data and settings: same result",
        seed,
    );
}

fn begin(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    if tune::job(state).is_some() {
        live(ui, state, out);
        return;
    }
    let obstacle = tune::obstacle(state);
    if start_button(ui, button_words(state), obstacle.as_deref()) {
        push(out, TuneCommand::Start);
    }
    if let Some(reason) = &obstacle {
        texts::obstacle(ui, reason);
    }
    match (
        &state.distil.tune.estimate,
        state.distil.tune.known_estimate(),
    ) {
        (_, Some(Ok(found))) => fit(ui, found),
        (Estimate::Asked(_), _) => {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.weak("Working out whether it fits");
            });
        }
        _ => {}
    }
    if let Some(job) = tune::last(state) {
        texts::ended(ui, state, job, out);
    }
    let words = "Nothing is overwritten: what comes out is an adapter of its own, listed under Models. A run that is stopped goes on from its last checkpoint.";
    ui.add(Label::new(RichText::new(words).weak().size(SMALL)).wrap());
}

fn button_words(state: &AppState) -> String {
    match state.distil.tune.known_estimate() {
        Some(Ok(found)) => format!(
            "Fine-tune on {} conversations",
            grouped(found.num_conversations[0])
        ),
        _ => "Fine-tune".to_owned(),
    }
}

/// What the run would be, and a plain verdict on the memory.
fn fit(ui: &mut Ui, found: &TuneEstimate) {
    let words = format!(
        "{} steps; {} conversations of the validation part choose the epoch; {} parameters of {} are trained",
        grouped(found.steps as usize),
        grouped(found.num_conversations[1]),
        parameters_words(found.num_trained),
        found.base.name
    );
    ui.add(Label::new(words).wrap());
    let need = bytes_words(found.need.total());
    let form = &found.form;
    let words = match (found.free, found.fits()) {
        (None, _) => format!(
            "It takes about {need} with weights as {form}; how much is free is not known here"
        ),
        (Some(free), true) => format!(
            "It fits: about {need} of the {} that are free, with weights as {form}{}",
            bytes_words(free),
            match found.need.kept {
                0 => String::new(),
                kept => format!("; up to {} more make it faster", bytes_words(kept)),
            }
        ),
        (Some(free), false) => format!(
            "Too large: it takes about {need} with weights as {form}, and {} are free",
            bytes_words(free)
        ),
    };
    match found.fits() {
        true => {
            ui.add(Label::new(words).wrap());
        }
        false => texts::wrong(ui, &words),
    }
}

/// A run that goes on: its bar, speed, and curves.
fn live(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let Some(job) = tune::job(state) else {
        return;
    };
    let step = state.distil.tune.live.as_ref().map(|(_, step)| *step);
    match step {
        None => texts::running(ui, job, "Stop", out),
        Some(step) => {
            ui.label(format!(
                "Epoch {}, step {} of {}",
                step.epoch,
                grouped(step.step as usize),
                grouped(step.steps as usize)
            ));
            let part = step.step as f32 / step.steps.max(1) as f32;
            ui.add(
                ProgressBar::new(part)
                    .desired_width(ui.available_width())
                    .desired_height(8.0)
                    .fill(Palette::in_use(ui).accent),
            )
            .accessible_name("Progress of the fine-tuning");
            ui.horizontal_wrapped(|ui| {
                let hint = "The last checkpoint stays, and the run can go on from there";
                let words = if job.is_stopping { "Stopping" } else { "Stop" };
                let button = Button::new(words);
                if ui
                    .add_enabled(!job.is_stopping, button)
                    .on_hover_text(hint)
                    .clicked()
                {
                    push(out, TuneCommand::Stop);
                }
                ui.label(facts(&step));
            });
        }
    }
    curves::show(ui, state);
}

fn facts(step: &TuneStep) -> String {
    let mut facts = vec![format!("loss {:.3}", step.loss)];
    if let Some(rate) = step.tokens_per_second {
        facts.push(format!("{} tokens/s", grouped(rate as usize)));
    }
    if let Some(seconds) = step.seconds_left {
        facts.push(format!("{} left", duration_in_words(seconds)));
    }
    facts.join(" · ")
}
