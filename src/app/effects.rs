//! Carrying out what commands ask of the world outside the state.

use crate::state;
use crate::state::Command;
use crate::state::Effect;

use super::files;
use super::window::Window;

impl Window {
    /// Runs commands until none is left, and carries their effects out.
    pub(super) fn run(&mut self, ctx: &egui::Context, commands: Vec<Command>) {
        if !commands.is_empty() {
            self.read_clocks();
        }
        for command in commands {
            for effect in state::update(&mut self.state, command) {
                self.carry_out(ctx, effect);
            }
        }
    }

    fn carry_out(&mut self, ctx: &egui::Context, effect: Effect) {
        let sender = self.sender.clone();
        let wake = ctx.clone();
        let started = match effect {
            Effect::Submit(job) => {
                self.note_submitted(&job);
                let id = self.workers.submit(job.clone());
                self.state.jobs.submitted(id, job);
                Ok(())
            }
            Effect::Control(job, control) => {
                self.workers.control(job, control);
                Ok(())
            }
            Effect::Pick(pick) => files::in_background(sender, wake, move || files::pick(pick)),
            Effect::ReadColumns(path) => {
                files::in_background(sender, wake, move || Some(files::table_columns(path)))
            }
            Effect::Copy(text) => {
                ctx.copy_text(text);
                Ok(())
            }
            Effect::Quit => {
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
                Ok(())
            }
        };
        if let Err(error) = started {
            self.state
                .say_error(format!("cannot start a thread: {error}"));
        }
    }
}
