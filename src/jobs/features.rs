//! The job that takes hidden states of conversations: into the cache, and into a file where one is wanted.

use std::collections::BTreeMap;

use crate::domain::Descriptions;
use crate::domain::Reading;
use crate::jobs::adapters::by_model;
use crate::jobs::context::JobContext;
use crate::jobs::describe::describe_lacking;
use crate::jobs::error::JobError;
use crate::jobs::feature_file::FeatureWriter;
use crate::jobs::feature_file::HIDDEN;
use crate::jobs::message::FeaturesRequest;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelHost;
use crate::jobs::pipeline::Known;
use crate::jobs::pipeline::LazyPicture;
use crate::jobs::pipeline::Maker;
use crate::jobs::pipeline::Pipeline;
use crate::jobs::pipeline::failed;
use crate::jobs::pipeline::stage;
use crate::jobs::pipeline::usable;
use crate::jobs::scoring;
use crate::jobs::scoring::Item;
use crate::jobs::store_worker::StoreHandle;

/// Takes what is not in the cache yet. A picture that fails is listed, and the job goes on.
pub(super) fn features(
    host: &mut ModelHost,
    store: &StoreHandle,
    request: &FeaturesRequest,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    let mut num_files = 0;
    by_model(host, store, &request.aspects, |host, aspects| {
        num_files += 1;
        if num_files > 1 && request.out.is_some() {
            return Err(JobError::AdaptersInOneFile);
        }
        let request = FeaturesRequest {
            aspects: aspects.to_vec(),
            ..request.clone()
        };
        features_by_one(host, store, &request, context)
    })
}

fn features_by_one(
    host: &mut ModelHost,
    store: &StoreHandle,
    request: &FeaturesRequest,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Loading the model")?;
    let (catalog, pinned) = store.snapshot()?;
    let pipeline = Pipeline::new(host, store, &catalog, pinned)?;
    let known = pipeline.known(&catalog, |_| request.descriptions);
    let mut file = match &request.out {
        Some(out) => Some(FeatureWriter::create(out)?),
        None => None,
    };
    let (rows, absent) = usable(&catalog, &request.images);
    let mut described = known.clone();
    if request.descriptions == Descriptions::Local {
        let aspects = &request.aspects;
        describe_lacking(&pipeline, &rows, aspects, &mut described, context)?;
    }
    let mut report = JobReport {
        failed: absent,
        ..JobReport::default()
    };
    let asked = (rows.len() * request.aspects.len()) as u64;
    let stage = stage("Taking features of", request.aspects.iter().copied());
    let (mut passed, mut lacking) = (0, 0);
    let usual = Reading::default();
    for record in rows {
        let mut picture = pipeline.picture(record);
        for aspect in request.aspects.iter().copied() {
            context.progress(passed, asked, &stage)?;
            passed += 1;
            let item = Item {
                record,
                aspect,
                known: &described,
                descriptions: request.descriptions,
                reading: &usual,
            };
            let is_new = !known.contains_key(&(record.id, aspect));
            match take(&pipeline, &item, &mut picture, file.as_mut(), context) {
                Ok(Taken::Before) if is_new => report.done += 1,
                Ok(Taken::Now) => report.done += 1,
                Ok(Taken::Before) => report.skipped += 1,
                Err(JobError::NoDescription { .. }) => lacking += 1,
                Err(error) if error.is_about_item() => report.failed.push(failed(record, &error)),
                Err(error) => return Err(error),
            }
        }
    }
    context.progress(passed, asked, &stage)?;
    scoring::note_lacking(lacking, asked, context)?;
    if let Some(file) = file {
        file.finish(&facts(&pipeline.maker, request.descriptions))?;
    }
    report.summary = format!(
        "features of {} taken, {} were in the cache, {} failed",
        report.done,
        report.skipped,
        report.failed.len()
    );
    Ok(report)
}

enum Taken {
    Now,
    Before,
}

fn take(
    pipeline: &Pipeline<'_>,
    item: &Item<'_>,
    picture: &mut LazyPicture,
    file: Option<&mut FeatureWriter>,
    context: &mut JobContext,
) -> Result<Taken, JobError> {
    let is_cached = is_cached(pipeline, item, item.known)?;
    if is_cached && file.is_none() {
        return Ok(Taken::Before);
    }
    let (_, _, features) = scoring::features_of(pipeline, item, picture, context)?;
    if let Some(file) = file {
        let name = format!("{HIDDEN}/{}/{}", item.aspect, item.record.path);
        file.push_features(&name, &features)?;
    }
    Ok(match is_cached {
        true => Taken::Before,
        false => Taken::Now,
    })
}

fn is_cached(pipeline: &Pipeline<'_>, item: &Item<'_>, known: &Known) -> Result<bool, JobError> {
    let wish = (item.aspect, item.reading);
    let Ok(messages) = pipeline.messages(item.record, wish, known) else {
        return Ok(false);
    };
    let key = pipeline.key(item.record, &messages)?;
    Ok(pipeline.cache().contains(&key))
}

/// What a file says of its features.
pub(super) fn facts(maker: &Maker, descriptions: Descriptions) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("model", maker.tag.name.clone()),
        ("model_sha256", maker.tag.sha256.clone()),
        ("dtype", maker.form.name().to_owned()),
        ("preset", maker.preset.clone()),
        ("descriptions", descriptions.name().to_owned()),
        ("max_len", maker.max_len.to_string()),
        ("program_version", env!("CARGO_PKG_VERSION").to_owned()),
    ])
}
