//! Data in and out: the demo, imports and exports.

use std::path::Path;

use anyhow::anyhow;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::args::DemoArgs;
use crate::cli::args::ExportArgs;
use crate::cli::args::ImportArgs;
use crate::cli::args::SplitChoice;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::output::Bar;
use crate::cli::project::choose;
use crate::cli::session::Session;
use crate::dataset;
use crate::dataset::demo::DemoSettings;
use crate::domain::ImageId;
use crate::domain::ImportSummary;
use crate::domain::Interrupted;
use crate::domain::ProblemKind;
use crate::jobs::message::ConversationWish;
use crate::jobs::message::Event;
use crate::jobs::message::ExportRequest;
use crate::jobs::message::ImportRequest;
use crate::jobs::message::Job;
use crate::jobs::message::Progress;

/// Problems of an import listed in words before the rest is only counted.
const MAX_LISTED_PROBLEMS: usize = 20;

/// `assay demo DIR`.
pub(super) fn demo(args: &DemoArgs, common: &Common) -> anyhow::Result<Exit> {
    let usual = DemoSettings::default();
    let settings = DemoSettings {
        seed: common.seed.unwrap_or(usual.seed),
        count: common.limit.unwrap_or(usual.count),
    };
    let stop = crate::cli::session::stop_on_ctrl_c()?;
    let mut bar = Bar::new();
    dataset::demo::write(&args.dir, &settings, &mut |done, total| {
        bar.show(&Progress {
            done,
            total,
            stage: "Painting the demo scenes".to_owned(),
            ..Progress::default()
        });
        if stop.is_set() {
            Err(Interrupted)
        } else {
            Ok(())
        }
    })?;
    bar.clear();
    let value = json!({ "dir": args.dir, "scenes": settings.count, "seed": settings.seed, "synthetic": true });
    let words = format!(
        "{} synthetic scenes with simulated ratings in {}",
        settings.count,
        args.dir.display()
    );
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

/// `assay import PATH --project P`.
pub(super) fn import(args: &ImportArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, Some(args.project.clone()))?;
    if holds_something(&args.project) {
        session.open(&args.project)?;
    }
    let job = Job::Import(ImportRequest {
        path: args.path.clone(),
        layout: Some(args.layout.clone()),
        conversations: args.conversations.clone(),
        columns: args.columns.clone(),
    });
    let mut summary = None;
    session.run(job, &mut |event| {
        if let Event::Imported(imported) = event {
            summary = Some(imported);
        }
    })?;
    let summary = summary.ok_or_else(|| anyhow!("the import said nothing of what it did"))?;
    list_problems(&summary);
    let words = format!(
        "{} rows: {} with a picture, {} missing, {} unreadable; {} rejected; {} new or changed; {} descriptions came in",
        summary.rows,
        summary.with_file,
        summary.missing,
        summary.unreadable,
        summary.rejected,
        summary.changed,
        summary.descriptions
    );
    output::answer(common.json, &serde_json::to_value(&summary)?, &words);
    Ok(Exit::of_batch(summary.rejected))
}

/// `assay export --project P --format F --out FILE`.
pub(super) fn export(args: &ExportArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let images = choose(&catalog, &args.selection, common.limit)?;
    if images.is_empty() {
        anyhow::bail!(
            "no picture of the project is in the split {}: choose another one",
            args.selection.split.name()
        );
    }
    if args.format.eq_ignore_ascii_case("conversations") {
        return conversations(args, (&session, common), images);
    }
    let aspects = if args.selection.aspect.all {
        Vec::new()
    } else {
        args.selection.aspect.list.clone()
    };
    let report = session.run(
        Job::Export(ExportRequest {
            format: args.format.clone(),
            out: args.out.clone(),
            images,
            aspects,
        }),
        &mut |_| {},
    )?;
    let value = json!({ "rows": report.done, "out": args.out, "format": args.format });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// `assay export --format conversations`.
fn conversations(
    args: &ExportArgs,
    (session, common): (&Session, &Common),
    images: Vec<ImageId>,
) -> anyhow::Result<Exit> {
    let selection = &args.selection;
    let is_narrowed = common.limit.is_some() || !selection.images.is_empty();
    let wish = ConversationWish {
        aspects: selection.aspect.list.clone(),
        split: match selection.split {
            SplitChoice::All => None,
            SplitChoice::One(split) => Some(split),
        },
        images: if is_narrowed { images } else { Vec::new() },
    };
    let out = args.out.clone();
    let report = session.run(Job::ExportConversations { wish, out }, &mut |_| {})?;
    let value = json!({ "rows": report.done, "out": args.out, "format": args.format });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// Whether there is a project to go on with; an empty file is one that is to be made.
fn holds_something(project: &Path) -> bool {
    std::fs::metadata(project).is_ok_and(|meta| !meta.is_file() || meta.len() > 0)
}

fn list_problems(summary: &ImportSummary) {
    for problem in summary.problems.iter().take(MAX_LISTED_PROBLEMS) {
        let kind = match problem.kind {
            ProblemKind::Warning => "note",
            ProblemKind::Rejected => "rejected",
        };
        let line = problem
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        output::say(&format!(
            "{kind}: {}{line}: {}",
            problem.file, problem.message
        ));
    }
    if summary.problems.len() > MAX_LISTED_PROBLEMS {
        output::say(&format!(
            "and {} more; --json lists them all",
            summary.problems.len() - MAX_LISTED_PROBLEMS
        ));
    }
}
