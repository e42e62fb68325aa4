//! The same jobs without a window: parses the command line, hands jobs in, shows how they go, prints answers.
//!
//! Answers go to stdout, everything else to stderr. Exit codes: 0 done; 1 failed, with the reason and what to do;
//! 2 wrong usage; 3 done, but some items failed and are listed.

mod args;
mod change;
mod choose;
mod convert;
mod data;
mod exit;
mod features;
mod lone;
mod models;
mod output;
mod project;
mod rehearse;
mod session;
mod study;
mod teach;
mod train;
mod train_args;
mod tune;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use serde_json::json;

use crate::cli::args::Arguments;
use crate::cli::args::Command;
use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::jobs::WorkerOptions;
use crate::jobs::message::Job;

pub use output::whole_reason;

/// What the command line asks of the program.
pub enum Request {
    /// The window.
    Window {
        /// What to open; `None` means the last project, or the demo.
        open: Option<PathBuf>,
        /// What to draw with: a word of the window's, or `None` for its own choice.
        renderer: Option<String>,
        /// What the workers start with.
        workers: Box<WorkerOptions>,
        /// Where to write how long starting and drawing took.
        timings: Option<PathBuf>,
    },
    /// A command, which has run: the program's exit code.
    Ended(ExitCode),
}

/// Reads the command line and runs the command, unless it is the window that is wanted.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Request {
    let parsed = match Arguments::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version come this way too, and those are no mistakes.
            error.print().ok();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return Request::Ended(exit.into());
        }
    };
    let Arguments {
        command,
        common,
        renderer,
        timings,
    } = parsed;
    match command {
        None => window(None, (renderer, timings), &common),
        Some(Command::Open { path }) => window(Some(path), (renderer, timings), &common),
        Some(command) => Request::Ended(ended(&command, &common).into()),
    }
}

fn window(
    open: Option<PathBuf>,
    (renderer, timings): (Option<String>, Option<PathBuf>),
    common: &Common,
) -> Request {
    match session::worker_options(common, None) {
        Ok(options) => Request::Window {
            open,
            renderer,
            workers: Box::new(WorkerOptions {
                remember: true,
                ..options
            }),
            timings,
        },
        Err(error) => {
            output::say(&format!("assay: {}", output::whole_reason(&error)));
            Request::Ended(Exit::Failed.into())
        }
    }
}

fn ended(command: &Command, common: &Common) -> Exit {
    carry_out(command, common).unwrap_or_else(|error| {
        let reason = output::whole_reason(&error);
        output::say(&format!("assay: {reason}"));
        if common.json {
            output::answer(true, &json!({ "error": reason }), "");
        }
        Exit::Failed
    })
}

fn carry_out(command: &Command, common: &Common) -> anyhow::Result<Exit> {
    match command {
        Command::Open { .. } => Ok(Exit::Done),
        Command::Demo(args) => data::demo(args, common),
        Command::Import(args) => data::import(args, common),
        Command::Export(args) => data::export(args, common),
        Command::Convert(args) => convert::convert(args, common),
        Command::Describe(args) => project::describe(args, common),
        Command::Features(args) => features::features(args, common),
        Command::Score(args) => match (&args.project, &args.path, &args.features) {
            (Some(file), _, _) => project::score(file, args, common),
            (None, Some(path), _) => lone::score(path, args, common),
            (None, None, Some(file)) => features::score(file, args, common),
            (None, None, None) => Ok(Exit::Usage),
        },
        Command::Train(args) => train::train(args, common),
        Command::Evaluate(args) => project::evaluate(args, common),
        Command::Use { what } => choose::choose(what, common),
        Command::Tag(args) => change::tag(args, common),
        Command::Relocate(args) => change::relocate(args, common),
        Command::Undo(args) => change::turn(&args.project, Job::Undo, common),
        Command::Redo(args) => change::turn(&args.project, Job::Redo, common),
        Command::Study { action } => study::study(action, common),
        Command::Rehearse(args) => rehearse::rehearse(args, common),
        Command::Models { action } => models::models(action, common),
        Command::Teach(args) => teach::teach(args, common),
        Command::Tune(args) => tune::tune(args, common),
    }
}
