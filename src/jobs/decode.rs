//! Pictures for the screen: thumbnails from the cache on disk or made anew, and whole pictures.
//!
//! The newest wish wins: what has scrolled away is not decoded. These threads own nothing.

use std::collections::VecDeque;
use std::path::Path;
use std::path::PathBuf;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;

use crate::domain::ContentHash;
use crate::domain::ImageId;
use crate::domain::Picture;
use crate::jobs::context::EventSender;
use crate::jobs::error::JobError;
use crate::jobs::latest::Latest;
use crate::jobs::latest::latest;
use crate::jobs::message::Event;
use crate::jobs::message::Wish;
use crate::jobs::store_worker::Place;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::workers::spawn;
use crate::media;
use crate::store::ThumbnailCache;
use crate::store::cache_folder;

/// Longer side of a thumbnail in pixels.
const THUMBNAIL_SIDE: u32 = 256;

/// Quality of cached thumbnails: no difference is seen at this size.
const THUMBNAIL_QUALITY: u8 = 85;

/// Pictures of a project in the list of recent ones.
const STRIP_PICTURES: usize = 6;

/// The way to the decoders.
pub(super) struct Decoders {
    thumbnails: Latest<Vec<ImageId>>,
    full: Latest<ImageId>,
    ahead: Latest<Vec<ImageId>>,
    strips: Latest<Vec<PathBuf>>,
}

impl Decoders {
    /// Starts one thread for thumbnails, one for whole pictures that are wanted now, one for those wanted soon, and
    /// one for projects that are not open. They end when this is dropped.
    pub(super) fn start(
        store: &StoreHandle,
        events: &EventSender,
    ) -> Result<(Self, [JoinHandle<()>; 4]), JobError> {
        let (thumbnails, wanted) = latest();
        let (full, wanted_full) = latest();
        let (ahead, wanted_ahead) = latest();
        let (strips, wanted_strips) = latest();
        let threads = [
            spawn("assay-thumbnails", {
                let (store, events) = (store.clone(), events.clone());
                move || serve_thumbnails(&wanted, &store, &events)
            })?,
            spawn("assay-picture", {
                let (store, events) = (store.clone(), events.clone());
                move || serve_full(&wanted_full, &store, &events)
            })?,
            spawn("assay-preload", {
                let (store, events) = (store.clone(), events.clone());
                move || serve_ahead(&wanted_ahead, &store, &events)
            })?,
            spawn("assay-strips", {
                let events = events.clone();
                move || serve_strips(&wanted_strips, &events)
            })?,
        ];
        let decoders = Self {
            thumbnails,
            full,
            ahead,
            strips,
        };
        Ok((decoders, threads))
    }

    /// Takes a wish in the place of the former one of its kind.
    pub(super) fn wish(&self, wish: Wish) {
        match wish {
            Wish::Thumbnails(images) => self.thumbnails.replace(images),
            Wish::FullPicture(image) => self.full.replace(image),
            Wish::Preload(images) => self.ahead.replace(images),
            Wish::Strips(projects) => self.strips.replace(projects),
            // Figures are no pictures; another thread has them.
            Wish::Results(_) => {}
        }
    }
}

fn serve_thumbnails(wanted: &Receiver<Vec<ImageId>>, store: &StoreHandle, events: &EventSender) {
    let mut queue = VecDeque::new();
    let mut cache: Option<ThumbnailCache> = None;
    loop {
        let newer = if queue.is_empty() {
            match wanted.recv() {
                Ok(newer) => Some(newer),
                Err(_) => return,
            }
        } else {
            wanted.try_recv().ok()
        };
        if let Some(images) = newer {
            // Without a project there is nothing to show, and nobody to tell.
            let Ok((project, places)) = store.places(images) else {
                queue.clear();
                continue;
            };
            cache = Some(ThumbnailCache::open(&cache_folder(&project)));
            queue = places.into();
        }
        if let Some(place) = queue.pop_front() {
            events.send(match thumbnail(&place, cache.as_ref()) {
                Ok(picture) => Event::Thumbnail {
                    hash: place.hash,
                    image: place.image,
                    picture,
                },
                Err(error) => failed(&place, &error),
            });
        }
    }
}

fn serve_full(wanted: &Receiver<ImageId>, store: &StoreHandle, events: &EventSender) {
    for image in wanted {
        let Ok((_, places)) = store.places(vec![image]) else {
            continue;
        };
        for place in places {
            events.send(whole(&place));
        }
    }
}

/// Decodes ahead of need. A newer wish takes the place of what is left of the former; what both name is not decoded
/// again.
fn serve_ahead(wanted: &Receiver<Vec<ImageId>>, store: &StoreHandle, events: &EventSender) {
    let mut served: Vec<ImageId> = Vec::new();
    let mut next = wanted.recv().ok();
    while let Some(images) = next.take() {
        served.retain(|image| images.contains(image));
        let lacking: Vec<ImageId> = images
            .iter()
            .copied()
            .filter(|image| !served.contains(image))
            .collect();
        let places = store
            .places(lacking)
            .map_or_else(|_| Vec::new(), |(_, places)| places);
        for place in places {
            events.send(whole(&place));
            served.push(place.image);
            next = wanted.try_recv().ok();
            if next.is_some() {
                break;
            }
        }
        if next.is_none() {
            next = wanted.recv().ok();
        }
    }
}

fn serve_strips(wanted: &Receiver<Vec<PathBuf>>, events: &EventSender) {
    for projects in wanted {
        for project in projects {
            let cache = ThumbnailCache::open(&cache_folder(&project));
            let pictures = cache
                .some(STRIP_PICTURES)
                .iter()
                .filter_map(|bytes| media::decode(bytes).ok())
                .collect();
            events.send(Event::Strip {
                is_there: project.is_file(),
                project,
                pictures,
            });
        }
    }
}

fn whole(place: &Place) -> Event {
    match load(&place.path) {
        Ok(picture) => Event::FullPicture {
            hash: place.hash,
            image: place.image,
            picture,
        },
        Err(error) => failed(place, &error),
    }
}

fn failed(place: &Place, error: &JobError) -> Event {
    Event::PictureFailed {
        hash: place.hash,
        image: place.image,
        reason: error.to_string(),
    }
}

fn thumbnail(place: &Place, cache: Option<&ThumbnailCache>) -> Result<Picture, JobError> {
    let cached = cache.and_then(|cache| cache.get(place.hash));
    if let Some(picture) = cached.and_then(|bytes| media::decode(&bytes).ok()) {
        return Ok(picture);
    }
    let picture = media::thumbnail(&load(&place.path)?, THUMBNAIL_SIDE);
    if let (Some(cache), Ok(bytes)) = (cache, media::encode_jpeg(&picture, THUMBNAIL_QUALITY)) {
        // A full disk costs the cache, not the picture on screen.
        cache.put(place.hash, &bytes).ok();
    }
    Ok(picture)
}

/// Decodes a picture.
pub(super) fn load(path: &Path) -> Result<Picture, JobError> {
    Ok(media::load(path)?)
}

/// As [`load_for_model`], of a picture that the project knows by its hash: what is said of other bytes would be laid to
/// the imported picture's charge.
pub(super) fn load_known_for_model(path: &Path, known: ContentHash) -> Result<Picture, JobError> {
    let (picture, held) = media::load_and_hash_for_model(path)?;
    match held == known {
        true => Ok(picture),
        false => Err(JobError::Changed),
    }
}

/// Decodes a picture as models were taught to see it.
pub(super) fn load_for_model(path: &Path) -> Result<Picture, JobError> {
    Ok(media::load_for_model(path)?)
}
