//! Files of a study: reports, exports, imports, packages.

use std::path::Path;

use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::project::report_json;
use crate::cli::session::Session;
use crate::cli::study::args::Chosen;
use crate::cli::study::args::ReportArgs;
use crate::cli::study::args::StudyExportArgs;
use crate::cli::study::args::StudyImportArgs;
use crate::cli::study::choose;
use crate::domain::RatingsFormat;
use crate::domain::study::tally;
use crate::jobs::message::Job;
use crate::jobs::message::RatingsExport;
use crate::jobs::message::RatingsImport;
use crate::stats::raters::Screening;

/// `assay study report`.
pub(super) fn report(args: &ReportArgs, common: &Common) -> anyhow::Result<Exit> {
    let chosen = &args.figures.chosen;
    let session = Session::start(common, None)?;
    let catalog = session.open(&chosen.project)?;
    let study = choose(&catalog, chosen.study.as_deref())?;
    let report = session.run(
        Job::ExportRatings(RatingsExport {
            study: study.id,
            format: RatingsFormat::Report,
            aspect: args.figures.aspect,
            screening: args.figures.screening,
            out: args.out.clone(),
        }),
        &mut |_| {},
    )?;
    let value = json!({
        "study": study.id.0,
        "pictures": report.done,
        "screening": args.figures.screening.name(),
        "out": args.out,
    });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// `assay study export`. For a matrix the answer names the rows and columns that the file itself has no room for.
pub(super) fn export(args: &StudyExportArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.chosen.project)?;
    let study = choose(&catalog, args.chosen.study.as_deref())?;
    let report = session.run(
        Job::ExportRatings(RatingsExport {
            study: study.id,
            format: args.format,
            aspect: args.aspect,
            screening: Screening::default(),
            out: args.out.clone(),
        }),
        &mut |_| {},
    )?;
    let mut value = json!({
        "study": study.id.0,
        "format": args.format.name(),
        "rows": report.done,
        "out": args.out,
    });
    let aspect = args.aspect.or(study.protocol.aspects.first().copied());
    if let (RatingsFormat::Matrix, Some(aspect)) = (args.format, aspect) {
        let tally = tally(study, &catalog.votes, aspect);
        value["pictures"] = json!(tally.pictures);
        value["raters"] = json!(tally.raters);
    }
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// `assay study import`.
pub(super) fn import(args: &StudyImportArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.chosen.project)?;
    let study = choose(&catalog, args.chosen.study.as_deref())?;
    let report = session.run(
        Job::ImportRatings(RatingsImport {
            study: study.id,
            path: args.file.clone(),
            format: args.format,
            aspect: args.aspect,
        }),
        &mut |_| {},
    )?;
    output::list_failures(&report.failed);
    let mut value = report_json(&report);
    value["study"] = json!(study.id.0);
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::of_batch(report.failed.len()))
}

/// `assay study package`.
pub(super) fn package(chosen: &Chosen, out: &Path, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&chosen.project)?;
    let study = choose(&catalog, chosen.study.as_deref())?.id;
    let job = Job::PackStudy {
        study,
        out: out.to_path_buf(),
    };
    let report = session.run(job, &mut |_| {})?;
    let value = json!({ "study": study.0, "pictures": report.done, "out": out });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// `assay study merge`.
pub(super) fn merge(file: &Path, project: &Path, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    session.open(project)?;
    let job = Job::MergeStudies {
        path: file.to_path_buf(),
    };
    let report = session.run(job, &mut |_| {})?;
    output::list_failures(&report.failed);
    output::answer(common.json, &report_json(&report), &report.summary);
    Ok(Exit::of_batch(report.failed.len()))
}
