//! What people are asked to judge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One perceptual aspect of an AI-generated image, after M3-AGIQA (arXiv 2502.13763, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// Perceptual quality: sharpness, noise, lighting, composition, artefacts.
    Quality,
    /// How well the picture shows what the prompt asked for. AGIQA-3K calls it alignment.
    Correspondence,
    /// How far the picture could pass for one that nobody generated.
    Authenticity,
}

impl Aspect {
    /// Every aspect, in the order in which tables and screens list them.
    pub const ALL: [Self; 3] = [Self::Quality, Self::Correspondence, Self::Authenticity];

    /// The lower-case name used in tables, files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Correspondence => "correspondence",
            Self::Authenticity => "authenticity",
        }
    }

    /// The name as a heading on screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Quality => "Quality",
            Self::Correspondence => "Correspondence",
            Self::Authenticity => "Authenticity",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Quality => 0,
            Self::Correspondence => 1,
            Self::Authenticity => 2,
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Aspect {
    type Err = String;

    /// Reads a name; `align` and `alignment` are AGIQA-3K's words for correspondence.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "quality" => Ok(Self::Quality),
            "correspondence" | "align" | "alignment" => Ok(Self::Correspondence),
            "authenticity" => Ok(Self::Authenticity),
            other => Err(format!(
                "expected quality, correspondence or authenticity, got {other:?}"
            )),
        }
    }
}

/// One value for each aspect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AspectMap<T>([T; 3]);

impl<T> AspectMap<T> {
    /// Builds the map by asking for each aspect's value in turn.
    pub fn from_fn(mut value: impl FnMut(Aspect) -> T) -> Self {
        Self(Aspect::ALL.map(&mut value))
    }

    /// The value of one aspect.
    pub fn get(&self, aspect: Aspect) -> &T {
        &self.0[aspect.index()]
    }

    /// The value of one aspect, to change it.
    pub fn get_mut(&mut self, aspect: Aspect) -> &mut T {
        &mut self.0[aspect.index()]
    }

    /// Aspects with their values, in the order of [`Aspect::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Aspect, &T)> {
        Aspect::ALL.into_iter().zip(self.0.iter())
    }
}
