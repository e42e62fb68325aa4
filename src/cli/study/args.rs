//! What may be typed after `assay study`.

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;

use crate::cli::args::SplitChoice;
use crate::cli::args::splits;
use crate::domain::Aspect;
use crate::domain::Method;
use crate::domain::RatingsFormat;
use crate::stats::raters::Screening;

/// What to do with studies.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum StudyAction {
    /// List the studies of a project
    List {
        /// Project file
        #[arg(long, value_name = "FILE")]
        project: PathBuf,
    },
    /// Make a study from a protocol in TOML, from flags, or from both; flags go before the file
    Create(CreateArgs),
    /// Say what the votes come to: scores, raters and their screening, agreement
    Stats(StatsArgs),
    /// Write the study report: one HTML page that stands alone and can be printed
    Report(ReportArgs),
    /// Write the votes: long CSV, ITU matrix, JSON for sureal, or pairs CSV
    Export(StudyExportArgs),
    /// Read votes from such a file; what is there already comes in once
    Import(StudyImportArgs),
    /// Write a study with its pictures as one file for raters at another machine
    Package {
        #[command(flatten)]
        chosen: Chosen,
        /// File to write, e.g. pilot.assaystudy
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take the votes of a package that came back, or of another project; each vote comes in once
    Merge {
        /// Package or project file
        file: PathBuf,
        /// Project file to take them into
        #[arg(long, value_name = "FILE")]
        project: PathBuf,
    },
    /// Use a study's MOS as the ground truth of an aspect, or the dataset's own again
    Use(UseArgs),
}

/// A study of a project.
#[derive(Debug, Clone, Args)]
pub(crate) struct Chosen {
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(crate) project: PathBuf,
    /// Study by number or name; the project's only one if not given
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) study: Option<String>,
}

/// `assay study create`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CreateArgs {
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(crate) project: PathBuf,
    /// Protocol in TOML
    #[arg(long, value_name = "FILE", required_unless_present = "name")]
    pub(crate) protocol: Option<PathBuf>,
    /// Name of the study
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Method: acr5, continuous or pairs
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: Option<Method>,
    /// Aspect that is asked for; may be given more than once
    #[arg(long = "aspect", value_name = "ASPECT")]
    pub(crate) aspects: Vec<Aspect>,
    /// Pictures of this split: train, val, test or all; --limit takes so many at most
    #[arg(long, default_value = "all", value_name = "SPLIT", value_parser = splits)]
    pub(crate) split: SplitChoice,
    /// Training pictures, chosen to span the known opinion scores
    #[arg(long, value_name = "N")]
    pub(crate) training: Option<usize>,
    /// Share of pictures that come a second time, 0 to 0.2
    #[arg(long, value_name = "PART")]
    pub(crate) repeat_share: Option<f64>,
}

/// `assay study stats`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Aspect; all that the study asks for if not given
    #[arg(long, value_name = "ASPECT")]
    pub(crate) aspect: Option<Aspect>,
    /// Screening: none, bt500, p913, correlation or p910
    #[arg(long, default_value = "p910", value_name = "WORD")]
    pub(crate) screening: Screening,
}

/// `assay study report`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) figures: StatsArgs,
    /// File to write, e.g. report.html
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// `assay study export`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StudyExportArgs {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Format: long, matrix, sureal or pairs
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: RatingsFormat,
    /// Aspect; needed where the study asks for several and the format holds one
    #[arg(long, value_name = "ASPECT")]
    pub(crate) aspect: Option<Aspect>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// `assay study import`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StudyImportArgs {
    /// File of votes
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Format: long, matrix, sureal or pairs; told from the file if not given
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<RatingsFormat>,
    /// Aspect of the votes, where the file does not say it and the study asks for several
    #[arg(long, value_name = "ASPECT")]
    pub(crate) aspect: Option<Aspect>,
}

/// `assay study use`.
#[derive(Debug, Clone, Args)]
pub(crate) struct UseArgs {
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(crate) project: PathBuf,
    /// Aspect whose ground truth changes
    #[arg(long, value_name = "ASPECT")]
    pub(crate) aspect: Aspect,
    /// Study by number or name; the project's only one if not given
    #[arg(long, value_name = "ID|NAME", conflicts_with = "own")]
    pub(crate) study: Option<String>,
    /// Go back to the dataset's own ground truth
    #[arg(long)]
    pub(crate) own: bool,
}
