//! Pictures on the graphics card: a bounded number of thumbnails, and the few whole pictures that Inspect and sittings
//! of studies show.
//!
//! Screens ask for a texture while they draw; what is not there is wished for, and the app hands the wishes of a
//! frame to the workers. Uploads are spread over frames, so that scrolling stays smooth while thumbnails arrive.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use egui::ColorImage;
use egui::Context;
use egui::TextureFilter;
use egui::TextureHandle;
use egui::TextureOptions;
use lru::LruCache;

use crate::domain::{ImageId, Picture};
use crate::state::command::Wish;

/// Thumbnails kept: several screens full, about 100 MB at 256 pixels.
const KEPT_THUMBNAILS: usize = 600;

/// Whole pictures kept, so that going back and forth is instant: a pair on screen with the pairs that may follow it,
/// whatever the answer.
const KEPT_PICTURES: usize = 10;

/// Pixels of whole pictures kept, about 500 MB; large photographs push each other out sooner.
const KEPT_PIXELS: u64 = 128 * 1024 * 1024;

/// Thumbnails uploaded in one frame.
const UPLOADS_PER_FRAME: usize = 16;

/// Side of a tile of a whole picture; below the limit of every card.
const TILE: u32 = 2048;

/// One piece of a whole picture.
pub struct Tile {
    /// Left, top, right and bottom in picture pixels.
    pub bounds: [u32; 4],
    /// Its pixels on the card.
    pub texture: TextureHandle,
}

/// A whole picture on the card.
pub struct FullTexture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its pieces; one for pictures of ordinary size.
    pub tiles: Vec<Tile>,
}

/// A thumbnail on the card.
pub struct Thumbnail {
    /// Its pixels.
    pub texture: TextureHandle,
    /// When it came, in seconds of the window's clock: new ones fade in.
    pub since: f64,
}

/// Textures by image.
pub struct Textures {
    thumbnails: LruCache<ImageId, Thumbnail>,
    pictures: LruCache<ImageId, FullTexture>,
    waiting: VecDeque<(ImageId, Picture)>,
    wanted: Vec<ImageId>,
    wanted_before: Vec<ImageId>,
    wanted_picture: Option<ImageId>,
    wanted_picture_before: Option<ImageId>,
    strips: HashMap<PathBuf, Vec<TextureHandle>>,
    wanted_strips: Vec<PathBuf>,
    wanted_ahead: Vec<ImageId>,
    wanted_ahead_before: Vec<ImageId>,
    is_smooth: bool,
}

impl Default for Textures {
    fn default() -> Self {
        let kept = |number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        Self {
            thumbnails: LruCache::new(kept(KEPT_THUMBNAILS)),
            pictures: LruCache::new(kept(KEPT_PICTURES)),
            waiting: VecDeque::new(),
            wanted: Vec::new(),
            wanted_before: Vec::new(),
            wanted_picture: None,
            wanted_picture_before: None,
            strips: HashMap::new(),
            wanted_strips: Vec::new(),
            wanted_ahead: Vec::new(),
            wanted_ahead_before: Vec::new(),
            is_smooth: false,
        }
    }
}

impl Textures {
    /// A thumbnail; wished for if it is not there.
    pub fn thumbnail(&mut self, image: ImageId) -> Option<&Thumbnail> {
        let is_known = self.thumbnails.contains(&image) || self.is_waiting(image);
        if !is_known && !self.wanted.contains(&image) {
            self.wanted.push(image);
        }
        self.thumbnails.get(&image)
    }

    /// A whole picture; wished for if it is not there.
    pub fn picture(&mut self, image: ImageId) -> Option<&FullTexture> {
        if !self.pictures.contains(&image) {
            self.wanted_picture = Some(image);
        }
        self.pictures.get(&image)
    }

    /// A whole picture if it is there; nothing is wished for.
    pub fn ready(&mut self, image: ImageId) -> Option<&FullTexture> {
        self.pictures.get(&image)
    }

    /// Whether magnified whole pictures are smooth, as raters should see them, or show their pixels, as Inspect does.
    pub fn be_smooth(&mut self, is_smooth: bool) {
        if self.is_smooth != is_smooth {
            self.is_smooth = is_smooth;
            self.pictures.clear();
        }
    }

    /// Whole pictures that will be wanted soon, the soonest first; those that are not there are wished for.
    pub fn prepare(&mut self, images: &[ImageId]) {
        self.wanted_ahead = images
            .iter()
            .filter(|image| !self.pictures.contains(image))
            .copied()
            .collect();
    }

    /// Takes a thumbnail in; it goes to the card in one of the next frames.
    pub fn add_thumbnail(&mut self, image: ImageId, picture: Picture) {
        self.waiting.push_back((image, picture));
    }

    /// Takes a whole picture in.
    pub fn add_picture(&mut self, ctx: &Context, image: ImageId, picture: &Picture) {
        let mut tiles = Vec::new();
        for top in (0..picture.height).step_by(TILE as usize) {
            for left in (0..picture.width).step_by(TILE as usize) {
                let right = (left + TILE).min(picture.width);
                let bottom = (top + TILE).min(picture.height);
                let bounds = [left, top, right, bottom];
                let texture = ctx.load_texture(
                    format!("picture {} at {left},{top}", image.0),
                    cut(picture, bounds),
                    full_options(self.is_smooth),
                );
                tiles.push(Tile { bounds, texture });
            }
        }
        let full = FullTexture {
            width: picture.width,
            height: picture.height,
            tiles,
        };
        self.pictures.put(image, full);
        self.drop_pixels();
    }

    /// Lets the whole pictures go that were not shown for longest, until the others have room; the newest one stays.
    fn drop_pixels(&mut self) {
        let pixels = |full: &FullTexture| u64::from(full.width) * u64::from(full.height);
        let mut kept: u64 = self.pictures.iter().map(|(_, full)| pixels(full)).sum();
        while kept > KEPT_PIXELS && self.pictures.len() > 1 {
            let Some((_, oldest)) = self.pictures.pop_lru() else {
                return;
            };
            kept -= pixels(&oldest);
        }
    }

    /// Some pictures of a project that is not open; wished for when first asked for.
    pub fn strip(&mut self, project: &str) -> &[TextureHandle] {
        let project = PathBuf::from(project);
        self.strips.entry(project).or_insert_with_key(|project| {
            self.wanted_strips.push(project.clone());
            Vec::new()
        })
    }

    /// Takes some pictures of a project in.
    pub fn add_strip(&mut self, ctx: &Context, project: PathBuf, pictures: &[Picture]) {
        let upload = |(idx, picture): (usize, &Picture)| {
            let bounds = [0, 0, picture.width, picture.height];
            let name = format!("strip {} {idx}", project.display());
            ctx.load_texture(name, cut(picture, bounds), TextureOptions::LINEAR)
        };
        let textures = pictures.iter().enumerate().map(upload).collect();
        self.strips.insert(project, textures);
    }

    /// Uploads some of what is waiting; `true` if more is waiting for the next frame.
    pub fn upload(&mut self, ctx: &Context) -> bool {
        let since = ctx.input(|input| input.time);
        for _ in 0..UPLOADS_PER_FRAME {
            let Some((image, picture)) = self.waiting.pop_front() else {
                return false;
            };
            let bounds = [0, 0, picture.width, picture.height];
            let texture = ctx.load_texture(
                format!("thumbnail {}", image.0),
                cut(&picture, bounds),
                TextureOptions::LINEAR,
            );
            self.thumbnails.put(image, Thumbnail { texture, since });
        }
        !self.waiting.is_empty()
    }

    /// What this frame asked for and the frame before did not.
    pub fn take_wishes(&mut self) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if !self.wanted.is_empty() && self.wanted != self.wanted_before {
            wishes.push(Wish::Thumbnails(self.wanted.clone()));
        }
        if let Some(image) = self.wanted_picture
            && self.wanted_picture_before != Some(image)
        {
            wishes.push(Wish::FullPicture(image));
        }
        if !self.wanted_strips.is_empty() {
            wishes.push(Wish::Strips(std::mem::take(&mut self.wanted_strips)));
        }
        // Nothing more to prepare is said too: what was decoded once may be wanted again later.
        if self.wanted_ahead != self.wanted_ahead_before {
            wishes.push(Wish::Preload(self.wanted_ahead.clone()));
        }
        self.wanted_ahead_before = std::mem::take(&mut self.wanted_ahead);
        self.wanted_before = std::mem::take(&mut self.wanted);
        self.wanted_picture_before = self.wanted_picture.take();
        wishes
    }

    /// Whether a thumbnail can be seen.
    pub fn has_thumbnails(&self) -> bool {
        !self.thumbnails.is_empty()
    }

    /// Whether every thumbnail that this frame asked for was there. To be asked before its wishes are taken.
    pub fn is_complete(&self) -> bool {
        self.has_thumbnails() && self.wanted.is_empty() && self.waiting.is_empty()
    }

    /// Forgets everything: another project was opened, or files changed.
    pub fn clear(&mut self) {
        *self = Self {
            is_smooth: self.is_smooth,
            ..Self::default()
        };
    }

    fn is_waiting(&self, image: ImageId) -> bool {
        self.waiting.iter().any(|(waiting, _)| *waiting == image)
    }
}

/// Magnified pixels stay pixels where artefacts are what one zooms in for.
fn full_options(is_smooth: bool) -> TextureOptions {
    let magnification = match is_smooth {
        true => TextureFilter::Linear,
        false => TextureFilter::Nearest,
    };
    TextureOptions {
        magnification,
        minification: TextureFilter::Linear,
        mipmap_mode: Some(TextureFilter::Linear),
        ..TextureOptions::LINEAR
    }
}

fn cut(picture: &Picture, [left, top, right, bottom]: [u32; 4]) -> ColorImage {
    let stride = picture.width as usize * 3;
    let mut rgb = Vec::with_capacity(((right - left) * (bottom - top)) as usize * 3);
    for line in top..bottom {
        let start = line as usize * stride;
        let from = start + left as usize * 3;
        let to = start + right as usize * 3;
        rgb.extend_from_slice(picture.rgb.get(from..to).unwrap_or_default());
    }
    let size = [(right - left) as usize, (bottom - top) as usize];
    ColorImage::from_rgb(size, &rgb)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn picture(width: u32, height: u32) -> Picture {
        let rgb: Vec<u8> = (0..width * height * 3).map(|byte| byte as u8).collect();
        Picture {
            width,
            height,
            rgb: Arc::from(rgb),
        }
    }

    #[test]
    fn the_same_wish_is_made_once() {
        let mut textures = Textures::default();
        assert!(textures.thumbnail(ImageId(1)).is_none());
        assert_eq!(textures.take_wishes(), [Wish::Thumbnails(vec![ImageId(1)])]);
        assert!(textures.thumbnail(ImageId(1)).is_none());
        assert!(textures.take_wishes().is_empty());
    }

    #[test]
    fn twenty_thousand_pictures_keep_six_hundred_textures() {
        let ctx = Context::default();
        let mut textures = Textures::default();
        for image in 0..2_000 {
            textures.add_thumbnail(ImageId(image), picture(2, 2));
        }
        while textures.upload(&ctx) {}
        assert_eq!(textures.thumbnails.len(), KEPT_THUMBNAILS);
    }

    #[test]
    fn pictures_to_come_are_wished_for_once_and_only_where_they_are_lacking() {
        let ctx = Context::default();
        let mut textures = Textures::default();
        textures.add_picture(&ctx, ImageId(1), &picture(2, 2));
        textures.prepare(&[ImageId(1), ImageId(2)]);
        assert_eq!(textures.take_wishes(), [Wish::Preload(vec![ImageId(2)])]);
        textures.prepare(&[ImageId(1), ImageId(2)]);
        assert!(textures.take_wishes().is_empty());
    }

    #[test]
    fn a_wide_picture_is_cut_into_tiles() {
        let ctx = Context::default();
        let mut textures = Textures::default();
        textures.add_picture(&ctx, ImageId(1), &picture(TILE * 2 + 5, 3));
        let widths: Vec<u32> = textures
            .picture(ImageId(1))
            .into_iter()
            .flat_map(|full| &full.tiles)
            .map(|tile| tile.bounds[2] - tile.bounds[0])
            .collect();
        assert_eq!(widths, [TILE, TILE, 5]);
    }
}
