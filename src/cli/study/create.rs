//! `assay study create`: a protocol from a TOML file, from flags, or from both.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use anyhow::anyhow;
use anyhow::bail;
use serde::Deserialize;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::study::args::CreateArgs;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::ContentHash;
use crate::domain::Method;
use crate::domain::Protocol;
use crate::domain::StudyPicture;
use crate::domain::study::Presentation;
use crate::domain::study::num_pair_trials;
use crate::domain::study::order;
use crate::domain::study::spanning;
use crate::jobs::message::Event;
use crate::jobs::message::Job;

/// A protocol as a file says it. What it leaves out has the usual value.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: Option<String>,
    method: Option<Method>,
    aspects: Option<Vec<Aspect>>,
    #[serde(default)]
    questions: BTreeMap<Aspect, String>,
    #[serde(default)]
    hide_prompt: BTreeMap<Aspect, bool>,
    /// Paths relative to the image root; all readable pictures if not given.
    pictures: Option<Vec<String>>,
    /// Paths of training pictures.
    training: Option<Vec<String>>,
    num_discarded_training: Option<usize>,
    seed: Option<u64>,
    repeat_share: Option<f64>,
    repeat_gap: Option<usize>,
    min_dwell_ms: Option<u32>,
    session_minutes: Option<u32>,
    break_seconds: Option<u32>,
    /// Screen pixels; one picture pixel on one screen pixel if not given.
    height_px: Option<u32>,
    instructions: Option<String>,
    pairs_per_rater: Option<usize>,
    /// Raters that the study is planned for.
    num_raters: Option<usize>,
}

/// `assay study create`.
pub(super) fn create(args: &CreateArgs, common: &Common) -> anyhow::Result<Exit> {
    let mut wanted = match &args.protocol {
        Some(path) => read(path)?,
        None => Wanted::default(),
    };
    wanted.name = args.name.clone().or(wanted.name);
    wanted.method = args.method.or(wanted.method);
    wanted.seed = common.seed.or(wanted.seed);
    wanted.repeat_share = args.repeat_share.or(wanted.repeat_share);
    if !args.aspects.is_empty() {
        wanted.aspects = Some(args.aspects.clone());
    }
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let protocol = protocol(&catalog, wanted, args, common.limit)?;
    protocol
        .check()
        .map_err(|faults| anyhow!("the protocol is wrong: {}", faults.join("; ")))?;
    let mut made = None;
    session.run(Job::CreateStudy(protocol), &mut |event| {
        if let Event::StudiesChanged(studies) = event {
            made = studies.into_iter().max_by_key(|study| study.id);
        }
    })?;
    let study = made.ok_or_else(|| anyhow!("the study was not made: nothing was said of it"))?;
    let num_trials = num_trials(&study.protocol);
    let value = json!({
        "study": study.id.0,
        "name": study.protocol.name,
        "method": study.protocol.method.name(),
        "aspects": study.protocol.aspects,
        "pictures": study.protocol.rated_pictures().len(),
        "training": study.protocol.training.len(),
        "trials_per_rater": num_trials,
        "protocol_sha256": study.hash,
    });
    let words = format!(
        "study {} {}: {} pictures, {num_trials} trials a rater; open the project and go to Rate",
        study.id.0,
        study.protocol.name,
        study.protocol.rated_pictures().len()
    );
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

fn num_trials(protocol: &Protocol) -> usize {
    match protocol.method {
        Method::Pairs => num_pair_trials(protocol),
        Method::Acr5 | Method::Continuous => order(protocol, "").len(),
    }
}

fn read(path: &Path) -> anyhow::Result<Wanted> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the protocol {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("this is no protocol: {}", path.display()))
}

fn protocol(
    catalog: &Catalog,
    wanted: Wanted,
    args: &CreateArgs,
    limit: Option<usize>,
) -> anyhow::Result<Protocol> {
    let name = wanted
        .name
        .ok_or_else(|| anyhow!("the study has no name: give --name, or `name` in the protocol"))?;
    let usual = Protocol::new(&name, wanted.method.unwrap_or(Method::Acr5));
    let mut pictures = match &wanted.pictures {
        Some(paths) => by_path(catalog, paths)?,
        None => readable(catalog, args, limit),
    };
    let training = training(catalog, &mut pictures, wanted.training.as_deref(), args)?;
    let mut protocol = Protocol {
        aspects: wanted.aspects.unwrap_or(usual.aspects.clone()),
        num_discarded_training: wanted
            .num_discarded_training
            .unwrap_or(usual.num_discarded_training),
        seed: wanted.seed.unwrap_or(usual.seed),
        repeat_share: wanted.repeat_share.unwrap_or(usual.repeat_share),
        repeat_gap: wanted.repeat_gap.unwrap_or(usual.repeat_gap),
        min_dwell_ms: wanted.min_dwell_ms.unwrap_or(usual.min_dwell_ms),
        session_minutes: wanted.session_minutes.unwrap_or(usual.session_minutes),
        break_seconds: wanted.break_seconds.unwrap_or(usual.break_seconds),
        presentation: wanted.height_px.map_or(usual.presentation, |height_px| {
            Presentation::Fixed { height_px }
        }),
        instructions: wanted.instructions.unwrap_or(usual.instructions.clone()),
        pairs_per_rater: wanted.pairs_per_rater.unwrap_or(usual.pairs_per_rater),
        num_raters: wanted.num_raters.unwrap_or(usual.num_raters),
        pictures,
        training,
        ..usual
    };
    for (aspect, question) in wanted.questions {
        *protocol.questions.get_mut(aspect) = question;
    }
    for (aspect, is_hidden) in wanted.hide_prompt {
        *protocol.hide_prompt.get_mut(aspect) = is_hidden;
    }
    Ok(protocol)
}

/// Pictures whose file is there, each content once: two copies of a picture would be rated as one.
fn readable(catalog: &Catalog, args: &CreateArgs, limit: Option<usize>) -> Vec<StudyPicture> {
    let mut known = BTreeSet::new();
    let is_meant = |image: &&crate::domain::ImageRecord| {
        let mut splits = image.split.iter();
        splits.any(|(_, split)| args.split.takes(*split))
    };
    catalog
        .images
        .iter()
        .filter(is_meant)
        .filter_map(|image| {
            Some(StudyPicture {
                hash: image.file.hash()?,
                path: image.path.clone(),
                prompt: image.prompt.clone(),
            })
        })
        .filter(|picture| known.insert(picture.hash))
        .take(limit.unwrap_or(usize::MAX))
        .collect()
}

fn by_path(catalog: &Catalog, paths: &[String]) -> anyhow::Result<Vec<StudyPicture>> {
    let find = |path: &String| {
        let image = catalog.images.iter().find(|image| image.path == *path);
        let image = image.ok_or_else(|| anyhow!("the project has no picture {path}"))?;
        let Some(hash) = image.file.hash() else {
            let reason = image.file.reason().unwrap_or_default();
            bail!("{path} cannot be shown: {reason}");
        };
        Ok(StudyPicture {
            hash,
            path: image.path.clone(),
            prompt: image.prompt.clone(),
        })
    };
    paths.iter().map(find).collect()
}

/// The training pictures: those named, which are added to the study's if need be, or as many as are wanted from all of
/// the range of known scores.
fn training(
    catalog: &Catalog,
    pictures: &mut Vec<StudyPicture>,
    named: Option<&[String]>,
    args: &CreateArgs,
) -> anyhow::Result<Vec<ContentHash>> {
    if let (None, Some(paths)) = (args.training, named) {
        let training = by_path(catalog, paths)?;
        let known: BTreeSet<ContentHash> = pictures.iter().map(|picture| picture.hash).collect();
        let hashes = training.iter().map(|picture| picture.hash).collect();
        pictures.extend(
            training
                .into_iter()
                .filter(|picture| !known.contains(&picture.hash)),
        );
        return Ok(hashes);
    }
    let wanted = args.training.unwrap_or(0);
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let mut scores: BTreeMap<ContentHash, f64> = BTreeMap::new();
    for image in &catalog.images {
        let mos = Aspect::ALL.into_iter().find_map(|aspect| image.mos(aspect));
        if let (Some(hash), Some(mos)) = (image.file.hash(), mos) {
            scores.insert(hash, mos);
        }
    }
    // A picture without a known score stands in the middle of nothing, and is no example of anything.
    let known: Vec<(ContentHash, f64)> = pictures
        .iter()
        .filter_map(|picture| Some((picture.hash, *scores.get(&picture.hash)?)))
        .collect();
    if known.len() < wanted {
        bail!(
            "{wanted} training pictures were asked for, but only {} have a known score: name them in the protocol \
             (training = [\"PATH\", ...])",
            known.len()
        );
    }
    Ok(spanning(&known, wanted))
}
