//! What a scene is about: the facts that a prompt names and a painter shows.

use super::dice::Dice;

/// A kind of scene. Each has its own painter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Hot-air balloons over hills.
    Balloons,
    /// Sailing boats at sea.
    Boats,
    /// Canoes on a mountain lake.
    Canoes,
    /// Towers of a city by the water.
    City,
    /// Planets in space.
    Planets,
    /// Apples in a bowl.
    Fruits,
    /// Lighthouses on a rocky coast.
    Lighthouses,
    /// Tents in the desert.
    Tents,
    /// Fish over a reef.
    Fish,
    /// Cabins in the snow.
    Cabins,
    /// Tulips in a field.
    Tulips,
    /// Umbrellas in a rainy street.
    Umbrellas,
    /// Stars in stained glass.
    Glass,
    /// Mushrooms in a foggy forest.
    Mushrooms,
    /// Paper lanterns over a river.
    Lanterns,
    /// Cups on a table by a window.
    Cups,
}

impl Family {
    /// Every family.
    pub(super) const ALL: [Self; 16] = [
        Self::Balloons,
        Self::Boats,
        Self::Canoes,
        Self::City,
        Self::Planets,
        Self::Fruits,
        Self::Lighthouses,
        Self::Tents,
        Self::Fish,
        Self::Cabins,
        Self::Tulips,
        Self::Umbrellas,
        Self::Glass,
        Self::Mushrooms,
        Self::Lanterns,
        Self::Cups,
    ];

    /// The subject, one and many, without its colour.
    pub(super) const fn noun(self) -> (&'static str, &'static str) {
        match self {
            Self::Balloons => ("hot-air balloon", "hot-air balloons"),
            Self::Boats => ("sailing boat", "sailing boats"),
            Self::Canoes => ("canoe", "canoes"),
            Self::City => ("tower", "towers"),
            Self::Planets => ("planet", "planets"),
            Self::Fruits => ("apple", "apples"),
            Self::Lighthouses => ("lighthouse", "lighthouses"),
            Self::Tents => ("tent", "tents"),
            Self::Fish => ("fish", "fish"),
            Self::Cabins => ("cabin", "cabins"),
            Self::Tulips => ("tulip", "tulips"),
            Self::Umbrellas => ("umbrella", "umbrellas"),
            Self::Glass => ("star", "stars"),
            Self::Mushrooms => ("mushroom", "mushrooms"),
            Self::Lanterns => ("paper lantern", "paper lanterns"),
            Self::Cups => ("cup", "cups"),
        }
    }

    /// Where the subject stands, said in several ways.
    pub(super) const fn places(self) -> &'static [&'static str] {
        match self {
            Self::Balloons => &[
                "over rolling hills",
                "above green valleys",
                "drifting over the hills",
            ],
            Self::Boats => &["on a calm sea", "on the open sea", "sailing on the sea"],
            Self::Canoes => &[
                "on a mountain lake",
                "on a still lake below the mountains",
                "drifting on a mountain lake",
            ],
            Self::City => &[
                "in a city by the water",
                "in a big city at a river",
                "on a city skyline above the river",
            ],
            Self::Planets => &[
                "in deep space",
                "in front of a colourful nebula",
                "among the stars",
            ],
            Self::Fruits => &[
                "in a bowl on a table",
                "in a ceramic bowl, still life",
                "in a bowl on a wooden table",
            ],
            Self::Lighthouses => &["on a rocky coast", "on a cliff by the sea", "above the sea"],
            Self::Tents => &[
                "in the desert dunes",
                "between sand dunes",
                "in a wide desert",
            ],
            Self::Fish => &[
                "over a coral reef",
                "in clear water above a reef",
                "swimming in the sea",
            ],
            Self::Cabins => &[
                "in a snowy valley",
                "in the snow below the mountains",
                "in a winter landscape",
            ],
            Self::Tulips => &[
                "in a field of grass",
                "in a wide meadow",
                "in a spring meadow",
            ],
            Self::Umbrellas => &[
                "in a rainy street",
                "on a wet street in the rain",
                "in the rain",
            ],
            Self::Glass => &[
                "in a stained glass window",
                "in stained glass",
                "in a church window of stained glass",
            ],
            Self::Mushrooms => &[
                "in a foggy forest",
                "in the fog of an old forest",
                "on the floor of a misty forest",
            ],
            Self::Lanterns => &[
                "over a quiet river",
                "floating above a river",
                "rising over the water",
            ],
            Self::Cups => &[
                "on a table by the window",
                "on a wooden table",
                "on a table, cosy still life",
            ],
        }
    }

    /// A short name of the setting for descriptions.
    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Balloons => "hills",
            Self::Boats => "sea",
            Self::Canoes => "mountain lake",
            Self::City => "city",
            Self::Planets => "starry sky",
            Self::Fruits => "wooden table",
            Self::Lighthouses => "coast",
            Self::Tents => "desert",
            Self::Fish => "reef",
            Self::Cabins => "snow",
            Self::Tulips => "meadow",
            Self::Umbrellas => "rainy street",
            Self::Glass => "stained glass",
            Self::Mushrooms => "forest",
            Self::Lanterns => "river",
            Self::Cups => "table",
        }
    }

    /// How many subjects fit.
    const fn most(self) -> usize {
        match self {
            Self::Lighthouses => 2,
            Self::Planets | Self::Canoes | Self::Tents | Self::Cabins | Self::Cups => 3,
            Self::Balloons | Self::Boats | Self::City | Self::Umbrellas => 5,
            _ => 6,
        }
    }

    /// Whether the scene has a time of day that a prompt would name.
    pub(super) const fn has_time(self) -> bool {
        !matches!(
            self,
            Self::Planets | Self::Fruits | Self::Glass | Self::Fish | Self::Lanterns
        )
    }

    /// Other things that may stand in the scene.
    const fn extras(self) -> &'static [Extra] {
        match self {
            Self::Balloons => &[Extra::Birds, Extra::Castle, Extra::Windmill, Extra::Rainbow],
            Self::Boats => &[Extra::Birds, Extra::Island, Extra::Rainbow],
            Self::Canoes => &[Extra::Birds, Extra::Castle, Extra::Rainbow],
            Self::City | Self::Lanterns => &[Extra::Bridge, Extra::Moon],
            Self::Planets => &[Extra::Rocket, Extra::Comet],
            Self::Fruits | Self::Cups => &[Extra::Candle, Extra::Bottle],
            Self::Lighthouses => &[Extra::Birds, Extra::Rainbow, Extra::Island],
            Self::Tents => &[Extra::Pyramid, Extra::Birds, Extra::Palm],
            Self::Fish => &[Extra::Starfish, Extra::Anchor],
            Self::Cabins => &[Extra::Snowman, Extra::Birds],
            Self::Tulips => &[Extra::Windmill, Extra::Rainbow, Extra::Castle],
            Self::Umbrellas => &[Extra::Lamp, Extra::Bench],
            Self::Glass => &[Extra::Moon, Extra::Heart],
            Self::Mushrooms => &[Extra::Owl, Extra::Bench],
        }
    }

    /// Colours that the subject may have.
    const fn hues(self) -> &'static [Hue] {
        match self {
            Self::Fruits => &[Hue::Red, Hue::Green, Hue::Yellow],
            Self::Lanterns => &[Hue::Red, Hue::Orange, Hue::Yellow, Hue::Pink, Hue::Blue],
            Self::Tulips => &[Hue::Red, Hue::Yellow, Hue::Pink, Hue::Purple, Hue::White],
            Self::Mushrooms => &[Hue::Red, Hue::Orange, Hue::Purple, Hue::Blue, Hue::White],
            _ => &Hue::ALL,
        }
    }
}

/// The colour of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hue {
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Yellow.
    Yellow,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Purple.
    Purple,
    /// Pink.
    Pink,
    /// White.
    White,
}

impl Hue {
    /// Every colour.
    const ALL: [Self; 8] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::White,
    ];

    /// Its word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::White => "white",
        }
    }

    /// Colours that nobody would take for this one.
    fn others(self) -> Vec<Self> {
        let near: &[Self] = match self {
            Self::Red | Self::Yellow => &[Self::Orange, Self::Pink],
            Self::Orange => &[Self::Red, Self::Yellow],
            Self::Blue => &[Self::Purple],
            Self::Purple => &[Self::Blue, Self::Pink],
            Self::Pink => &[Self::Red, Self::Purple, Self::White],
            Self::Green | Self::White => &[],
        };
        Self::ALL
            .into_iter()
            .filter(|hue| *hue != self && !near.contains(hue))
            .collect()
    }
}

/// Time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// First light.
    Dawn,
    /// Full day.
    Day,
    /// Last light.
    Sunset,
    /// Night.
    Night,
}

impl Time {
    /// Every time.
    const ALL: [Self; 4] = [Self::Dawn, Self::Day, Self::Sunset, Self::Night];

    /// As prompts say it.
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            Self::Dawn => "at dawn",
            Self::Day => "on a sunny day",
            Self::Sunset => "at sunset",
            Self::Night => "at night",
        }
    }

    /// As descriptions say it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Dawn => "dawn",
            Self::Day => "daylight",
            Self::Sunset => "sunset",
            Self::Night => "night",
        }
    }
}

/// How the picture is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As a camera would see it.
    Photo,
    /// Flat areas of colour.
    Poster,
    /// Wet paint on rough paper.
    Watercolour,
    /// Dark lines and a pale wash.
    Ink,
    /// Thick strokes.
    Oil,
}

impl Style {
    /// Every style.
    const ALL: [Self; 5] = [
        Self::Photo,
        Self::Poster,
        Self::Watercolour,
        Self::Ink,
        Self::Oil,
    ];

    /// As prompts say it, several ways.
    pub(super) const fn phrases(self) -> &'static [&'static str] {
        match self {
            Self::Photo => &["photorealistic", "realistic photo", "photo"],
            Self::Poster => &["flat poster style", "poster art"],
            Self::Watercolour => &["watercolour style", "watercolour painting"],
            Self::Ink => &["ink drawing", "ink line style"],
            Self::Oil => &["oil painting", "oil on canvas"],
        }
    }

    /// As descriptions and the table say it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Poster => "poster",
            Self::Watercolour => "watercolour",
            Self::Ink => "ink drawing",
            Self::Oil => "oil painting",
        }
    }
}

/// A second thing in the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// Birds in the sky.
    Birds,
    /// A castle.
    Castle,
    /// A windmill.
    Windmill,
    /// A rainbow.
    Rainbow,
    /// A small island with palms.
    Island,
    /// A bridge.
    Bridge,
    /// A full moon.
    Moon,
    /// A rocket.
    Rocket,
    /// A comet.
    Comet,
    /// A candle.
    Candle,
    /// A bottle.
    Bottle,
    /// A pyramid.
    Pyramid,
    /// A palm tree.
    Palm,
    /// A starfish.
    Starfish,
    /// An anchor.
    Anchor,
    /// A snowman.
    Snowman,
    /// A street lamp.
    Lamp,
    /// A bench.
    Bench,
    /// A heart.
    Heart,
    /// An owl.
    Owl,
}

impl Extra {
    /// With its article.
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            Self::Birds => "a flock of birds",
            Self::Castle => "a castle",
            Self::Windmill => "a windmill",
            Self::Rainbow => "a rainbow",
            Self::Island => "a palm island",
            Self::Bridge => "a bridge",
            Self::Moon => "a full moon",
            Self::Rocket => "a rocket",
            Self::Comet => "a comet",
            Self::Candle => "a candle",
            Self::Bottle => "a glass bottle",
            Self::Pyramid => "a pyramid",
            Self::Palm => "a palm tree",
            Self::Starfish => "a starfish",
            Self::Anchor => "an anchor",
            Self::Snowman => "a snowman",
            Self::Lamp => "a street lamp",
            Self::Bench => "a bench",
            Self::Heart => "a heart",
            Self::Owl => "an owl",
        }
    }

    /// Without its article.
    pub(super) fn noun(self) -> &'static str {
        self.phrase().split_once(' ').map_or("", |(_, noun)| noun)
    }
}

/// A number as a word, as prompts and descriptions write it.
pub(super) const fn number(n: usize) -> &'static str {
    match n {
        1 => "one",
        2 => "two",
        3 => "three",
        4 => "four",
        5 => "five",
        6 => "six",
        7 => "seven",
        _ => "many",
    }
}

/// What a prompt asks for, or what a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// Kind of scene.
    pub(super) family: Family,
    /// Number of subjects.
    pub(super) count: usize,
    /// Colour of the subjects.
    pub(super) hue: Hue,
    /// Time of day.
    pub(super) time: Time,
    /// Whether mist lies over it.
    pub(super) misty: bool,
    /// The second thing, if any.
    pub(super) extra: Option<Extra>,
    /// How it is made.
    pub(super) style: Style,
}

impl Facts {
    /// Draws what a prompt asks for.
    pub(super) fn draw(family: Family, dice: &mut Dice) -> Self {
        let time = match family {
            Family::Lanterns | Family::Planets => Time::Night,
            Family::Fruits | Family::Glass | Family::Fish => Time::Day,
            _ => dice.pick(&Time::ALL),
        };
        let extra = dice.chance(0.6).then(|| dice.pick(family.extras()));
        // No rainbow by night, and no moon beside the sun.
        let extra = match (extra, time) {
            (Some(Extra::Rainbow), Time::Night) => None,
            (Some(Extra::Moon), Time::Dawn | Time::Day | Time::Sunset)
                if family == Family::City =>
            {
                Some(Extra::Bridge)
            }
            _ => extra,
        };
        Self {
            family,
            count: 1 + dice.below(family.most()),
            hue: dice.pick(family.hues()),
            time,
            misty: family.has_time() && !matches!(family, Family::Cups) && dice.chance(0.25),
            extra,
            style: if family == Family::Glass || dice.chance(0.3) {
                Style::Photo
            } else {
                dice.pick(&Style::ALL)
            },
        }
    }

    /// The subjects with number and colour: "three red tulips".
    pub(super) fn subjects(&self) -> String {
        format!("{} {}", number(self.count), self.coloured())
    }

    /// The subjects with their colour: "red tulips".
    pub(super) fn coloured(&self) -> String {
        format!("{} {}", self.hue.word(), self.noun())
    }

    /// The subjects' noun in the right number.
    pub(super) const fn noun(&self) -> &'static str {
        let (one, many) = self.family.noun();
        if self.count == 1 { one } else { many }
    }

    /// The prompt in words, with one of several wordings.
    pub(super) fn prompt(&self, dice: &mut Dice) -> String {
        let subjects = match (self.count, dice.chance(0.5)) {
            (1, true) => {
                let article = if self.hue == Hue::Orange { "an" } else { "a" };
                format!("{article} {}", self.coloured())
            }
            _ => self.subjects(),
        };
        let mut text = format!("{subjects} {}", dice.pick(self.family.places()));
        if self.family.has_time() {
            text += " ";
            text += self.time.phrase();
        }
        if self.misty {
            text += dice.pick(&[", mist", " in the mist", ", misty air"]);
        }
        if let Some(extra) = self.extra {
            text += dice.pick(&[", with ", " and "]);
            text += extra.phrase();
        }
        if self.family != Family::Glass {
            text += ", ";
            text += dice.pick(self.style.phrases());
        }
        text
    }

    /// With another number of subjects; `strength` says how far off.
    pub(super) fn with_other_count(mut self, strength: f32, dice: &mut Dice) -> Self {
        let off = if strength > 0.66 {
            3
        } else {
            1 + usize::from(strength > 0.4)
        };
        let most = self.family.most() + 1;
        let down = self.count > off;
        let up = self.count + off <= most;
        self.count = match (down, up) {
            (true, true) if dice.chance(0.5) => self.count - off,
            (_, true) => self.count + off,
            (true, false) => self.count - off,
            (false, false) if self.count > 1 => self.count - 1,
            (false, false) => self.count + 1,
        };
        self
    }

    /// With a colour that nobody would take for the one asked for.
    pub(super) fn with_other_hue(mut self, dice: &mut Dice) -> Self {
        self.hue = dice.pick(&self.hue.others());
        self
    }

    /// With another second thing in place of the one asked for.
    pub(super) fn with_other_extra(mut self, dice: &mut Dice) -> Self {
        let others: Vec<Extra> = self
            .family
            .extras()
            .iter()
            .copied()
            .filter(|extra| Some(*extra) != self.extra)
            .collect();
        self.extra = Some(dice.pick(&others));
        self
    }

    /// At a time of day far from the one asked for.
    pub(super) fn with_other_time(mut self, dice: &mut Dice) -> Self {
        self.time = match self.time {
            Time::Night => dice.pick(&[Time::Day, Time::Sunset]),
            Time::Day => dice.pick(&[Time::Night, Time::Sunset]),
            Time::Dawn | Time::Sunset => dice.pick(&[Time::Night, Time::Day]),
        };
        self
    }

    /// Made in another style.
    pub(super) fn with_other_style(mut self, dice: &mut Dice) -> Self {
        let others: Vec<Style> = Style::ALL
            .into_iter()
            .filter(|style| *style != self.style)
            .filter(|style| !matches!((self.style, style), (Style::Oil, Style::Photo)))
            .collect();
        self.style = dice.pick(&others);
        self
    }
}
