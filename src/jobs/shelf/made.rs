//! Adapters that were made here, on their way among the program's models.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::domain::Aspect;
use crate::domain::ModelKind;
use crate::domain::OpinionScale;
use crate::domain::Purpose;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::home::make_parent;

use super::MANIFEST;
use super::manifest::Origin;
use super::manifest::write_manifest;

/// What an adapter that was made here is.
pub(in crate::jobs) struct MadeAdapter {
    pub(in crate::jobs) name: String,
    pub(in crate::jobs) summary: String,
    /// The model that it belongs to.
    pub(in crate::jobs) base: String,
    pub(in crate::jobs) aspect: Option<Aspect>,
    pub(in crate::jobs) dataset: String,
    pub(in crate::jobs) scale: OpinionScale,
    /// Prompt preset of its conversations.
    pub(in crate::jobs) wording: String,
}

/// Moves a folder of PEFT among the program's models, whole or not at all.
pub(in crate::jobs) fn place_adapter(
    home: &Home,
    folder: &Path,
    made: MadeAdapter,
) -> Result<PathBuf, JobError> {
    let place = home.models_folder().join(&made.name);
    make_parent(&place)?;
    let origin = Origin {
        name: made.name,
        kind: ModelKind::Adapter,
        summary: made.summary,
        source: "made by fine-tuning in this program".to_owned(),
        licence: "that of its base model".to_owned(),
        purpose: Purpose {
            base: Some(made.base),
            aspect: made.aspect,
            dataset: Some(made.dataset),
            scale: Some(made.scale),
            note: Some(format!("works best in the wording {}", made.wording)),
        },
        ..Origin::default()
    };
    write_manifest(folder, &folder.join(MANIFEST), origin)?;
    fs::rename(folder, &place).map_err(|source| JobError::File {
        action: "put the adapter among the models",
        source,
        path: place.clone(),
    })?;
    Ok(place)
}
