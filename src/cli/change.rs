//! Changes of a project that a person makes by hand, each of which can be undone: tags, another folder; undo and redo.

use std::path::Path;

use anyhow::bail;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::args::RelocateArgs;
use crate::cli::args::TagArgs;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::project::images_words;
use crate::cli::project::named;
use crate::cli::session::Session;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::ImageId;
use crate::jobs::message::Job;

/// `assay tag TAG`.
pub(super) fn tag(args: &TagArgs, common: &Common) -> anyhow::Result<Exit> {
    let tag = args.tag.trim();
    if tag.is_empty() {
        bail!("a tag is a word or a few: this one is empty");
    }
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let images = tagged(&catalog, args, common.limit)?;
    let is_on = |record: &&crate::domain::ImageRecord| record.tags.iter().any(|known| known == tag);
    let on_before = catalog.images.iter().filter(is_on);
    let on_before: std::collections::BTreeSet<ImageId> =
        on_before.map(|record| record.id).collect();
    let is_changed = |image: &&ImageId| on_before.contains(*image) == args.remove;
    let num_changed = images.iter().filter(is_changed).count();
    let num_images = images.len();
    let (_, turns) = session.change(Job::SetTag {
        images,
        tag: tag.to_owned(),
        on: !args.remove,
    })?;
    let value = json!({
        "tag": tag,
        "on": !args.remove,
        "images": num_images,
        "changed": num_changed,
        "undo": turns.undo,
    });
    let words = format!(
        "{tag} {} {}; {num_changed} changed",
        if args.remove { "is off" } else { "is on" },
        images_words(num_images),
    );
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

fn tagged(catalog: &Catalog, args: &TagArgs, limit: Option<usize>) -> anyhow::Result<Vec<ImageId>> {
    let Some(split) = args.split else {
        return Ok(named(catalog, &args.images)?.into_iter().collect());
    };
    let rows = catalog.images.iter().filter(|record| {
        let mut aspects = Aspect::ALL.iter();
        aspects.any(|aspect| split.takes(*record.split.get(*aspect)))
    });
    let images: Vec<ImageId> = rows
        .take(limit.unwrap_or(usize::MAX))
        .map(|record| record.id)
        .collect();
    if images.is_empty() {
        bail!(
            "no picture of the project is in the split {}: choose another one",
            split.name()
        );
    }
    Ok(images)
}

/// `assay relocate FOLDER`.
pub(super) fn relocate(args: &RelocateArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let (report, turns) = session.change(Job::Relocate {
        root: args.folder.clone(),
    })?;
    let value = json!({
        "found": report.done,
        "missing": catalog.images.len() as u64 - report.done,
        "undo": turns.undo,
    });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// `assay undo` and `assay redo`. That there is nothing to do is an answer and no failure.
pub(super) fn turn(project: &Path, job: Job, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(project)?;
    let verb = match job {
        Job::Undo => "taken back",
        _ => "brought again",
    };
    let (report, mut turns) = session.change(job)?;
    let is_done = report.done > 0;
    if !is_done {
        turns.undo = catalog.undo;
        turns.redo = catalog.redo;
    }
    let value = json!({
        "operation": is_done.then_some(&report.summary),
        "undo": turns.undo,
        "redo": turns.redo,
    });
    let words = match is_done {
        true => format!("{verb}: {}", report.summary),
        false => report.summary,
    };
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}
