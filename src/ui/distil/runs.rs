//! The fine-tuning runs: what each learned, how it ended, and what can be done with it.

use egui::Button;
use egui::Label;
use egui::RichText;
use egui::Ui;

use crate::domain::{RunStatus, TuneRun};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Screen;
use crate::state::actions::grouped;
use crate::state::distil::DistilCommand;
use crate::state::distil::TuneCommand;
use crate::state::distil::tune;
use crate::state::models::bytes_words;
use crate::state::train::runs::time_words;
use crate::ui::tokens::GAP;
use crate::ui::tokens::STEP;
use crate::ui::train::card;
use crate::ui::widgets::chip;

use super::curves;
use super::texts;

fn push(out: &mut Vec<Command>, command: TuneCommand) {
    out.push(Command::Distil(DistilCommand::Tune(command)));
}

/// Draws the runs, or why there is none.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let runs = tune::runs(state);
    if state.distil.tune.runs.is_none() {
        ui.weak("Looking for runs");
        return;
    }
    if runs.is_empty() {
        card(ui, "No adapters yet", |ui| {
            let words = match tune::num_adapters(state) {
                0 => "What a run learns becomes an adapter: a small folder that lies over the model it was made for. Adapters made elsewhere with PEFT are added under Models.".to_owned(),
                num => format!("No run yet; {num} adapters made elsewhere are listed under Models."),
            };
            ui.add(Label::new(words).wrap());
        });
        return;
    }
    if tune::job(state).is_none() {
        card(ui, "Curves", |ui| curves::show(ui, state));
        ui.add_space(GAP);
    }
    card(ui, "Runs", |ui| {
        for run in runs {
            ui.separator();
            one_run(ui, state, run, out);
        }
    });
}

fn one_run(ui: &mut Ui, state: &AppState, run: &TuneRun, out: &mut Vec<Command>) {
    let is_shown = state
        .distil
        .tune
        .shown()
        .is_some_and(|shown| shown.id == run.id);
    ui.horizontal_wrapped(|ui| {
        let name = RichText::new(&run.id.0).strong();
        let hint = "Show its curves";
        if ui
            .add(Button::selectable(is_shown, name))
            .on_hover_text(hint)
            .clicked()
        {
            push(out, TuneCommand::Choose(run.id.clone()));
        }
        status(ui, state, run);
        let own = state
            .project
            .as_ref()
            .map_or("", |project| &project.info.path);
        if run.project != own {
            chip::chip(ui, "another project", &run.project);
        }
        ui.weak(time_words(run.unix_time));
    });
    ui.add(Label::new(RichText::new(run_words(run)).weak()).wrap());
    if let RunStatus::Failed(reason) = &run.status {
        texts::wrong(ui, reason);
    }
    ui.horizontal_wrapped(|ui| run_buttons(ui, state, run, out));
    ui.add_space(STEP);
}

fn status(ui: &mut Ui, state: &AppState, run: &TuneRun) {
    let live = state.distil.tune.live.as_ref();
    let is_working = tune::job(state).is_some() && live.is_some_and(|(id, _)| *id == run.id);
    match (&run.status, is_working) {
        (RunStatus::Running, true) => chip::chip(ui, "learning", "It goes on right now"),
        (RunStatus::Running, false) => {
            chip::warning(ui, "cut off", "It goes on from its last checkpoint")
        }
        (RunStatus::Done, _) => chip::chip(ui, "done", "Its best epoch is the adapter"),
        (RunStatus::Stopped, _) => chip::chip(ui, "stopped", "Its best epoch so far was kept"),
        (RunStatus::Failed(_), _) => chip::warning(ui, "failed", "The reason stands below"),
    };
}

fn run_words(run: &TuneRun) -> String {
    let settings = &run.settings;
    let aspects: Vec<&str> = settings
        .aspects
        .iter()
        .map(|aspect| aspect.name())
        .collect();
    let mut facts = vec![format!(
        "{} on {} conversations ({}), preset {}, rank {}",
        run.base.name,
        grouped(run.num_conversations[0]),
        aspects.join(", "),
        settings.preset,
        settings.rank
    )];
    let mut epochs = run.epochs.iter();
    if let Some(best) = epochs.find(|epoch| Some(epoch.epoch) == run.best_epoch) {
        let word = best.val.word_accuracy.map_or_else(
            || "no rating words".to_owned(),
            |accuracy| format!("word accuracy {accuracy:.3}"),
        );
        facts.push(format!(
            "validation after epoch {}: loss {:.3}, {word}, n {}",
            best.epoch, best.val.loss, best.val.n
        ));
    }
    if let Some(bytes) = run.measured_bytes {
        facts.push(format!("{} of memory at most", bytes_words(bytes)));
    }
    facts.join("; ")
}

fn run_buttons(ui: &mut Ui, state: &AppState, run: &TuneRun, out: &mut Vec<Command>) {
    open_buttons(ui, state, run, out);
    let is_busy = tune::job(state).is_some();
    if run.adapter.is_some() {
        let hint = "The project's pictures are described by it from now on; Models brings the former model back";
        if ui
            .button("Use it")
            .accessible_name(format!("Use {}", run.id))
            .on_hover_text(hint)
            .clicked()
        {
            push(out, TuneCommand::Use(run.id.clone()));
        }
        if ui.button("Show under Models").clicked() {
            out.push(Command::Show(Screen::Models));
        }
    }
    let hint = "Takes its checkpoints away; an adapter that came out of it stays";
    if !is_busy
        && ui
            .button("Forget")
            .accessible_name(format!("Forget {}", run.id))
            .on_hover_text(hint)
            .clicked()
    {
        push(out, TuneCommand::Forget(run.id.clone()));
    }
}

/// What can be done with a run that has not ended.
fn open_buttons(ui: &mut Ui, state: &AppState, run: &TuneRun, out: &mut Vec<Command>) {
    if tune::can_resume(state, run)
        && ui
            .button("Resume")
            .on_hover_text("From the last checkpoint")
            .clicked()
    {
        push(out, TuneCommand::Resume(run.id.clone()));
    }
    let hint =
        "Ends the run here: its best epoch so far becomes the adapter, and the checkpoint goes";
    if tune::can_take(state, run)
        && ui
            .button("Take the best epoch")
            .accessible_name(format!("Take the best epoch of {}", run.id))
            .on_hover_text(hint)
            .clicked()
    {
        push(out, TuneCommand::Take(run.id.clone()));
    }
}
