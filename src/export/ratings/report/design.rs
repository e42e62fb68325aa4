//! How the study was made: design, conditions, and how its figures are computed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::dates::date_and_time;
use super::html::Cell;
use super::html::Page;
use super::html::number;
use crate::domain::Method;
use crate::domain::Protocol;
use crate::domain::Vote;
use crate::domain::grouped;
use crate::domain::study::Presentation;
use crate::domain::study::standing;
use crate::export::ratings::StudyRecord;
use crate::export::ratings::analysis::median;
use crate::stats::raters::Screening;

/// The method as the recommendations name it.
pub(super) const fn method_name(method: Method) -> &'static str {
    match method {
        Method::Acr5 => "Absolute category rating (ACR) on five categories",
        Method::Continuous => "Absolute rating on a continuous scale",
        Method::Pairs => "Pair comparison (PC) within one prompt",
    }
}

fn scale_words(method: Method) -> String {
    match method {
        Method::Acr5 => {
            let words = Method::WORDS.iter().zip(1..);
            let words: Vec<String> = words
                .map(|(word, number)| format!("{number} {word}"))
                .collect();
            words.join(", ")
        }
        Method::Continuous => format!("{} in steps of {}", method.scale(), method.step()),
        Method::Pairs => "left, right, or a tie".to_owned(),
    }
}

/// The design of the study.
pub(super) fn section(page: &mut Page, record: &StudyRecord<'_>) {
    let protocol = &record.study.protocol;
    page.section("Study design");
    let mut facts = vec![
        ("Method", method_name(protocol.method).to_owned()),
        ("Scale", scale_words(protocol.method)),
        ("Questions", questions(protocol)),
        ("Pictures", pictures(record)),
        ("Raters", raters(record)),
        ("Presentation", presentation(protocol)),
        ("Order", order(record)),
        ("Training", training(record)),
        ("Hidden repeats", repeats(protocol)),
        ("Sessions and breaks", sessions(record)),
    ];
    if !protocol.instructions.trim().is_empty() {
        facts.push(("Instructions", protocol.instructions.trim().to_owned()));
    }
    facts.push(("Record", votes(record)));
    facts.push(("Protocol", format!("SHA-256 {}", record.study.hash)));
    page.facts(&facts);
}

fn questions(protocol: &Protocol) -> String {
    let lines: Vec<String> = protocol
        .aspects
        .iter()
        .map(|aspect| {
            let prompt = if *protocol.hide_prompt.get(*aspect) {
                "prompt hidden"
            } else {
                "prompt shown"
            };
            format!(
                "{}: \u{201c}{}\u{201d} ({prompt})",
                aspect.title(),
                protocol.questions.get(*aspect)
            )
        })
        .collect();
    lines.join("\n")
}

fn pictures(record: &StudyRecord<'_>) -> String {
    let protocol = &record.study.protocol;
    if record.study.is_quick {
        return "open list: whatever raters looked at".to_owned();
    }
    let rated = protocol.rated_pictures();
    let prompts: BTreeSet<&str> = rated.iter().map(|picture| picture.prompt.trim()).collect();
    format!(
        "{} pictures of {} prompts from {}",
        grouped(rated.len()),
        grouped(prompts.len()),
        record.dataset
    )
}

fn raters(record: &StudyRecord<'_>) -> String {
    let standing = standing(record.votes.iter().copied());
    let names: BTreeSet<&str> = standing.iter().map(|vote| vote.rater.as_str()).collect();
    match record.study.protocol.num_raters {
        0 => format!("{} took part", grouped(names.len())),
        planned => format!(
            "{} were planned, {} took part",
            grouped(planned),
            grouped(names.len())
        ),
    }
}

fn presentation(protocol: &Protocol) -> String {
    let size = match protocol.presentation {
        Presentation::OneToOne => "one picture pixel on one screen pixel".to_owned(),
        Presentation::Fixed { height_px } => format!("{height_px} screen pixels high"),
    };
    format!(
        "{size}, on neutral grey, at least {} s before an answer is taken",
        number(f64::from(protocol.min_dwell_ms) / 1000.0, 1)
    )
}

fn order(record: &StudyRecord<'_>) -> String {
    let protocol = &record.study.protocol;
    if record.study.is_quick {
        return "none: pictures came up as raters went through them".to_owned();
    }
    let aspects = if protocol.aspects.len() > 1 {
        " Aspects were asked one after the other, in an order of the rater's own."
    } else {
        ""
    };
    match protocol.method {
        Method::Pairs => format!(
            "chosen vote by vote: the least compared pictures first, then the pair whose outcome was least certain; \
             sides balanced. {} comparisons a rater and aspect, seed {}.{aspects}",
            protocol.pairs_per_rater, protocol.seed
        ),
        Method::Acr5 | Method::Continuous => format!(
            "random for each rater, drawn from the protocol and the rater's name (seed {}); no prompt twice in a row \
             where that can be avoided.{aspects}",
            protocol.seed
        ),
    }
}

fn training(record: &StudyRecord<'_>) -> String {
    let protocol = &record.study.protocol;
    let num_votes = standing(record.votes.iter().copied())
        .iter()
        .filter(|vote| vote.is_training)
        .count();
    if protocol.num_discarded_training == 0 && protocol.training.is_empty() {
        return "none".to_owned();
    }
    let num = protocol.num_discarded_training.max(protocol.training.len());
    let of = match protocol.training.len() {
        0 => "of pictures of the study before their turn".to_owned(),
        training if training >= num => "of pictures for training alone".to_owned(),
        training => format!("{training} of them of pictures for training alone"),
    };
    let each = match protocol.aspects.len() {
        1 => "",
        _ => " of each aspect",
    };
    format!(
        "{num} presentations at the beginning{each} do not count, {of}; {} such votes",
        grouped(num_votes)
    )
}

fn repeats(protocol: &Protocol) -> String {
    if protocol.repeat_share <= 0.0 {
        return "none".to_owned();
    }
    format!(
        "{} % of pictures came a second time, at least {} trials after the first; these votes measure the rater and \
         count for no picture",
        number(100.0 * protocol.repeat_share, 1),
        protocol.repeat_gap
    )
}

fn sessions(record: &StudyRecord<'_>) -> String {
    let protocol = &record.study.protocol;
    let planned = if protocol.session_minutes == 0 {
        "no limit".to_owned()
    } else {
        format!(
            "at most {} min, then a break of at least {} s",
            protocol.session_minutes, protocol.break_seconds
        )
    };
    let mut by_session: BTreeMap<(&str, u32), (i64, i64)> = BTreeMap::new();
    for vote in standing(record.votes.iter().copied()) {
        let span = by_session
            .entry((&vote.rater, vote.session))
            .or_insert((vote.shown_at, vote.voted_at));
        span.0 = span.0.min(vote.shown_at);
        span.1 = span.1.max(vote.voted_at);
    }
    let mut minutes: Vec<f64> = by_session
        .values()
        .map(|(start, end)| (end - start) as f64 / 60_000.0)
        .collect();
    if minutes.is_empty() {
        return planned;
    }
    let longest = minutes.iter().copied().fold(0.0, f64::max);
    format!(
        "{planned}. {} sessions were held, {} min long in the median and {} min at most",
        minutes.len(),
        number(median(&mut minutes), 1),
        number(longest, 1)
    )
}

fn votes(record: &StudyRecord<'_>) -> String {
    let standing = standing(record.votes.iter().copied());
    let num_back = record
        .votes
        .iter()
        .filter(|vote| vote.undo_of.is_some())
        .count();
    let count = |is_meant: fn(&Vote) -> bool| standing.iter().filter(|vote| is_meant(vote)).count();
    let first = standing.iter().map(|vote| vote.shown_at).min();
    let last = standing.iter().map(|vote| vote.voted_at).max();
    let times = match first.zip(last) {
        // Ratings that came from a table have no time.
        Some((first, last)) if first > 0 => {
            format!(
                ", given from {} to {}",
                date_and_time(first),
                date_and_time(last)
            )
        }
        Some((_, last)) if last > 0 => format!(", the last on {}", date_and_time(last)),
        _ => String::new(),
    };
    format!(
        "{} votes stand{times}: {} count, {} are training, {} hidden repeats. {} were taken back by their raters and \
         are kept in the record.",
        grouped(standing.len()),
        grouped(count(|vote| !vote.is_training && !vote.is_repeat)),
        grouped(count(|vote| vote.is_training)),
        grouped(count(|vote| vote.is_repeat && !vote.is_training)),
        grouped(num_back),
    )
}

/// Size in pixels, pixels a point, and the program's version.
type Screen<'a> = ([u32; 2], String, &'a str);

/// What was recorded of screens, and room for what a program cannot know.
pub(super) fn conditions(page: &mut Page, record: &StudyRecord<'_>) {
    page.section("Viewing conditions");
    let mut screens: BTreeMap<Screen<'_>, (BTreeSet<&str>, usize)> = BTreeMap::new();
    let standing = standing(record.votes.iter().copied());
    for vote in &standing {
        let key = (
            vote.screen_px,
            number(vote.dpi_scale, 2),
            vote.app_version.as_str(),
        );
        let (raters, num_votes) = screens.entry(key).or_default();
        raters.insert(&vote.rater);
        *num_votes += 1;
    }
    let rows: Vec<Vec<Cell>> = screens
        .into_iter()
        .map(|((size, dpi_scale, version), (raters, num_votes))| {
            vec![
                Cell::Text(screen_words(size)),
                Cell::Number(dpi_scale),
                Cell::text(version),
                Cell::number(raters.len()),
                Cell::number(num_votes),
            ]
        })
        .collect();
    if !rows.is_empty() {
        page.table(
            &[
                "Screen (pixels)",
                "Pixels a point",
                "Program version",
                "Raters",
                "Votes",
            ],
            &rows,
        );
        let num_zoomed = standing.iter().filter(|vote| vote.zoom_max > 1.0).count();
        page.paragraph(&format!(
            "A picture was magnified beyond one screen pixel a picture pixel for {} of {} votes.",
            grouped(num_zoomed),
            grouped(standing.len())
        ));
        shrunk(page, record.study.protocol.presentation, &standing);
    }
    page.paragraph("To be filled in by whoever ran the study; no program can record it:");
    page.raw("<dl>\n");
    for name in [
        "Display model",
        "Peak luminance, colour space",
        "Viewing distance",
        "Room illumination",
        "Acuity and colour vision tests",
        "Age and expertise of raters",
    ] {
        page.raw(&format!(
            "<dt>{name}</dt><dd><span class=\"blank\"></span></dd>\n"
        ));
    }
    page.raw("</dl>\n");
}

/// How often the window was too small for the size that the protocol asks for.
fn shrunk(page: &mut Page, presentation: Presentation, standing: &[&Vote]) {
    if presentation != Presentation::OneToOne {
        return;
    }
    // Zero is a vote that came from a table.
    let is_shrunk = |vote: &&&Vote| vote.zoom_max > 0.0 && vote.zoom_max < 0.999;
    let num = standing.iter().filter(is_shrunk).count();
    if num > 0 {
        page.note(&format!(
            "For {} of {} votes the window was too small for one screen pixel a picture pixel, and the picture was \
             shown smaller.",
            grouped(num),
            grouped(standing.len())
        ));
    }
}

fn screen_words(size: [u32; 2]) -> String {
    match size {
        [0, 0] => "not recorded".to_owned(),
        [width, height] => format!("{width} x {height}"),
    }
}

/// How the figures are computed, and after whom.
pub(super) fn methods(page: &mut Page, method: Method, screening: Screening) {
    page.section("How the figures are computed");
    if method == Method::Pairs {
        page.facts(&[
            (
                "Strength",
                "Bradley-Terry by maximum likelihood: a picture beats another with probability \
                 1 / (1 + exp(other - own)). Strengths of a prompt sum to 0. A tie is half a win of either."
                    .to_owned(),
            ),
            (
                "Interval",
                "1.95996 standard errors from the inverse of the information matrix.".to_owned(),
            ),
            (
                "Added ties",
                "Where a picture won or lost every comparison, plain strengths are not finite; one tie is then added \
                 to every pair that was compared, and the prompt says so."
                    .to_owned(),
            ),
        ]);
        return;
    }
    page.facts(&[
        (
            "MOS",
            "The mean of the votes that count; its 95 % confidence interval is 1.95996 s / sqrt(n), s with n - 1 \
             (ITU-R BT.500, ITU-T P.910)."
                .to_owned(),
        ),
        ("Screening", screening_words(screening).to_owned()),
        (
            "ICC(2,k)",
            "Reliability of the mean of all raters, two-way random effects, absolute agreement (Shrout and Fleiss, \
             1979); only pictures that every rater rated count."
                .to_owned(),
        ),
        (
            "Krippendorff's alpha",
            "Agreement of single raters beyond chance, interval scale; missing ratings are allowed.".to_owned(),
        ),
        (
            "Repeats",
            "Mean absolute difference and rank correlation (test-retest SRCC) of the scores that a rater gave the \
             same picture at first sight and at the hidden repeat."
                .to_owned(),
        ),
    ]);
}

const fn screening_words(screening: Screening) -> &'static str {
    match screening {
        Screening::None => "None: the mean of all raters.",
        Screening::Bt500 => {
            "ITU-R BT.500: a rater is rejected who stands far off (2 standard deviations where the kurtosis of the \
             picture's votes is 2 to 4, sqrt(20) elsewhere) for more than 5 % of pictures, above and below about as \
             often. If all would be rejected, none is."
        }
        Screening::P913Bias => {
            "ITU-T P.913, clause 12.4: each rater's mean distance from the panel is taken off the rater's votes, then \
             the mean is taken again."
        }
        Screening::Correlation => {
            "A rater is rejected whose correlation with the panel's means is not above min(0.7, mean - standard \
             deviation of all raters' correlations)."
        }
        Screening::P910AnnexE => {
            "ITU-T P.910 annex E: scores, each rater's bias and each rater's inconsistency are estimated together; a \
             rater weighs by the inverse square of the inconsistency, and nobody is rejected; relative weights are those \
             beside the most consistent rater, who has 1. The interval is 1.95996 \
             times the standard deviation of the score that the picture's residuals give."
        }
    }
}
