//! The window: `logic` takes in what happened, `ui` draws and acts on what the user asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use anyhow::Context as _;

use crate::jobs::Workers;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::state;
use crate::state::AppState;
use crate::state::Command;
use crate::state::Effect;
use crate::state::Theme;
use crate::state::keys::Keymap;
use crate::state::models;
use crate::state::models::ModelsCommand;
use crate::state::rate::Moment;
use crate::state::rate::RateCommand;
use crate::state::rate::SittingCommand;
use crate::state::start::RecentProject;
use crate::ui::shell;
use crate::ui::textures::Textures;
use crate::ui::tokens;

use super::AppOptions;
use super::fonts;
use super::settings;
use super::settings::Recent;
use super::settings::Settings;
use super::timings::Timings;

/// Time spent on events in one frame; the rest waits for the next.
const EVENT_BUDGET: Duration = Duration::from_millis(6);

/// Answers of file dialogs that may wait.
const MAX_ANSWERS: usize = 16;

/// State, workers and textures of the window.
pub(super) struct Window {
    pub(super) state: AppState,
    pub(super) workers: Workers,
    pub(super) sender: SyncSender<Command>,
    answers: Receiver<Command>,
    textures: Textures,
    settings: Settings,
    folder: PathBuf,
    theme_shown: Theme,
    motion_shown: bool,
    keys_shown: Keymap,
    project_shown: Option<String>,
    title_shown: String,
    began: Instant,
    timings: Option<Timings>,
}

impl Window {
    /// Starts the workers and asks them for the first project.
    pub(super) fn new(
        creation: &eframe::CreationContext<'_>,
        options: AppOptions,
        settings: Settings,
        since: Instant,
    ) -> anyhow::Result<Self> {
        let ctx = creation.egui_ctx.clone();
        let folder = options.workers.home.folder().to_path_buf();
        let first = options
            .open
            .or_else(|| options.workers.home.last_project())
            .map_or(Job::OpenDemo, |path| Job::Open { path });
        let workers = Workers::start(
            options.workers,
            Arc::new({
                let ctx = ctx.clone();
                move || ctx.request_repaint()
            }),
        )
        .context("cannot start the workers")?;
        let (sender, answers) = sync_channel(MAX_ANSWERS);
        let state = remembered(&settings);
        tokens::apply(&ctx, state.theme, state.is_motion_reduced);
        fonts::borrow_from_system(&ctx).context("cannot start a thread")?;
        let mut window = Self {
            theme_shown: state.theme,
            motion_shown: state.is_motion_reduced,
            keys_shown: state.keys.map.clone(),
            state,
            workers,
            sender,
            answers,
            textures: Textures::default(),
            settings,
            folder,
            project_shown: None,
            title_shown: String::new(),
            began: since,
            timings: options.timings.map(|out| Timings::new(out, since)),
        };
        window.run(&ctx, vec![Command::Models(ModelsCommand::List)]);
        let id = window.workers.submit(first.clone());
        window.state.jobs.submitted(id, first);
        Ok(window)
    }

    fn take_in(&mut self, ctx: &egui::Context, event: Event) {
        match event {
            // What comes late for the project before has the numbers of this one's rows.
            Event::Thumbnail { hash, image, .. } | Event::FullPicture { hash, image, .. }
                if !self.state.has_file(image, hash) => {}
            Event::Thumbnail { image, picture, .. } => self.textures.add_thumbnail(image, picture),
            Event::FullPicture { image, picture, .. } => {
                self.textures.add_picture(ctx, image, &picture);
            }
            Event::Strip {
                project,
                is_there,
                pictures,
            } => {
                self.textures.add_strip(ctx, project.clone(), &pictures);
                let pictures = Vec::new();
                let event = Event::Strip {
                    project,
                    is_there,
                    pictures,
                };
                state::apply(&mut self.state, event);
            }
            Event::ProjectOpened(catalog) => {
                // A sitting holds on to pictures that were made ready once; what it shows has not changed.
                if self.state.rate.sitting.is_none() {
                    self.textures.clear();
                }
                let before = models::choice(&self.state);
                state::apply(&mut self.state, Event::ProjectOpened(catalog));
                self.remember_project();
                // Another project, or a choice taken back, may have brought another model.
                if models::choice(&self.state) != before {
                    self.run(ctx, vec![Command::Models(ModelsCommand::List)]);
                }
            }
            Event::Voted(vote) => {
                if let Some(timings) = &mut self.timings {
                    timings.committed(vote.token);
                }
                state::apply(&mut self.state, Event::Voted(vote));
            }
            Event::StudyResults(results) => {
                let came = Instant::now();
                state::apply(&mut self.state, Event::StudyResults(results));
                if let Some(timings) = &mut self.timings {
                    timings.counted(came);
                }
            }
            other => state::apply(&mut self.state, other),
        }
    }

    /// Times what raters wait for, where that is asked for.
    pub(super) fn note_submitted(&mut self, job: &Job) {
        if let (Some(timings), Job::Vote(vote)) = (&mut self.timings, job) {
            timings.handed_in(vote.token);
        }
    }

    /// What the clocks show. Answers of studies are timed by it, so it is read again before every batch of commands.
    pub(super) fn read_clocks(&mut self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.state.rate.now = Moment {
            // A clock set before 1970 has no better answer than its zero.
            unix_ms: since.map_or(0, |since| since.as_millis() as i64),
            steady_ms: self.began.elapsed().as_millis() as u64,
        };
    }

    /// Names the project in the title, but never to somebody who rates: names of datasets and folders tell much.
    fn show_title(&mut self, ctx: &egui::Context) {
        let title = title(&self.state);
        if title != self.title_shown {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title_shown = title;
        }
    }

    /// Puts the project among the recent ones.
    fn remember_project(&mut self) {
        let Some(project) = &self.state.project else {
            return;
        };
        let path = project.info.path.clone();
        if self.project_shown.as_ref() == Some(&path) {
            return;
        }
        let title = project.info.dataset.clone();
        let num_images = project.rows.len();
        self.settings.remember(&path, &title, num_images);
        self.state.start.recent = recent(&self.settings);
        self.project_shown = Some(path);
        self.save_settings();
    }

    fn save_settings(&mut self) {
        self.settings.is_light = self.state.theme == Theme::Light;
        self.settings.cell_size = self.state.gallery.cell_size;
        self.settings.is_panel_open = self.state.is_panel_open;
        self.settings.is_motion_reduced = self.state.is_motion_reduced;
        self.settings.keys = self.state.keys.map.saved();
        let is_kept = |recent: &Recent| {
            let kept = &self.state.start.recent;
            kept.iter().any(|other| other.path == recent.path)
        };
        self.settings.recent.retain(is_kept);
        self.settings.rater.clone_from(&self.state.rate.quick.rater);
        let teacher = &self.state.distil.teacher.settings;
        self.settings.teacher.clone_from(teacher);
        // What the window remembers is a convenience; a full disk is said by what matters.
        settings::save(&self.folder, &self.settings).ok();
    }

    /// Draws and keeps what the user chose for the whole program.
    fn note_choices(&mut self, ctx: &egui::Context) {
        let is_same = self.state.theme == self.theme_shown
            && self.state.is_motion_reduced == self.motion_shown
            && self.state.keys.map == self.keys_shown;
        if is_same {
            return;
        }
        tokens::apply(ctx, self.state.theme, self.state.is_motion_reduced);
        self.theme_shown = self.state.theme;
        self.motion_shown = self.state.is_motion_reduced;
        self.keys_shown = self.state.keys.map.clone();
        self.save_settings();
    }
}

/// What was let go over the window.
fn dropped(files: &[egui::DroppedFileHandle]) -> Option<Command> {
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|file| file.path().to_path_buf())
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    (!paths.is_empty()).then_some(Command::Drop(paths))
}

impl eframe::App for Window {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        if let Some(timings) = &mut self.timings {
            timings.begin(ctx.input(|input| input.events.iter().any(is_press)));
        }
        self.read_clocks();
        let since = Instant::now();
        while let Ok(event) = self.workers.events().try_recv() {
            self.take_in(ctx, event);
            if since.elapsed() > EVENT_BUDGET {
                ctx.request_repaint();
                break;
            }
        }
        let mut commands = Vec::new();
        ctx.input(|input| commands.extend(dropped(&input.raw.dropped_files)));
        commands.extend(self.answers.try_iter());
        self.run(ctx, commands);
        if self.textures.upload(ctx) {
            ctx.request_repaint();
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.read_clocks();
        self.show_title(ui.ctx());
        let mut commands = Vec::new();
        shell::show(ui, &self.state, &mut self.textures, &mut commands);
        if let Some(timings) = &mut self.timings {
            let has_project = self.state.project.is_some();
            timings.frame(has_project, &self.textures, frame.info().cpu_usage);
            if commands.iter().any(is_next_shown) {
                timings.next_shown();
            }
        }
        let figures = self.state.take_wish();
        if let (Some(timings), Some(_)) = (&mut self.timings, &figures) {
            timings.asked();
        }
        for wish in self.textures.take_wishes().into_iter().chain(figures) {
            self.workers.wish(wish);
        }
        let ctx = ui.ctx().clone();
        if !commands.is_empty() {
            // What was drawn was the state before these commands.
            ctx.request_repaint();
        }
        self.run(&ctx, commands);
        self.note_choices(&ctx);
        let size = ctx.content_rect().size();
        self.settings.size = [size.x, size.y];
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.save_settings();
        if let Some(timings) = self.timings.take() {
            // The window is gone by now: there is nobody to tell, and no file tells enough.
            timings.write().ok();
        }
    }
}

/// The words of the operating system's title bar.
fn title(state: &AppState) -> String {
    match &state.project {
        Some(project) if state.rate.sitting.is_none() => {
            format!("{} - Assay", project.info.dataset)
        }
        _ => "Assay".to_owned(),
    }
}

/// Whether a key or a button went down.
fn is_press(event: &egui::Event) -> bool {
    matches!(
        event,
        egui::Event::Key { pressed: true, .. } | egui::Event::PointerButton { .. }
    )
}

/// Whether a trial's pictures were painted for the first time in this frame.
fn is_next_shown(command: &Command) -> bool {
    matches!(
        command,
        Command::Rate(RateCommand::Sitting(SittingCommand::Shown { .. }))
    )
}

fn remembered(settings: &Settings) -> AppState {
    let mut state = AppState {
        theme: if settings.is_light {
            Theme::Light
        } else {
            Theme::Dark
        },
        is_panel_open: settings.is_panel_open,
        is_motion_reduced: settings.is_motion_reduced,
        ..AppState::default()
    };
    state.start.recent = recent(settings);
    state.keys.map = Keymap::restored(&settings.keys);
    state.rate.quick.rater.clone_from(&settings.rater);
    state.distil.teacher.settings.clone_from(&settings.teacher);
    let size = state::gallery::GalleryCommand::SetCellSize(settings.cell_size);
    let effects: Vec<Effect> = state::update(&mut state, Command::Gallery(size));
    debug_assert!(effects.is_empty());
    state
}

fn recent(settings: &Settings) -> Vec<RecentProject> {
    settings
        .recent
        .iter()
        .map(|recent| RecentProject {
            path: recent.path.clone(),
            title: recent.title.clone(),
            num_images: recent.num_images,
            is_gone: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::domain::{
        Catalog, ContentHash, Method, OpinionScale, ProjectInfo, Protocol, Study, StudyId,
        StudyPicture,
    };

    #[derive(Debug)]
    struct Dropped(PathBuf);

    impl egui::DroppedFile for Dropped {
        fn path(&self) -> &Path {
            &self.0
        }

        fn bytes(&self) -> Result<Vec<u8>, String> {
            Err("nobody reads what is dropped".to_owned())
        }
    }

    fn handles(paths: &[&str]) -> Vec<egui::DroppedFileHandle> {
        let handle = |path: &&str| -> egui::DroppedFileHandle { Arc::new(Dropped(path.into())) };
        paths.iter().map(handle).collect()
    }

    #[test]
    fn what_is_dropped_together_comes_as_one_command() {
        let paths = ["/data/a", "/data/b.csv"];
        let expected = Command::Drop(paths.map(PathBuf::from).to_vec());
        assert_eq!(dropped(&handles(&paths)), Some(expected));
    }

    #[test]
    fn nothing_dropped_asks_for_nothing() {
        assert_eq!(dropped(&[]), None);
        assert_eq!(dropped(&handles(&[""])), None);
    }

    /// A project whose name and folder tell what raters must not know.
    fn telling() -> AppState {
        let protocol = Protocol {
            pictures: vec![StudyPicture {
                hash: ContentHash([1; 32]),
                path: "midjourney/best.png".to_owned(),
                prompt: String::new(),
            }],
            ..Protocol::new("Midjourney wins", Method::Acr5)
        };
        let info = ProjectInfo {
            path: "/lab/midjourney-wins.assay".to_owned(),
            dataset: "Midjourney wins".to_owned(),
            layout: "table".to_owned(),
            root: "/lab".to_owned(),
            scale: OpinionScale::ZERO_TO_FIVE,
            is_demo: false,
        };
        let catalog = Catalog {
            studies: vec![Study {
                id: StudyId(1),
                hash: protocol.hash(),
                protocol,
                created_at: 0,
                is_frozen: false,
                is_quick: false,
            }],
            ..Catalog::of(info)
        };
        let mut state = AppState::default();
        state::apply(&mut state, Event::ProjectOpened(Box::new(catalog)));
        state
    }

    #[test]
    fn the_title_bar_tells_a_rater_nothing() {
        let mut state = telling();
        assert_eq!(title(&state), "Midjourney wins - Assay");
        let rate = |command| Command::Rate(command);
        state::update(&mut state, rate(RateCommand::Sit(StudyId(1))));
        assert_eq!(title(&state), "Assay");
        let leave = RateCommand::Sitting(SittingCommand::Leave);
        state::update(&mut state, rate(leave));
        assert_eq!(title(&state), "Midjourney wins - Assay");
    }

    #[test]
    fn what_is_remembered_is_there_at_the_start() {
        let mut settings = Settings {
            is_light: true,
            is_motion_reduced: true,
            ..Settings::default()
        };
        settings.remember("a.assay", "A", 3);
        settings.keys.insert("fit".to_owned(), "Shift+F".to_owned());
        let state = remembered(&settings);
        assert_eq!(state.theme, Theme::Light);
        assert!(state.is_motion_reduced);
        assert_eq!(state.start.recent[0].num_images, 3);
        assert_eq!(state.keys.map.saved(), settings.keys);
    }
}
