//! Descriptions in complete sentences, as a careful teacher would write them: what is wrong where something was
//! planted, what is right where nothing was.

use crate::domain::Aspect;

use super::defects::Defect;
use super::defects::Planted;
use super::dice::Dice;
use super::scene::Extra;
use super::scene::Facts;
use super::scene::Family;
use super::scene::Style;
use super::scene::Time;
use super::scene::number;

/// The description of a picture under one aspect.
pub(super) fn describe(
    aspect: Aspect,
    asked: &Facts,
    shown: &Facts,
    planted: &[Planted],
    dice: &mut Dice,
) -> String {
    let wrong: Vec<Planted> = planted
        .iter()
        .copied()
        .filter(|p| p.defect.aspect() == aspect)
        .collect();
    let sentences = match aspect {
        Aspect::Quality => quality(shown, &wrong, dice),
        Aspect::Correspondence => correspondence(asked, shown, &wrong, dice),
        Aspect::Authenticity => authenticity(shown, &wrong, dice),
    };
    sentences.join(" ")
}

/// How much is lost: nothing, little, something, much, nearly everything.
fn loss(wrong: &[Planted]) -> usize {
    let cost: f64 = wrong.iter().map(|p| p.cost()).sum();
    match cost {
        c if c <= 0.0 => 0,
        c if c < 1.2 => 1,
        c if c < 2.2 => 2,
        c if c < 3.4 => 3,
        _ => 4,
    }
}

/// Fills a sentence: {subject}, {is}, {it}, {setting}, {how} (slightly), {adj} (slight), {Adj}, {style}, {time}.
fn fill(sentence: &str, shown: &Facts, grade: usize) -> String {
    let many = shown.count > 1;
    let how = ["slightly", "clearly", "strongly"][grade];
    let adj = ["slight", "clear", "strong"][grade];
    let capital = ["Slight", "Clear", "Strong"][grade];
    sentence
        .replace("{subject}", shown.noun())
        .replace("{is}", if many { "are" } else { "is" })
        .replace("{has}", if many { "have" } else { "has" })
        .replace("{looks}", if many { "look" } else { "looks" })
        .replace("{setting}", shown.family.setting())
        .replace("{style}", shown.style.word())
        .replace("{time}", shown.time.word())
        .replace("{how}", how)
        .replace("{adj}", adj)
        .replace("{Adj}", capital)
}

/// A first sentence about quality, by how much is lost.
const fn quality_opening(loss: usize) -> &'static [&'static str] {
    match loss {
        0 => &[
            "The image is clean and well made.",
            "The visual quality of this image is high.",
            "This is a crisp and carefully made picture.",
            "The picture is of high quality throughout.",
        ],
        1 => &[
            "The image is mostly clean, with one small flaw.",
            "The visual quality is high on the whole, with a small weakness.",
            "The picture is well made, but not quite clean.",
        ],
        2 => &[
            "The visual quality is mixed.",
            "The image has a visible flaw that lowers its quality.",
            "The picture is usable, but its quality suffers.",
        ],
        3 => &[
            "The visual quality is low.",
            "The image is spoiled by a serious flaw.",
            "The quality of the picture is weak.",
        ],
        _ => &[
            "The visual quality is very low.",
            "The image is heavily damaged.",
            "Very little of the quality is left in this picture.",
        ],
    }
}

/// What is wrong, in one sentence of one form: the same names in the same order for the same defects. A small model that
/// always writes the likeliest word can only name what its doubts are not spread over many wordings of.
fn lead(aspect: Aspect, wrong: &[Planted]) -> String {
    let nothing = match aspect {
        Aspect::Authenticity => "no unnatural part",
        _ => "no flaw",
    };
    let present = Defect::visible().filter(|defect| wrong.iter().any(|p| p.defect == *defect));
    let names: Vec<&str> = present.map(flaw).collect();
    let list = match names.split_last() {
        None => nothing.to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    };
    format!("This picture suffers from {list}.")
}

/// A defect as a noun; no two begin with the same word.
const fn flaw(defect: Defect) -> &'static str {
    match defect {
        Defect::Blur => "blur",
        Defect::Noise => "noise",
        Defect::Blocking => "blocking",
        Defect::Ringing => "halos",
        Defect::Cast => "a colour cast",
        Defect::Overexposed => "overexposed areas",
        Defect::Underexposed => "underexposed areas",
        Defect::LowResolution => "low resolution",
        Defect::Banding => "banding",
        Defect::Warped => "warped shapes",
        Defect::Doubled => "doubled parts",
        Defect::Repeating => "repeating texture",
        Defect::Melted => "melted parts",
        Defect::Shadows => "impossible shadows",
        _ => "",
    }
}

/// Sharpness, noise, light, colour, composition.
fn quality(shown: &Facts, wrong: &[Planted], dice: &mut Dice) -> Vec<String> {
    let opening = dice.pick(quality_opening(loss(wrong)));
    let mut text = vec![lead(Aspect::Quality, wrong), opening.to_owned()];
    for p in wrong {
        text.push(fill(dice.pick(fault(p.defect)), shown, p.grade()));
    }
    let good = strengths(wrong);
    // A clean picture gets a sentence about its composition anyway.
    let good = if wrong.is_empty() {
        &good[1..]
    } else {
        &good[..]
    };
    text.push(fill(dice.pick(good), shown, 0));
    if wrong.is_empty() {
        text.push(fill(
            dice.pick(&[
                "The composition is balanced and the {subject} {is} easy to see.",
                "The composition leads the eye to the {subject}.",
                "The {subject} and the {setting} form a calm composition.",
            ]),
            shown,
            0,
        ));
    } else if wrong.len() == 1 && dice.chance(0.5) {
        text.push(fill(dice.pick(closing(wrong)), shown, 0));
    }
    text
}

/// A last sentence of a quality description.
fn closing(wrong: &[Planted]) -> &'static [&'static str] {
    match loss(wrong) {
        0 | 1 => &[
            "This hardly disturbs the view.",
            "The picture is still pleasant to look at.",
        ],
        2 => &[
            "This disturbs the view of the {subject}.",
            "The eye notices it at once.",
        ],
        _ => &[
            "Much of the detail is lost because of it.",
            "It is hard to enjoy the picture.",
        ],
    }
}

/// Things that are right about the quality and are not touched by what is wrong.
fn strengths(wrong: &[Planted]) -> Vec<&'static str> {
    let has = |list: &[Defect]| wrong.iter().any(|p| list.contains(&p.defect));
    let mut good = vec!["The composition is clear and the {subject} {is} well placed."];
    let structure = [
        Defect::Blur,
        Defect::LowResolution,
        Defect::Blocking,
        Defect::Noise,
        Defect::Ringing,
    ];
    let tone = [
        Defect::Overexposed,
        Defect::Underexposed,
        Defect::Cast,
        Defect::Banding,
    ];
    if !has(&structure) {
        good.extend([
            "Edges are sharp and the {subject} {has} fine detail.",
            "The {subject} and the {setting} are sharp and free of grain.",
        ]);
    }
    if !has(&tone) {
        good.extend([
            "The lighting is even and the colours are rich.",
            "The colours are natural and the lighting is pleasant.",
            "The tones are smooth and the contrast is well chosen.",
        ]);
    }
    good
}

/// Sentences about one defect of quality or authenticity.
fn fault(defect: Defect) -> &'static [&'static str] {
    match defect {
        Defect::Blur => &[
            "The whole picture is {how} blurred and edges look soft.",
            "{Adj} blur takes the detail from the {subject}.",
            "The {subject} {is} {how} blurry and out of focus.",
        ],
        Defect::Noise => &[
            "{Adj} noise covers the {setting} and the {subject}.",
            "The image shows {adj} noise, with coloured specks in smooth areas.",
            "There is {adj} noise all over the picture.",
        ],
        Defect::Blocking => &[
            "{Adj} square blocks from compression are visible.",
            "The image is {how} compressed and breaks into small blocks.",
            "Smooth areas show {adj} blocky compression.",
        ],
        Defect::Ringing => &[
            "Edges have {adj} halos from too much sharpening.",
            "The picture is {how} oversharpened, with bright halos around the {subject}.",
            "{Adj} halos run along the edges of the {subject}.",
        ],
        Defect::Cast => &[
            "A {adj} colour cast lies over the whole image.",
            "The colours are {how} wrong because of a colour cast.",
            "The picture has a {adj} cast that hides the natural colours.",
        ],
        Defect::Overexposed => &[
            "The image is {how} overexposed and bright areas lose detail.",
            "The picture is {how} overexposed, so the light looks washed out.",
        ],
        Defect::Underexposed => &[
            "The image is {how} underexposed and dark areas lose detail.",
            "The picture is {how} underexposed, so the {subject} {is} hard to see.",
        ],
        Defect::LowResolution => &[
            "The resolution is {how} too low and single pixels are visible.",
            "{Adj} pixel steps show a low resolution.",
            "The {subject} {looks} {how} pixelated because of the low resolution.",
        ],
        Defect::Banding => &[
            "{Adj} banding cuts smooth tones into steps.",
            "There is {adj} banding where the tones should be smooth.",
        ],
        Defect::Warped => &[
            "A part of the {subject} is {how} warped.",
            "The shape of the {subject} is {how} warped and twisted.",
            "{Adj} warping bends the outline of the {subject}.",
        ],
        Defect::Doubled => &[
            "A part of the {subject} is {how} doubled.",
            "The {subject} {has} a {adj} doubled outline, as if shown twice.",
        ],
        Defect::Repeating => &[
            "A texture repeats {how} in a way that is not natural.",
            "{Adj} repeating patches fill a part of the picture.",
            "The same small piece is repeated over and over, which is {how} artificial.",
        ],
        Defect::Melted => &[
            "The lower part of the {subject} is {how} melted.",
            "The {subject} {looks} {how} melted, as if running down in drips.",
            "{Adj} melting breaks the structure of the {subject}.",
        ],
        Defect::Shadows => &[
            "The {subject} {has} {how} impossible shadows that fall two ways.",
            "{Adj} shadows fall in two directions, which no light can do.",
        ],
        _ => &[""],
    }
}

/// A last sentence about the match, by how much is lost.
const fn match_closing(loss: usize) -> &'static [&'static str] {
    match loss {
        0 => &[
            "Everything that the prompt asks for is there.",
            "The image follows the prompt closely.",
            "The match with the prompt is complete.",
        ],
        1 => &[
            "Most of the prompt is followed.",
            "The image follows the prompt with one small error.",
        ],
        2 => &[
            "The prompt is followed only in part.",
            "The match with the prompt is partial.",
        ],
        3 => &[
            "Much of the prompt is not followed.",
            "The match with the prompt is weak.",
        ],
        _ => &[
            "The image hardly follows the prompt.",
            "There is almost no match with the prompt.",
        ],
    }
}

/// What the prompt asked for and what is shown.
fn correspondence(asked: &Facts, shown: &Facts, wrong: &[Planted], dice: &mut Dice) -> Vec<String> {
    let mut text = Vec::new();
    let seen = shown.subjects();
    text.push(match dice.below(3) {
        0 => format!("The picture shows {seen}."),
        1 => format!("We see {seen} in the image."),
        _ if shown.family == Family::Glass => format!("The image shows {seen}."),
        _ => format!("The image shows {seen} as {}.", with_article(shown.style)),
    });
    for p in wrong {
        text.push(mismatch(p.defect, asked, shown, dice));
    }
    let kept = kept(asked, shown, wrong, dice);
    if !kept.is_empty() {
        let list = join(&kept);
        let is = if kept.len() > 1 || (kept[0] == shown.coloured() && shown.count > 1) {
            "are"
        } else {
            "is"
        };
        let do_match = if is == "are" { "match" } else { "matches" };
        text.push(match dice.below(3) {
            0 => format!("The {list} {is} as asked."),
            1 => format!("The {list} {do_match} the prompt."),
            _ => format!("The {list} {is} correct."),
        });
    }
    text.push(dice.pick(match_closing(loss(wrong))).to_owned());
    text
}

/// The style as a noun with its article.
const fn with_article(style: Style) -> &'static str {
    match style {
        Style::Photo => "a photo",
        Style::Poster => "a poster",
        Style::Watercolour => "a watercolour",
        Style::Ink => "an ink drawing",
        Style::Oil => "an oil painting",
    }
}

/// Which of two wordings of a sentence.
#[derive(Clone, Copy)]
enum Wording {
    First,
    Second,
}

/// A sentence about one respect in which the picture is not what was asked.
fn mismatch(defect: Defect, asked: &Facts, shown: &Facts, dice: &mut Dice) -> String {
    let second = dice.chance(0.5);
    let extra = |facts: &Facts| facts.extra.map_or("nothing", |extra| extra.phrase());
    match defect {
        Defect::WrongCount | Defect::WrongColour => subject_mismatch(
            defect,
            asked,
            shown,
            if second {
                Wording::First
            } else {
                Wording::Second
            },
        ),
        Defect::MissingObject if second => {
            let noun = asked.extra.map_or("object", Extra::noun);
            format!("The {noun} is missing.")
        }
        Defect::MissingObject => format!(
            "The prompt also asks for {}, which is missing.",
            extra(asked)
        ),
        Defect::WrongObject if second => {
            format!("There is {} in place of {}.", extra(shown), extra(asked))
        }
        Defect::WrongObject => format!("We find {} in place of {}.", extra(shown), extra(asked)),
        Defect::WrongTime => {
            let (has, want) = (shown.time.word(), asked.time.word());
            if second {
                format!("The time of day is wrong, since it is {has} and not {want}.")
            } else {
                format!("The time of day should be {want}, but the light is that of {has}.")
            }
        }
        Defect::WrongStyle => {
            let (has, want) = (with_article(shown.style), with_article(asked.style));
            if second {
                format!("The style is that of {has} and not of {want}.")
            } else {
                format!("The style is wrong, as the prompt asks for {want} and the image is {has}.")
            }
        }
        _ => {
            let noun = asked.coloured();
            if second {
                format!("The image does not show the {noun} that the prompt asks for.")
            } else {
                format!("It does not show any {noun}.")
            }
        }
    }
}

/// A sentence about a wrong number or colour of the subjects.
fn subject_mismatch(defect: Defect, asked: &Facts, shown: &Facts, wording: Wording) -> String {
    let (is, noun) = (if shown.count == 1 { "is" } else { "are" }, shown.noun());
    let (n, wanted) = (number(shown.count), number(asked.count));
    let (has, want) = (shown.hue.word(), asked.hue.word());
    match (defect, wording) {
        (Defect::WrongCount, Wording::First) => {
            format!("There {is} {n} {noun} instead of {wanted}.")
        }
        (Defect::WrongCount, Wording::Second) => {
            format!("The number is wrong, with {n} {noun} instead of {wanted}.")
        }
        (_, Wording::First) => format!("The {noun} {is} {has}, but the colour should be {want}."),
        (_, Wording::Second) => format!("The colour of the {noun} is {has} and not {want}."),
    }
}

/// Parts of the prompt that the picture keeps, at most three, as nouns.
fn kept(asked: &Facts, shown: &Facts, wrong: &[Planted], dice: &mut Dice) -> Vec<String> {
    let has = |defect: Defect| wrong.iter().any(|p| p.defect == defect);
    if has(Defect::WrongSubject) {
        return Vec::new();
    }
    let first = match (has(Defect::WrongCount), has(Defect::WrongColour)) {
        (false, false) => Some(shown.coloured()),
        (false, true) => Some(format!("number of {}", shown.family.noun().1)),
        (true, false) => Some(format!("{} tone", shown.hue.word())),
        (true, true) => None,
    };
    let mut others = vec![shown.family.setting().to_owned()];
    if let (Some(extra), true) = (shown.extra, shown.extra == asked.extra) {
        others.push(extra.noun().to_owned());
    }
    if asked.family.has_time() && !has(Defect::WrongTime) {
        others.push(match asked.time {
            Time::Dawn => "dawn light".to_owned(),
            Time::Day => "daylight".to_owned(),
            Time::Sunset => "sunset light".to_owned(),
            Time::Night => "night sky".to_owned(),
        });
    }
    if asked.family != Family::Glass && !has(Defect::WrongStyle) {
        others.push(format!("{} style", asked.style.word()));
    }
    dice.shuffle(&mut others);
    others.truncate(2);
    first.into_iter().chain(others).collect()
}

/// "a, b and c".
fn join(items: &[String]) -> String {
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and the {last}", rest.join(", the ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// A first sentence about authenticity, by how much is lost.
const fn authenticity_opening(loss: usize) -> &'static [&'static str] {
    match loss {
        0 => &[
            "The image looks natural and believable.",
            "Nothing in the image looks artificial.",
            "This could be a real {style}.",
            "The picture looks authentic.",
        ],
        1 => &[
            "The image looks natural at first sight.",
            "The picture is mostly believable.",
            "Almost everything looks authentic.",
        ],
        2 => &[
            "The image looks natural only in part.",
            "The picture is not quite believable.",
            "Some of the image looks artificial.",
        ],
        3 => &[
            "The image looks artificial.",
            "The picture is not believable.",
            "It is easy to see that the image was generated.",
        ],
        _ => &[
            "The image looks very artificial.",
            "The picture is broken and not believable at all.",
            "Nobody would take this image for a real {style}.",
        ],
    }
}

/// Whether it could pass for something that nobody generated.
fn authenticity(shown: &Facts, wrong: &[Planted], dice: &mut Dice) -> Vec<String> {
    let opening = dice.pick(authenticity_opening(loss(wrong)));
    let mut text = vec![lead(Aspect::Authenticity, wrong), fill(opening, shown, 0)];
    for p in wrong {
        text.push(fill(dice.pick(fault(p.defect)), shown, p.grade()));
    }
    let has = |defect: Defect| wrong.iter().any(|p| p.defect == defect);
    let mut good = Vec::new();
    if !has(Defect::Warped) && !has(Defect::Melted) && !has(Defect::Doubled) {
        good.push("The {subject} {has} a natural shape and a firm structure.");
        good.push("The proportions of the {subject} are right.");
    }
    if !has(Defect::Repeating) {
        good.push("The texture of the {setting} varies naturally.");
    }
    if !has(Defect::Shadows) {
        good.push("The light falls from one side and fits the scene.");
    }
    let first = dice.pick(&good);
    text.push(fill(first, shown, 0));
    if wrong.is_empty() {
        good.retain(|sentence| *sentence != first);
        text.push(fill(dice.pick(&good), shown, 0));
    }
    text
}
