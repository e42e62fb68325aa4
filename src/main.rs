//! The `assay` program: a window without arguments, commands with them.

use std::io;
use std::io::Write as _;
use std::process::ExitCode;

use assay::app;
use assay::app::AppOptions;
use assay::cli;
use assay::cli::Request;
use assay::jobs::WorkerOptions;

fn main() -> ExitCode {
    assay::compute::settle();
    match cli::run(std::env::args_os()) {
        Request::Ended(exit) => exit,
        Request::Window {
            open,
            renderer,
            workers,
            timings,
        } => match open_window(open, renderer.as_deref(), *workers, timings) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                writeln!(io::stderr(), "assay: {}", cli::whole_reason(&error)).ok();
                ExitCode::FAILURE
            }
        },
    }
}

fn open_window(
    open: Option<std::path::PathBuf>,
    renderer: Option<&str>,
    workers: WorkerOptions,
    timings: Option<std::path::PathBuf>,
) -> anyhow::Result<()> {
    let renderer = renderer
        .map_or(Ok(app::RendererChoice::default()), str::parse)
        .map_err(|reason: String| anyhow::anyhow!("--renderer: {reason}"))?;
    app::run(AppOptions {
        open,
        renderer,
        workers,
        timings,
    })
}
