//! Pictures of every screen, for people to look at; on request only.
//!
//! With real data at hand the gallery shows AGIQA-3K, otherwise painted pictures.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use assay::dataset;
use assay::dataset::Source;
use assay::domain::Aspect;
use assay::domain::AspectMap;
use assay::domain::Catalog;
use assay::domain::DescriptionId;
use assay::domain::ImageId;
use assay::domain::ImageRecord;
use assay::domain::ImportBatch;
use assay::jobs::message::Event;
use assay::jobs::message::FailedItem;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::jobs::message::JobReport;
use assay::jobs::message::Progress;
use assay::media;
use assay::state::Command;
use assay::state::Screen;
use assay::state::Theme;
use assay::state::dialogs::DialogCommand;
use assay::state::jobs::JobsCommand;
use assay::state::palette::PaletteCommand;
use assay::state::selection::SelectionCommand;

use super::world;
use super::world::World;

fn real_folder() -> Option<PathBuf> {
    let root = std::env::var_os("ASSAY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    Some(root.join("agiqa-3k")).filter(|folder| folder.is_dir())
}

/// The real dataset as a catalog, with scores made up of the truth and a wave, to look at only.
fn real_catalog(folder: &Path) -> Catalog {
    let source = Source {
        path: folder.to_owned(),
        ..Source::default()
    };
    let batch = dataset::read(&source, &mut |_, _| Ok(())).expect("the real data can be read");
    let mut catalog = world::catalog(0);
    catalog.info.dataset.clone_from(&batch.dataset);
    catalog.info.root.clone_from(&batch.root);
    let mut by_name = HashMap::new();
    for (idx, row) in batch.rows.iter().enumerate() {
        let id = ImageId(idx as i64 + 1);
        let record = ImageRecord {
            id,
            path: row.path.clone(),
            file: row.file.clone(),
            prompt: row.prompt.clone(),
            prompt_source: row.prompt_source.clone(),
            generator: row.generator.clone(),
            style: row.style.clone(),
            tags: row.tags.clone(),
            truth: row.truth,
            split: AspectMap::default(),
        };
        by_name.insert(record.file_name().to_owned(), idx);
        catalog.images.push(record);
    }
    take_conversations(&mut catalog, &batch, &by_name);
    for idx in 0..catalog.images.len() {
        if let Some(mos) = catalog.images[idx].mos(Aspect::Quality)
            && catalog.images[idx].file.is_present()
        {
            let wave = (idx as f64 * 0.7).sin() * 0.6;
            let value = (mos + wave).clamp(0.0, 5.0);
            catalog.scores.push(world::score(idx as i64 + 1, value));
        }
    }
    catalog
}

fn take_conversations(
    catalog: &mut Catalog,
    batch: &ImportBatch,
    by_name: &HashMap<String, usize>,
) {
    for split in &batch.splits {
        if let Some(&idx) = by_name.get(&split.file_name) {
            *catalog.images[idx].split.get_mut(split.aspect) = Some(split.split);
        }
    }
    for (number, entry) in batch.conversations.iter().enumerate() {
        if let Some(&idx) = by_name.get(&entry.file_name) {
            let image = catalog.images[idx].id.0;
            let mut description = world::description(0, image, entry.origin, &entry.description);
            description.id = DescriptionId(number as i64 + 1);
            description.aspect = entry.aspect;
            description.request.clone_from(&entry.request);
            description.question.clone_from(&entry.question);
            description.answer.clone_from(&entry.answer);
            catalog.descriptions.push(description);
        }
    }
}

fn world_to_look_at(catalog: &Catalog) -> World {
    let mut world = World::with(catalog.clone());
    for record in catalog.images.iter().take(60) {
        let path = Path::new(&catalog.info.root).join(&record.path);
        let picture = match media::load(&path) {
            Ok(picture) => media::thumbnail(&picture, 256),
            Err(_) if record.file.is_present() => world::picture(record.id.0),
            Err(_) => continue,
        };
        world.textures.add_thumbnail(record.id, picture);
    }
    let job = JobId(1);
    world.state.jobs.submitted(
        job,
        Job::Describe {
            images: Vec::new(),
            aspects: vec![Aspect::Quality],
            again: false,
        },
    );
    world.hear(Event::JobStarted {
        job,
        title: "Describe 597 images".to_owned(),
        can_pause: true,
    });
    world.hear(Event::JobProgress(
        job,
        Progress {
            done: 120,
            total: 597,
            per_second: Some(0.8),
            seconds_left: Some(596.0),
            stage: "Describing quality".to_owned(),
            ..Progress::default()
        },
    ));
    world.hear(Event::Streaming {
        image: ImageId(7),
        aspect: Aspect::Quality,
        text: "The picture is sharp in the middle, but the".to_owned(),
    });
    world
}

fn shoot(folder: &Path, name: &str, make: impl Fn() -> World) {
    for (width, height) in [(1280.0, 800.0), (1920.0, 1080.0)] {
        for theme in [Theme::Dark, Theme::Light] {
            let mut world = make();
            world.tell(Command::SetTheme(theme));
            let mut window = world::window(world, [width, height]);
            window.run_steps(6);
            if let Some(image) = window.state().state.selection.focus
                && let Some(row) = window.state().state.row(image)
            {
                let root = &window
                    .state()
                    .state
                    .project
                    .as_ref()
                    .expect("open")
                    .info
                    .root;
                let path = Path::new(root).join(&row.record.path);
                let picture = media::load(&path).unwrap_or_else(|_| world::picture(image.0));
                let ctx = window.ctx.clone();
                window
                    .state_mut()
                    .textures
                    .add_picture(&ctx, image, &picture);
            }
            window.run_steps(2);
            let file = format!("{name}_{width}_{theme:?}.png").to_lowercase();
            let image = window.render().expect("a renderer");
            image
                .save(folder.join(file))
                .expect("the folder is writable");
        }
    }
}

#[test]
#[ignore = "writes pictures for people to look at"]
fn pictures_of_every_screen() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("look");
    fs::create_dir_all(&folder).expect("the target folder is writable");
    let catalog = real_folder().map_or_else(|| world::catalog(300), |path| real_catalog(&path));
    let look = || world_to_look_at(&catalog);
    let telling = |commands: Vec<Command>| {
        move || {
            let mut world = look();
            for command in &commands {
                world.tell(command.clone());
            }
            world
        }
    };
    shoot(&folder, "start", World::new);
    shoot(&folder, "gallery", telling(Vec::new()));
    let forty = SelectionCommand::Set((1..=40).map(ImageId).collect());
    shoot(
        &folder,
        "gallery_selection",
        telling(vec![Command::Selection(forty)]),
    );
    let seventh = Command::Inspect(ImageId(7));
    shoot(&folder, "inspect", telling(vec![seventh]));
    for screen in [Screen::Compare, Screen::Train, Screen::Models] {
        let name = screen.title().to_lowercase();
        shoot(&folder, &name, telling(vec![Command::Show(screen)]));
    }
    let palette = Command::Palette(PaletteCommand::Toggle);
    shoot(&folder, "palette", telling(vec![palette]));
    let export = Command::Dialog(DialogCommand::Export);
    shoot(&folder, "export", telling(vec![export]));
    shoot(&folder, "failed", || {
        let mut world = look();
        let failed = (1..=20)
            .map(|number| FailedItem {
                image: Some(ImageId(number)),
                path: format!("images/{number}.jpg"),
                reason: "the file ends in the middle of the picture; copy it again".to_owned(),
            })
            .collect();
        let report = JobReport {
            done: 577,
            failed,
            summary: "Described 577 images, 20 failed".to_owned(),
            ..JobReport::default()
        };
        world.hear(Event::JobDone(JobId(1), report));
        world.tell(Command::Jobs(JobsCommand::Unfold(Some(JobId(1)))));
        world
    });
    println!("look at {}", folder.display());
}

#[test]
#[ignore = "prints a time that hangs on the machine"]
fn time_of_a_frame_while_scrolling_twenty_thousand_rows() {
    let mut window = world::window(World::with(world::catalog(20_000)), [1920.0, 1080.0]);
    window.hover_at(egui::pos2(700.0, 500.0));
    let since = std::time::Instant::now();
    let num_frames = 200;
    for _ in 0..num_frames {
        window.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: egui::vec2(0.0, -900.0),
            source: egui::MouseWheelSource::Unknown,
            phase: egui::TouchPhase::Move,
            modifiers: egui::Modifiers::NONE,
        });
        window.step();
    }
    let each = since.elapsed().as_secs_f64() * 1000.0 / f64::from(num_frames);
    println!("{each:.2} ms a frame without painting pixels");
}
