//! describe -> features -> score: what the jobs of the model worker do with one picture and one aspect.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::ContentHash;
use crate::domain::Conversation;
use crate::domain::Description;
use crate::domain::DescriptionId;
use crate::domain::Descriptions;
use crate::domain::Features;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::ModelTag;
use crate::domain::Origin;
use crate::domain::Picture;
use crate::domain::Preset;
use crate::domain::Provenance;
use crate::domain::Reading;
use crate::jobs::context::JobContext;
use crate::jobs::crew;
use crate::jobs::crew::Task;
use crate::jobs::decode;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::unix_time;
use crate::jobs::home::Home;
use crate::jobs::mapped_features;
use crate::jobs::message::Event;
use crate::jobs::message::FailedItem;
use crate::jobs::model_host::ModelHost;
use crate::jobs::outlook;
use crate::jobs::presets::preset_in_use;
use crate::jobs::scoring::Loaded;
use crate::jobs::scoring::load_predictor;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::store_worker::file_of;
use crate::ml::train::LmHead;
use crate::ml::vlm::Ask;
use crate::ml::vlm::Described;
use crate::ml::vlm::GenerateSettings;
use crate::ml::vlm::LocalModel;
use crate::ml::vlm::weights::Form;
use crate::store::FeatureCache;
use crate::store::FeatureKey;
use crate::store::cache_folder;

/// Everything that one job needs to describe and to take features: model, wording, project and cache.
pub(super) struct Pipeline<'a> {
    model: &'a LocalModel,
    pub(super) preset: Preset,
    pub(super) pinned: Pinned,
    pub(super) maker: Maker,
    generate: GenerateSettings,
    cache: FeatureCache,
    catalog: &'a Catalog,
    home: Home,
}

/// What makes the results of a job: enough to note it beside each of them.
#[derive(Debug, Clone)]
pub(super) struct Maker {
    pub(super) tag: ModelTag,
    /// The form of the model's weights.
    pub(super) form: Form,
    pub(super) preset: String,
    pub(super) max_len: usize,
    pub(super) seed: u64,
}

impl Maker {
    /// What made a result, now.
    pub(super) fn provenance(&self, settings: serde_json::Value) -> Provenance {
        Provenance {
            model: Some(self.tag.clone()),
            preset: Some(self.preset.clone()),
            settings,
            seed: self.seed,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            unix_time: unix_time(),
        }
    }
}

/// A description that was just made and saved.
pub(super) struct Made {
    pub(super) description: Description,
    pub(super) features: Features,
}

/// The description of each picture and aspect that is read; see [`known`].
pub(super) type Known = BTreeMap<(ImageId, Aspect), Description>;

/// A picture that is decoded when it is first needed, and once at most.
pub(super) struct LazyPicture {
    path: std::path::PathBuf,
    /// The picture that the project knows; `None` where it has no file.
    hash: Option<ContentHash>,
    picture: Option<Picture>,
}

impl LazyPicture {
    /// The pixels.
    pub(super) fn get(&mut self) -> Result<Picture, JobError> {
        if let Some(picture) = &self.picture {
            return Ok(picture.clone());
        }
        let hash = self.hash.ok_or_else(no_picture)?;
        let picture = decode::load_known_for_model(&self.path, hash)?;
        self.picture = Some(picture.clone());
        Ok(picture)
    }
}

/// What is told of every picture that the model was asked about.
pub(super) type Take<'a> =
    dyn FnMut(&ImageRecord, Result<Made, JobError>, &mut JobContext) -> Result<(), JobError> + 'a;

impl<'a> Pipeline<'a> {
    /// Loads the model that the project wants, if need be.
    pub(super) fn new(
        host: &'a mut ModelHost,
        store: &StoreHandle,
        catalog: &'a Catalog,
        pinned: Pinned,
    ) -> Result<Self, JobError> {
        let preset = preset_in_use(catalog)?;
        let (seed, home) = (host.options().seed, host.options().home.clone());
        let model = host.model(&catalog.settings, store)?;
        Ok(Self {
            maker: Maker {
                tag: model.card().tag.clone(),
                form: model.form(),
                preset: preset.name.clone(),
                max_len: model.max_len(),
                seed,
            },
            preset,
            generate: model.settings().with_seed(seed),
            cache: FeatureCache::open(&cache_folder(pinned.path())),
            pinned,
            catalog,
            model,
            home,
        })
    }

    /// Remembers how long descriptions took, for those who ask before the next ones.
    pub(super) fn keep_speed(&self, count: u64, taken: Duration) {
        outlook::keep_speed(&self.home, self.model.card(), count, taken);
    }

    /// The cache of features.
    pub(super) const fn cache(&self) -> &FeatureCache {
        &self.cache
    }

    /// The model's map from hidden states to logits.
    pub(super) fn lm_head(&self) -> Result<LmHead, JobError> {
        Ok(LmHead::new(&self.model.backbone().lm_head()?)?)
    }

    /// Width of the model's hidden states.
    pub(super) fn hidden_size(&self) -> usize {
        self.model.backbone().facts().hidden_size
    }

    /// A row's picture, decoded when needed.
    pub(super) fn picture(&self, record: &ImageRecord) -> LazyPicture {
        LazyPicture {
            path: file_of(&self.catalog.info.root, &record.path),
            hash: record.file.hash(),
            picture: None,
        }
    }

    /// The descriptions that are read, of each aspect those of its source.
    pub(super) fn known(&self, catalog: &Catalog, of: impl Fn(Aspect) -> Descriptions) -> Known {
        known(catalog, of, &self.maker.tag, &self.preset.name)
    }

    /// Messages 1 to 3 as the model reads them. Our own descriptions stand behind the very words that they answered;
    /// others' stand in the wording in use, the one that predictors of this model and preset know.
    fn conversation(&self, record: &ImageRecord, description: &Description) -> Conversation {
        if description.origin == Origin::Local {
            return description.conversation();
        }
        let wording = self.preset.aspect(description.aspect);
        Conversation {
            request: self.preset.request(description.aspect, &record.prompt),
            description: description.text.clone(),
            question: wording.question.clone(),
        }
    }

    /// Lets the model describe pictures, several at once where that is quicker. Each description is saved and its features
    /// kept, then `take` hears of it. Pictures that are not `due` are not looked at.
    pub(super) fn describe_all(
        &self,
        due: &[(&ImageRecord, Vec<Aspect>)],
        context: &mut JobContext,
        take: &mut Take<'_>,
    ) -> Result<(), JobError> {
        let tasks = due
            .iter()
            .map(|(record, aspects)| self.task(record, aspects))
            .collect::<Result<Vec<Task>, JobError>>()?;
        let outside = (context.watch(), context.events().clone());
        crew::describe_all(self.model, self.generate, &tasks, outside, &mut |found| {
            let Some(found) = found else {
                return Ok(context.check()?);
            };
            let record = due[found.task].0;
            let (aspect, ask) = &tasks[found.task].asks[found.ask];
            let made = found
                .described
                .and_then(|described| self.save(record, (*aspect, ask), described, context));
            take(record, made, context)
        })
    }

    fn task(&self, record: &ImageRecord, aspects: &[Aspect]) -> Result<Task, JobError> {
        let ask = |aspect: &Aspect| {
            let ask = Ask {
                request: self.preset.request(*aspect, &record.prompt),
                question: self.preset.aspect(*aspect).question.clone(),
            };
            (*aspect, ask)
        };
        Ok(Task {
            image: record.id,
            hash: record.file.hash().ok_or_else(|| no_file(record))?,
            path: file_of(&self.catalog.info.root, &record.path),
            asks: aspects.iter().map(ask).collect(),
        })
    }

    /// Saves a description and keeps its features, then says so.
    fn save(
        &self,
        record: &ImageRecord,
        (aspect, ask): (Aspect, &Ask),
        described: Described,
        context: &JobContext,
    ) -> Result<Made, JobError> {
        let draft = self.draft(record.id, aspect, ask, &described);
        let key = self.key(record, &draft.conversation().messages())?;
        // The crew looked at no other bytes than these.
        let seen = key.image;
        self.keep(&key, &described.features, context);
        if described.num_cut > 0 {
            context.events().send(Event::Notice(format!(
                "The prompt of {} is longer than the model reads: {} tokens were left out",
                record.path, described.num_cut
            )));
        }
        let description = self.pinned.call(move |project, events| {
            let saved = project.add_description_of(&draft, seen)?;
            events.send(Event::Described(saved.clone()));
            Ok(saved)
        })?;
        Ok(Made {
            description,
            features: described.features,
        })
    }

    /// The messages that a predictor of an aspect reads; an error where something of them was not said.
    pub(super) fn messages(
        &self,
        record: &ImageRecord,
        (aspect, reading): (Aspect, &Reading),
        known: &Known,
    ) -> Result<Vec<String>, JobError> {
        let said = |aspect| {
            let description = known.get(&(record.id, aspect))?;
            let conversation = self.conversation(record, description);
            Some((conversation, description.answer.clone()))
        };
        let lacking = || JobError::NoDescription { aspect };
        reading.messages(aspect, said).ok_or_else(lacking)
    }

    /// Features of messages: from the cache, or by one forward pass.
    pub(super) fn features(
        &self,
        record: &ImageRecord,
        picture: &mut LazyPicture,
        messages: &[String],
        context: &JobContext,
    ) -> Result<Features, JobError> {
        let key = self.key(record, messages)?;
        if let Some(features) = mapped_features::open(&self.cache, &key) {
            return Ok(features);
        }
        let texts: Vec<&str> = messages.iter().map(String::as_str).collect();
        let features = self.model.features_of(&picture.get()?, &texts)?;
        self.keep(&key, &features, context);
        Ok(features)
    }

    /// The cache's key of the features of messages.
    pub(super) fn key(
        &self,
        record: &ImageRecord,
        messages: &[impl AsRef<str>],
    ) -> Result<FeatureKey, JobError> {
        let hash = record.file.hash().ok_or_else(|| no_file(record))?;
        Ok(FeatureKey::new(
            hash,
            (&self.maker.tag.sha256, self.maker.form.name()),
            messages,
            self.maker.max_len,
        ))
    }

    /// The predictor in use for an aspect, if it reads this model and preset.
    pub(super) fn predictor_in_use(&self, aspect: Aspect) -> Result<Loaded, JobError> {
        load_predictor(self.catalog, aspect, &self.maker, &self.pinned)
    }

    fn keep(&self, key: &FeatureKey, features: &Features, context: &JobContext) {
        // Without a cache the work goes on, slower next time; the user should know why.
        if let Err(error) = self.cache.put(key, features) {
            context.events().send(Event::Notice(format!(
                "The cache of features could not be written: {error}"
            )));
        }
    }

    fn draft(
        &self,
        image: ImageId,
        aspect: Aspect,
        ask: &Ask,
        described: &Described,
    ) -> Description {
        let settings = json!({
            "decoding": self.generate,
            "max_len": self.maker.max_len,
            "num_tokens": described.num_tokens,
            "finished": described.finished,
            "num_cut": described.num_cut,
        });
        Description {
            id: DescriptionId(0),
            image,
            aspect,
            origin: Origin::Local,
            request: ask.request.clone(),
            text: described.text.clone(),
            question: ask.question.clone(),
            answer: Some(described.answer.clone()),
            made: self.maker.provenance(settings),
        }
    }
}

/// The newest description of each picture and aspect from the source that its aspect reads: what a model said in a
/// preset's wording, or what came with the dataset. A teacher's text is in neither, so nothing is scored from it.
pub(super) fn known(
    catalog: &Catalog,
    of: impl Fn(Aspect) -> Descriptions,
    tag: &ModelTag,
    preset: &str,
) -> Known {
    let is_read = |description: &&Description| {
        let made = &description.made;
        description.origin == of(description.aspect).origin()
            && match description.origin {
                Origin::Local => {
                    made.model.as_ref() == Some(tag) && made.preset.as_deref() == Some(preset)
                }
                Origin::Published => true,
                Origin::Teacher => false,
            }
    };
    let read = catalog.descriptions.iter().filter(is_read);
    read.map(|description| ((description.image, description.aspect), description.clone()))
        .collect()
}

/// The rows that were asked for: those with a picture, and those that cannot be worked on, with the reason.
pub(super) fn usable<'a>(
    catalog: &'a Catalog,
    images: &[ImageId],
) -> (Vec<&'a ImageRecord>, Vec<FailedItem>) {
    let wanted: std::collections::BTreeSet<ImageId> = images.iter().copied().collect();
    let rows = catalog
        .images
        .iter()
        .filter(|record| wanted.contains(&record.id));
    let (present, absent): (Vec<_>, Vec<_>) = rows.partition(|record| record.file.is_present());
    let absent = absent
        .into_iter()
        .map(|record| failed(record, &no_file(record)))
        .collect();
    (present, absent)
}

/// What a batch is doing, e.g. "Describing quality". One name for all of it, so that its rate is one too.
pub(super) fn stage(verb: &str, aspects: impl Iterator<Item = Aspect>) -> String {
    let names: Vec<&str> = aspects.map(Aspect::name).collect();
    format!("{verb} {}", names.join(", "))
}

/// A failure of one picture.
pub(super) fn failed(record: &ImageRecord, error: &JobError) -> FailedItem {
    FailedItem {
        image: Some(record.id),
        path: record.path.clone(),
        reason: error.to_string(),
    }
}

/// Why a row's picture cannot be worked on.
pub(super) fn no_file(record: &ImageRecord) -> JobError {
    let reason = record.file.reason();
    reason.map_or_else(no_picture, |reason| JobError::NoPicture(reason.to_owned()))
}

fn no_picture() -> JobError {
    JobError::NoPicture("the picture cannot be used".to_owned())
}
