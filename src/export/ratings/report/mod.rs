//! The study report: one HTML page that stands alone, needs no script and prints well.
//!
//! It says what ITU-T P.910 asks to be reported: method and scale, pictures, raters and their number, order, sessions,
//! viewing conditions, training, screening with its result, scores with intervals, and how far raters agree.

mod charts;
mod dates;
mod design;
mod html;
mod pairs;
mod pictures;
mod raters;

use std::io::Write;

use super::RatingsRequest;
use super::StudyRecord;
use super::analysis::Analysis;
use super::analysis::analyse;
use crate::domain::Aspect;
use crate::domain::Method;
use crate::domain::grouped;
use crate::domain::study::standing;
use crate::export::write::ExportError;
use html::Page;

/// Look of the page.
const STYLE: &str = include_str!("style.css");

/// Writes the report. Answers the number of pictures that it lists.
pub(super) fn write(
    record: &StudyRecord<'_>,
    request: RatingsRequest,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    let asked = &record.study.protocol.aspects;
    let aspects: Vec<Aspect> = match request.aspect {
        Some(aspect) if !asked.contains(&aspect) => {
            return Err(ExportError::Study(format!(
                "the study did not ask for {aspect}: choose one of its aspects"
            )));
        }
        Some(aspect) => vec![aspect],
        // Quick rating may ask for all three; what nobody answered needs no page.
        None if record.study.is_quick => asked
            .iter()
            .copied()
            .filter(|aspect| record.votes.iter().any(|vote| vote.aspect == *aspect))
            .collect(),
        None => asked.clone(),
    };
    let analyses: Vec<Analysis> = aspects
        .into_iter()
        .map(|aspect| analyse(record, aspect, request.screening))
        .collect();
    let mut page = Page::default();
    front(&mut page, record, &analyses, request.now);
    design::section(&mut page, record);
    design::conditions(&mut page, record);
    for analysis in &analyses {
        if record.study.protocol.method == Method::Pairs {
            pairs::section(&mut page, record, analysis);
        } else {
            scores(&mut page, record, analysis);
        }
    }
    design::methods(&mut page, record.study.protocol.method, request.screening);
    let title = format!("{} - study report", record.study.protocol.name);
    sink.write_all(page.document(&title, STYLE).as_bytes())?;
    let num_listed = |analysis: &Analysis| {
        if record.study.protocol.method == Method::Pairs {
            analysis
                .scenes
                .iter()
                .map(|scene| scene.pictures.len())
                .sum()
        } else {
            analysis.tally.pictures.len()
        }
    };
    Ok(analyses.iter().map(num_listed).max().unwrap_or(0))
}

fn front(page: &mut Page, record: &StudyRecord<'_>, analyses: &[Analysis], now: i64) {
    let protocol = &record.study.protocol;
    let aspects: Vec<&str> = protocol
        .aspects
        .iter()
        .map(|aspect| aspect.name())
        .collect();
    page.raw("<header><p class=\"kicker\">Subjective study report</p>");
    page.heading(1, &protocol.name);
    page.paragraph(&format!(
        "{} of {}, {}. Reported on {} by Assay {}.",
        design::method_name(protocol.method),
        aspects.join(", "),
        record.dataset,
        dates::date(now),
        env!("CARGO_PKG_VERSION"),
    ));
    if record.study.is_quick {
        page.note(
            "Quick rating: pictures were rated in the order in which they were looked at, with everything else on \
             screen. This is no blind study, and its scores should be named as what they are.",
        );
    }
    let standing = standing(record.votes.iter().copied());
    let counted = standing
        .iter()
        .filter(|vote| !vote.is_training && !vote.is_repeat);
    let raters: std::collections::BTreeSet<&str> =
        counted.clone().map(|vote| vote.rater.as_str()).collect();
    let num_pictures = if record.study.is_quick {
        analyses
            .iter()
            .map(|analysis| analysis.tally.pictures.len())
            .max()
            .unwrap_or(0)
    } else {
        protocol.rated_pictures().len()
    };
    let mut facts = vec![
        ("Pictures".to_owned(), grouped(num_pictures)),
        ("Raters".to_owned(), grouped(raters.len())),
        ("Votes that count".to_owned(), grouped(counted.count())),
    ];
    for analysis in analyses {
        if let Ok(panel) = &analysis.panel {
            let icc = html::figure(panel.icc2k.as_ref(), 3);
            facts.push((format!("ICC(2,k), {}", analysis.aspect), icc));
        }
    }
    page.tiles(&facts);
    page.raw("</header>");
}

fn scores(page: &mut Page, record: &StudyRecord<'_>, analysis: &Analysis) {
    page.section(&format!("Results: {}", analysis.aspect));
    let panel = match &analysis.panel {
        Ok(panel) => panel,
        Err(why) => {
            page.note(&format!("There is nothing to report: {why}."));
            return;
        }
    };
    pictures::overview(page, record, analysis, panel);
    raters::section(page, analysis, panel);
    raters::agreement(page, analysis, panel);
    pictures::changes(page, record, panel);
    pictures::table(page, record, analysis, panel);
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;
    use crate::domain::RatingsFormat;
    use crate::stats::raters::Screening;

    fn report(world: &World) -> String {
        let request = RatingsRequest {
            format: RatingsFormat::Report,
            aspect: None,
            screening: Screening::default(),
            now: 1_700_000_000_000,
        };
        let mut bytes = Vec::new();
        write(&world.record(), request, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Tags that are opened and never closed, or closed in the wrong order.
    fn unbalanced(page: &str) -> Vec<String> {
        const ALONE: [&str; 10] = [
            "meta", "br", "wbr", "line", "circle", "rect", "path", "!doctype", "hr", "col",
        ];
        let (mut open, mut faults) = (Vec::new(), Vec::new());
        for tag in page.split('<').skip(1) {
            let Some((inside, _)) = tag.split_once('>') else {
                faults.push(tag.to_owned());
                continue;
            };
            let name = inside.split_whitespace().next().unwrap_or_default();
            if let Some(name) = name.strip_prefix('/') {
                if open.pop() != Some(name) {
                    faults.push(format!("/{name}"));
                }
            } else if !inside.ends_with('/') && !ALONE.contains(&name.to_lowercase().as_str()) {
                open.push(name);
            }
        }
        faults.extend(open.into_iter().map(str::to_owned));
        faults
    }

    #[test]
    fn the_page_is_whole_and_stands_alone() {
        for world in [World::scores(), World::pairs()] {
            let page = report(&world);
            assert_eq!(unbalanced(&page), Vec::<String>::new());
            for outside in ["<script", "<link", "<img", "src=", "@import", "url("] {
                assert!(!page.contains(outside), "{outside}");
            }
        }
    }

    #[test]
    fn names_and_prompts_are_text_and_no_markup() {
        let page = report(&World::scores());
        assert!(page.contains("Cats &amp; dogs") && page.contains("a dog &amp; a bone"));
        assert!(page.contains("Cy &lt;b&gt;") && !page.contains("Cy <b>"));
    }

    #[test]
    fn what_p910_asks_for_is_reported() {
        let page = report(&World::scores());
        for words in [
            "Absolute category rating",
            "1 Bad, 2 Poor, 3 Fair, 4 Good, 5 Excellent",
            "How good is the quality of this picture?",
            "Order",
            "Training",
            "Sessions and breaks",
            "Viewing conditions",
            "1920 x 1080",
            "ITU-T P.910 annex E",
            "Inconsistency",
            "95 % confidence interval",
            "ICC(2,k)",
            "Krippendorff",
            "Hidden repeats",
            "Test-retest SRCC",
            "2023-11-14",
        ] {
            assert!(page.contains(words), "{words} is missing");
        }
    }

    #[test]
    fn an_undefined_figure_is_named_with_its_reason() {
        let mut world = World::scores();
        world
            .votes
            .retain(|vote| vote.rater == "Ada" && !vote.is_repeat);
        let page = report(&world);
        assert!(
            page.contains("at least 2 raters are needed, there is 1"),
            "{page}"
        );
        assert!(page.contains("no picture was rated twice by the same rater"));
        world.votes.clear();
        assert!(report(&world).contains("There is nothing to report"));
    }

    #[test]
    fn a_comparison_is_reported_by_prompt_with_strengths() {
        let page = report(&World::pairs());
        assert!(page.contains("Pair comparison") && page.contains("Strength"));
        assert!(page.contains("a/0.png") && page.contains("Bradley-Terry"));
    }
}
