//! The demo as a whole.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;

use crate::domain::Aspect;
use crate::domain::Interrupted;
use crate::domain::Split;

use super::DemoError;
use super::DemoSettings;
use super::MARKER;
use super::VERSION;
use super::defects::Defect;
use super::plan::plan;
use super::write;

const SMALL: DemoSettings = DemoSettings { seed: 7, count: 6 };

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    write(&a, &SMALL, &mut |_, _| Ok(())).unwrap();
    write(&b, &SMALL, &mut |_, _| Ok(())).unwrap();
    for name in ["data.csv", MARKER, "conversations/quality_train.json"] {
        assert_eq!(
            fs::read(a.join(name)).unwrap(),
            fs::read(b.join(name)).unwrap()
        );
    }
    let mut images = 0;
    for entry in fs::read_dir(a.join("images")).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |dir: &std::path::Path| fs::read(dir.join("images").join(&name)).unwrap();
        assert_eq!(read(&a), read(&b));
        images += 1;
    }
    assert_eq!(images, SMALL.count);
}

#[test]
fn an_interrupted_run_goes_on_and_a_whole_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let mut stop = |done, _| if done > 0 { Err(Interrupted) } else { Ok(()) };
    let settings = DemoSettings { seed: 7, count: 9 };
    assert!(matches!(
        write(&dir, &settings, &mut stop),
        Err(DemoError::Interrupted(_))
    ));
    assert!(!dir.exists(), "half a demo must not have its name");
    write(&dir, &settings, &mut |_, _| Ok(())).unwrap();
    let mut calls = Vec::new();
    let mut note = |done, total| {
        calls.push((done, total));
        Ok(())
    };
    write(&dir, &settings, &mut note).unwrap();
    assert_eq!(calls, [(9, 9)]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_demo_of_an_earlier_program_is_replaced_unless_something_else_lies_there() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let settings = DemoSettings { seed: 7, count: 2 };
    write(&dir, &settings, &mut |_, _| Ok(())).unwrap();
    let marker = fs::read_to_string(dir.join(MARKER)).unwrap();
    let now = format!("\"version\": {VERSION}");
    let outdated = marker.replace(&now, "\"version\": 1");
    assert_ne!(outdated, marker);
    fs::write(dir.join(MARKER), &outdated).unwrap();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    let refused = write(&dir, &settings, &mut |_, _| Ok(()));
    assert!(matches!(refused, Err(DemoError::Occupied(_))));
    fs::remove_file(dir.join("notes.txt")).unwrap();
    write(&dir, &settings, &mut |_, _| Ok(())).unwrap();
    assert_eq!(fs::read_to_string(dir.join(MARKER)).unwrap(), marker);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_with_other_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let result = write(folder.path(), &SMALL, &mut |_, _| Ok(()));
    assert!(matches!(result, Err(DemoError::Occupied(_))));
}

#[test]
fn the_table_parses_and_its_scores_lie_on_the_scale() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    write(&dir, &SMALL, &mut |_, _| Ok(())).unwrap();
    let mut csv = csv::Reader::from_path(dir.join("data.csv")).unwrap();
    let header = csv.headers().unwrap().clone();
    let mut rows = 0;
    for record in csv.records() {
        let record = record.unwrap();
        for (name, value) in header.iter().zip(&record) {
            if name.starts_with("mos_") {
                assert!((0.0..=5.0).contains(&value.parse::<f64>().unwrap()));
            }
        }
        assert!(dir.join("images").join(&record[0]).is_file());
        rows += 1;
    }
    assert_eq!(rows, SMALL.count);
}

#[test]
fn descriptions_name_exactly_what_was_planted() {
    for item in plan(2502, 2000) {
        for aspect in Aspect::ALL {
            let text = item.descriptions.get(aspect).to_lowercase();
            let sentences = text.matches(". ").count() + 1;
            assert!((2..=6).contains(&sentences), "{text}");
            assert!(text.ends_with('.') && !text.contains(['{', '}']), "{text}");
            for planted in item.of(aspect) {
                assert!(
                    text.contains(planted.defect.keyword()),
                    "{planted:?}: {text}"
                );
            }
            let all: &[Defect] = match aspect {
                Aspect::Quality => &Defect::QUALITY,
                Aspect::Authenticity => &Defect::AUTHENTICITY,
                Aspect::Correspondence => continue,
            };
            for defect in all {
                let is_planted = item.of(aspect).any(|p| p.defect == *defect);
                let is_named = text.contains(defect.keyword());
                assert_eq!(is_planted, is_named, "{defect:?}: {text}");
            }
        }
    }
}

#[test]
fn pictures_of_a_prompt_stay_in_one_split() {
    let items = plan(2502, 2000);
    let mut of_prompt: BTreeMap<&str, Split> = BTreeMap::new();
    for item in &items {
        let split = of_prompt.entry(&item.prompt).or_insert(item.split);
        assert_eq!(*split, item.split);
    }
    let train = items
        .iter()
        .filter(|item| item.split == Split::Train)
        .count();
    assert!((0.66..0.74).contains(&(train as f64 / items.len() as f64)));
}

#[test]
fn opinions_cover_the_scale_and_every_defect_occurs() {
    let items = plan(2502, 288);
    for aspect in Aspect::ALL {
        let count = |low: f64, high: f64| {
            let inside = |mos: f64| mos >= low && mos < high;
            items
                .iter()
                .filter(|i| inside(i.opinions.get(aspect).mos))
                .count()
        };
        for low in 0..5 {
            let n = count(f64::from(low), f64::from(low) + 1.0);
            assert!(n >= 6, "{aspect} {low}: {n}");
        }
    }
    let tags: BTreeSet<&str> = items
        .iter()
        .flat_map(|item| item.planted.iter().map(|p| p.defect.tag()))
        .collect();
    assert_eq!(tags.len(), 21);
}

#[test]
fn what_is_wrong_with_the_facts_is_planted() {
    for item in plan(11, 800) {
        let differs = item.asked != item.shown;
        assert_eq!(differs, item.of(Aspect::Correspondence).next().is_some());
    }
}
