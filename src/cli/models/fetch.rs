//! `assay models fetch`, `add` and `check FOLDER`: the jobs of the Models screen, with the questions asked in words.

use std::io;
use std::io::BufRead as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::bail;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::models::args::FetchArgs;
use crate::cli::output;
use crate::cli::session::Session;
use crate::domain::Offer;
use crate::jobs;
use crate::jobs::Home;
use crate::jobs::message::Event;
use crate::jobs::message::FetchRequest;
use crate::jobs::message::Job;

/// Shows what would come and under which licence, asks, and fetches.
pub(super) fn fetch(args: &FetchArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let request = FetchRequest {
        source: args.name.clone(),
        revision: args.revision.clone(),
        include: args.include.clone(),
        to: args.to.clone(),
    };
    let mut offer = None;
    session.run(Job::AskModel(request.clone()), &mut |event| {
        if let Event::Offered(offered) = event {
            offer = Some(*offered);
        }
    })?;
    let offer = offer.context("the hub's answer got lost")?;
    output::say(&offer_words(&offer));
    let home = Home::find()?;
    let is_accepted = args.yes
        || jobs::shelf(&home)
            .halves
            .iter()
            .any(|half| half.folder == offer.folder);
    if !is_accepted {
        ask(&offer)?;
    }
    let report = session.run(Job::FetchModel(request), &mut |_| {})?;
    let value = json!({
        "name": offer.name,
        "kind": offer.kind,
        "folder": offer.folder,
        "repository": offer.repository,
        "commit": offer.commit,
        "licence": offer.licence,
        "bytes": offer.bytes,
        "fit": offer.fit,
        "done": report.done,
        "skipped": report.skipped,
        "seconds": report.seconds,
    });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// Takes a folder in.
pub(super) fn add(folder: &Path, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let folder = folder.to_path_buf();
    let mut place = None;
    let report = session.run(Job::AddModel { folder }, &mut |event| {
        if let Event::ModelChecked { folder, .. } = event {
            place = Some(folder);
        }
    })?;
    let value = json!({ "folder": place, "words": report.summary });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// Reads every file of a model.
pub(super) fn check(which: &Path, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let folder = folder_of(which)?;
    let report = session.run(
        Job::CheckModel {
            folder: folder.clone(),
        },
        &mut |_| {},
    )?;
    let value = json!({ "folder": folder, "whole": true, "words": report.summary });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// A folder by path, or by name among the program's models.
fn folder_of(which: &Path) -> anyhow::Result<PathBuf> {
    let below = Home::find()?.models_folder().join(which);
    let found = [which.to_path_buf(), below.clone()]
        .into_iter()
        .find(|folder| folder.is_dir());
    found.with_context(|| {
        format!(
            "there is no such folder, and none of that name here: {}",
            below.display()
        )
    })
}

fn offer_words(offer: &Offer) -> String {
    let size = offer.bytes.map_or_else(
        || "an unknown number of bytes".to_owned(),
        output::bytes_words,
    );
    let here = match offer.present {
        0 => String::new(),
        bytes => format!(", {} of it here already", output::bytes_words(bytes)),
    };
    let free = offer.free.map_or_else(String::new, |free| {
        format!("; {} free", output::bytes_words(free))
    });
    let fit = offer
        .fit
        .as_ref()
        .map_or_else(String::new, |fit| format!("\n  it {fit}"));
    let gated = match offer.is_gated {
        true => "\n  the hub gives it only to people who accepted its licence there",
        false => "",
    };
    format!(
        "{} at {}: {} files, {size}{here}{free}\n  into {}\n  licence: {} ({}){gated}{fit}",
        offer.repository,
        offer.commit,
        offer.num_files,
        offer.folder.display(),
        offer.licence.as_deref().unwrap_or("not stated"),
        offer.page
    )
}

/// Asks whether the licence is accepted; an error where nobody can answer, or the answer is no.
fn ask(offer: &Offer) -> anyhow::Result<()> {
    let licence = offer.licence.as_deref().unwrap_or("not stated");
    if !io::stdin().is_terminal() {
        bail!(
            "nothing was fetched: give --yes to accept the licence ({licence}, see {})",
            offer.page
        );
    }
    output::say("Accept the licence and fetch it? [y/N]");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was fetched");
    }
    Ok(())
}
