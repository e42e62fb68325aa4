//! The window program: `eframe::App` that drains events in `logic` and draws in `ui`; owns the state and the workers.
//!
//! What the user asks for goes to [`crate::state::update()`], which changes the state and names effects; the app alone
//! carries effects out. The GUI thread does no file and no model work.

mod effects;
mod files;
mod fonts;
mod renderer;
mod settings;
mod timings;
mod window;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;

use crate::jobs::WorkerOptions;

pub use renderer::RendererChoice;

/// What the window starts with.
#[derive(Debug, Clone)]
pub struct AppOptions {
    /// What to open: a project, a folder or a table; `None` means the last project, or the demo.
    pub open: Option<PathBuf>,
    /// How to draw.
    pub renderer: RendererChoice,
    /// What the workers start with.
    pub workers: WorkerOptions,
    /// Where to write, at the end, how long starting and drawing took; `None` means nowhere.
    pub timings: Option<PathBuf>,
}

/// Opens the window and runs until it is closed.
///
/// # Errors
/// If there is no display, or no renderer for it.
pub fn run(options: AppOptions) -> anyhow::Result<()> {
    let since = Instant::now();
    let renderer = renderer::choose(options.renderer);
    let settings = settings::load(options.workers.home.folder());
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Assay")
            .with_app_id("assay")
            .with_inner_size(settings.size)
            .with_min_inner_size([880.0, 560.0])
            .with_drag_and_drop(true),
        renderer,
        persist_window: false,
        ..eframe::NativeOptions::default()
    };
    eframe::run_native(
        "Assay",
        native,
        Box::new(move |creation| Ok(Box::new(window::Window::new(creation, options, settings, since)?))),
    )
    .map_err(|error| anyhow::anyhow!("{error}"))
    .with_context(|| format!("cannot open a window with {renderer}; try --renderer with the other one, or use the commands of `assay --help`, which need no display"))
}
