//! Studies through the workers: votes that are saved before they are seen, ground truth, packages, files that move.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use assay::domain::Aspect;
use assay::domain::Catalog;
use assay::domain::ContentHash;
use assay::domain::Method;
use assay::domain::Protocol;
use assay::domain::Shown;
use assay::domain::Study;
use assay::domain::StudyId;
use assay::domain::StudyPicture;
use assay::domain::Trial;
use assay::domain::Vote;
use assay::domain::VoteId;
use assay::domain::VoteToken;
use assay::domain::VoteValue;
use assay::domain::study::order;
use assay::domain::study::standing;
use assay::export::ratings::StudyRecord;
use assay::export::ratings::analyse;
use assay::jobs::Home;
use assay::jobs::WorkerOptions;
use assay::jobs::Workers;
use assay::jobs::message::Analysis;
use assay::jobs::message::Event;
use assay::jobs::message::ImportRequest;
use assay::jobs::message::Job;
use assay::jobs::message::JobReport;
use assay::jobs::message::ResultsRequest;
use assay::jobs::message::Wish;
use assay::stats::raters::Screening;

use crate::world::World;

const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn a_vote_is_answered_when_saved_and_listed_as_no_job() {
    let world = World::with_pictures(24);
    let mut desk = Desk::open(&world, "demo.assay");
    let study = desk.new_study();
    let trials = order(&study.protocol, "Ada");
    let given = vote(&study, "Ada", trials[0], 4.0);
    let job = desk.workers.submit(Job::Vote(given.clone()));
    let mut heard = Vec::new();
    desk.listen(|event| {
        heard.push(format!("{event:?}"));
        matches!(event, Event::StudiesChanged(_))
    });
    assert!(heard[0].starts_with("Voted"), "{heard:#?}");
    assert!(
        !heard.iter().any(|event| event.starts_with("Job")),
        "job {job:?} should be quiet: {heard:#?}"
    );
    assert!(desk.study(&study).is_frozen);

    // The same trial again is refused, and says so as the job's failure.
    let reason = desk.fails(Job::Vote(vote(&study, "Ada", trials[0], 1.0)));
    assert!(reason.contains("trial 1 already"), "{reason}");
    let reason = desk.fails(Job::ChangeStudy {
        study: study.id,
        protocol: Protocol {
            min_dwell_ms: 1,
            ..study.protocol.clone()
        },
    });
    assert!(reason.contains("no longer changes"), "{reason}");

    desk.workers
        .submit(Job::TakeBackVote(given.taken_back(9_000)));
    desk.listen(|event| matches!(event, Event::Voted(_)));
    let votes = desk.reopened(&world, "demo.assay").votes;
    assert_eq!((votes.len(), standing(&votes).len()), (2, 0));
}

#[test]
fn a_study_becomes_the_ground_truth_follows_its_votes_and_is_undone() {
    let world = World::with_pictures(24);
    let mut desk = Desk::open(&world, "demo.assay");
    let study = desk.new_study();
    let own = desk.catalog.clone();
    let use_it = Job::UseStudyAsTruth {
        aspect: Aspect::Quality,
        study: Some(study.id),
    };
    let reason = desk.fails(use_it.clone());
    assert!(reason.contains("nobody has voted"), "{reason}");

    let trials: Vec<Trial> = order(&study.protocol, "Ada")
        .into_iter()
        .filter(|trial| !trial.is_training && !trial.is_repeat)
        .collect();
    for trial in &trials[..3] {
        desk.vote(vote(&study, "Ada", *trial, 5.0));
    }
    desk.done(use_it);
    let catalog = desk.catalog.clone();
    let known: Vec<f64> = rated(&catalog);
    assert_eq!(
        known, [5.0; 3],
        "1-5 is laid onto 0-5, and nothing is mixed"
    );
    assert_eq!(
        catalog.truth_name(Aspect::Quality),
        "study \u{201c}Study\u{201d} (1-5 laid onto 0-5)"
    );
    assert_eq!(catalog.truth_name(Aspect::Correspondence), own.info.dataset);

    // A vote while the study is the ground truth changes the row at once.
    desk.workers
        .submit(Job::Vote(vote(&study, "Ada", trials[3], 1.0)));
    let mut changed = Vec::new();
    desk.listen(|event| {
        if let Event::ImagesChanged(rows) = event {
            changed = rows.iter().map(|row| row.mos(Aspect::Quality)).collect();
        }
        !changed.is_empty()
    });
    assert_eq!(changed, [Some(0.0)]);

    desk.done(Job::Undo);
    assert_eq!(desk.catalog.images, own.images);
    desk.done(Job::Redo);
    assert_eq!(rated(&desk.catalog).len(), 4);
}

#[test]
fn a_package_goes_to_another_machine_and_its_votes_come_back_once() {
    let here = World::with_pictures(24);
    let mut desk = Desk::open(&here, "demo.assay");
    let study = desk.new_study();
    let package = here.path("raters.assaystudy");
    let pack = Job::PackStudy {
        study: study.id,
        out: package.clone(),
    };
    desk.done(pack.clone());
    assert!(desk.fails(pack).contains("a file here already"));

    let there = World::new();
    fs::copy(&package, there.path("raters.assaystudy")).unwrap();
    let mut other = Desk::open(&there, "raters.assaystudy");
    let packed = other.catalog.studies.iter().find(|study| !study.is_quick);
    let packed = packed.unwrap().clone();
    assert_eq!(packed.hash, study.hash);
    assert!(other.catalog.votes.is_empty());
    for row in &other.catalog.images {
        assert!(
            row.file_name()
                .starts_with(&row.file.hash().unwrap().to_string())
        );
        assert!(row.generator.is_none() && row.mos(Aspect::Quality).is_none());
    }
    let trials = order(&packed.protocol, "Ada");
    assert_eq!(trials, order(&study.protocol, "Ada"), "the same order");
    let ahead: Vec<_> = other
        .catalog
        .images
        .iter()
        .take(3)
        .map(|row| row.id)
        .collect();
    other.workers.wish(Wish::Preload(ahead.clone()));
    let mut decoded = BTreeSet::new();
    other.listen(|event| {
        if let Event::FullPicture { image, .. } = event {
            decoded.insert(*image);
        }
        decoded.len() == 3
    });
    assert_eq!(decoded, ahead.into_iter().collect());
    for trial in &trials[..6] {
        other.vote(vote(&packed, "Ada", *trial, 3.0));
    }
    drop(other);

    desk.vote(vote(&study, "Bo", trials[0], 2.0));
    let merge = Job::MergeStudies {
        path: there.path("raters.assaystudy"),
    };
    let report = desk.done(merge.clone());
    assert_eq!((report.done, report.skipped), (6, 0), "{}", report.summary);
    let votes = desk.catalog.votes.clone();
    assert_eq!(votes.len(), 7);
    assert!(votes.iter().all(|vote| vote.study == study.id));
    let report = desk.done(merge);
    assert_eq!((report.done, report.skipped), (0, 6));
    assert_eq!(desk.catalog.votes, votes);
}

#[test]
fn ratings_survive_renaming_moving_and_unplugging() {
    let world = World::with_pictures(24);
    let mut desk = Desk::open(&world, "demo.assay");
    let study = desk.new_study();
    let trials = order(&study.protocol, "Ada");
    for trial in &trials {
        desk.vote(vote(&study, "Ada", *trial, 3.0));
    }
    let votes = desk.reopened(&world, "demo.assay").votes;
    assert_eq!(votes.len(), trials.len());
    let pictures: BTreeSet<ContentHash> = hashes(&desk.catalog);

    // Every picture under another name in another folder, read in as a plain folder.
    let moved = world.path("moved");
    fs::create_dir_all(&moved).unwrap();
    for number in 0..24 {
        let file = world.path(&format!("pictures/generator-{number}.png"));
        fs::rename(&file, moved.join(format!("{}.png", 100 - number))).unwrap();
    }
    desk.done(Job::Import(ImportRequest {
        path: world.path("pictures"),
        ..ImportRequest::default()
    }));
    assert_eq!(desk.catalog.votes, votes, "unplugged");
    assert!(hashes(&desk.catalog).is_empty());
    fs::rename(&moved, world.path("pictures/elsewhere")).unwrap();
    let imported = world.run(&[
        "import",
        "pictures/elsewhere",
        "--project",
        "elsewhere.assay",
    ]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    let mut other = Desk::open(&world, "elsewhere.assay");
    other.done(Job::MergeStudies {
        path: world.path("demo.assay"),
    });
    assert_eq!(other.catalog.votes.len(), votes.len());
    let shown: BTreeSet<ContentHash> = other
        .catalog
        .votes
        .iter()
        .flat_map(|vote| vote.shown.pictures())
        .collect();
    assert_eq!(shown, pictures);
    assert_eq!(
        hashes(&other.catalog),
        pictures,
        "every vote finds its picture"
    );
    let request = ImportRequest {
        path: world.path("pictures/elsewhere"),
        ..ImportRequest::default()
    };
    other.done(Job::Import(request));
    assert_eq!(other.catalog.votes.len(), votes.len());
}

#[test]
fn a_rehearsal_gives_as_many_votes_as_asked_for_and_goes_on_from_there() {
    let world = World::with_pictures(24);
    for round in 1..=2 {
        let rehearse = [
            "rehearse",
            "--project",
            "demo.assay",
            "--count",
            "40",
            "--json",
        ];
        let answer = world.run(&rehearse);
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        assert_eq!(answer.json()["votes"].as_u64(), Some(40));
        let desk = Desk::open(&world, "demo.assay");
        assert_eq!(standing(&desk.catalog.votes).len(), 40 * round);
    }
}

#[test]
fn rehearsed_people_sit_a_whole_study_and_the_careless_one_shows() {
    let world = World::with_pictures(24);
    let mut desk = Desk::open(&world, "demo.assay");
    desk.new_study();
    drop(desk);
    let mut rehearse = vec!["rehearse", "--project", "demo.assay", "--json"];
    rehearse.extend(["--people", "5", "--careless", "1"]);
    let answer = world.run(&rehearse);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let mut desk = Desk::open(&world, "demo.assay");
    let study = desk.catalog.studies.iter().find(|study| !study.is_quick);
    let study = study.expect("the study").clone();
    let analysis = desk.results(&study, Screening::default());
    assert_eq!(analysis.num_votes, 5 * 24);
    let panel = analysis.panel.expect("figures");
    let spread = |rater: usize| panel.screened.raters[rater].inconsistency.clone();
    let worst = spread(4).expect("an inconsistency");
    for rater in 0..4 {
        assert!(spread(rater).expect("an inconsistency") < worst);
    }
}

#[test]
fn what_votes_come_to_is_counted_by_a_worker_and_told_once() {
    let world = World::with_pictures(24);
    let mut desk = Desk::open(&world, "demo.assay");
    let study = desk.new_study();
    for rater in ["Ada", "Bo"] {
        for trial in order(&study.protocol, rater).into_iter().take(12) {
            desk.vote(vote(&study, rater, trial, (trial.index % 5) as f64 + 1.0));
        }
    }
    let analysis = desk.results(&study, Screening::Bt500);
    let catalog = desk.reopened(&world, "demo.assay");
    let record = StudyRecord::new(&study, &catalog.votes, &[], "");
    let same = analyse(&record, Aspect::Quality, Screening::Bt500);
    assert_eq!(analysis.num_votes, same.num_votes);
    // Compared as text, because a picture that nobody rated is NaN.
    assert_eq!(format!("{analysis:?}"), format!("{same:?}"));
    let unknown = ResultsRequest {
        serial: 9,
        study: StudyId(99),
        aspect: Aspect::Quality,
        screening: Screening::Bt500,
    };
    let reason = desk.told(unknown).expect_err("there is no such study");
    assert!(reason.contains("no study 99"), "{reason}");
}

#[test]
fn many_ratings_of_one_key_are_taken_back_and_brought_again_as_one() {
    let world = World::with_pictures(40);
    let mut desk = Desk::open(&world, "demo.assay");
    let study = desk.catalog.studies.iter().find(|study| study.is_quick);
    let study = study.expect("quick rating").clone();
    let given: Vec<Vote> = desk
        .catalog
        .images
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let trial = Trial {
                index,
                aspect: Aspect::Quality,
                what: Shown::One(row.file.hash().expect("a picture")),
                is_training: false,
                is_repeat: false,
            };
            vote(&study, "Ada", trial, 4.0)
        })
        .collect();
    desk.workers.submit(Job::QuickVotes(given));
    let mut num_voted = 0;
    desk.listen(|event| {
        num_voted += usize::from(matches!(event, Event::Voted(_)));
        matches!(event, Event::UndoChanged { undo: Some(_), .. })
    });
    assert_eq!(num_voted, 40);
    let num_standing = |desk: &Desk| standing(&desk.catalog.votes).len();
    desk.done(Job::Undo);
    assert_eq!((num_standing(&desk), desk.catalog.votes.len()), (0, 80));
    desk.done(Job::Redo);
    assert_eq!((num_standing(&desk), desk.catalog.votes.len()), (40, 120));
    desk.done(Job::Undo);
    assert_eq!(num_standing(&desk), 0);
    assert_eq!(desk.catalog.undo, None, "it was one step");
}

/// Workers with a project open, and the newest that they said of it.
struct Desk {
    workers: Workers,
    catalog: Catalog,
}

impl Desk {
    fn open(world: &World, project: &str) -> Self {
        let options = WorkerOptions::new(Home::at(world.path("home")));
        let workers = Workers::start(options, Arc::new(|| {})).expect("the workers start");
        let catalog = open(&workers, &world.path(project));
        Self { workers, catalog }
    }

    /// Closes the project and reads it anew from the disk.
    fn reopened(&mut self, world: &World, project: &str) -> Catalog {
        *self = Self::open(world, project);
        self.catalog.clone()
    }

    /// A study of all pictures.
    fn new_study(&mut self) -> Study {
        let pictures = self.catalog.images.iter().map(|row| StudyPicture {
            hash: row.file.hash().expect("a picture"),
            path: row.path.clone(),
            prompt: row.prompt.clone(),
        });
        let protocol = Protocol {
            pictures: pictures.collect(),
            ..Protocol::new("Study", Method::Acr5)
        };
        self.done(Job::CreateStudy(protocol));
        let made = self.catalog.studies.iter().find(|study| !study.is_quick);
        made.expect("the study").clone()
    }

    fn study(&self, study: &Study) -> &Study {
        self.catalog.study(study.id).expect("the study")
    }

    fn vote(&mut self, vote: Vote) {
        let token = vote.token;
        self.workers.submit(Job::Vote(vote));
        self.listen(|event| matches!(event, Event::Voted(vote) if vote.token == token));
    }

    /// What the votes of a study come to.
    fn results(&mut self, study: &Study, screening: Screening) -> Analysis {
        let request = ResultsRequest {
            serial: 1,
            study: study.id,
            aspect: Aspect::Quality,
            screening,
        };
        self.told(request).expect("figures")
    }

    fn told(&mut self, request: ResultsRequest) -> Result<Analysis, String> {
        self.workers.wish(Wish::Results(request));
        let mut outcome = None;
        self.listen(|event| {
            if let Event::StudyResults(results) = event {
                assert_eq!(results.request, request);
                outcome = Some(results.outcome.clone());
            }
            outcome.is_some()
        });
        outcome.expect("an answer")
    }

    /// Does a job to its end; what it said of the project as a whole is taken in.
    fn done(&mut self, job: Job) -> JobReport {
        let id = self.workers.submit(job);
        let mut report = None;
        self.listen(|event| {
            match event {
                Event::JobDone(ended, done) if *ended == id => report = Some(done.clone()),
                Event::JobFailed(ended, reason) if *ended == id => panic!("{reason}"),
                _ => {}
            }
            report.is_some()
        });
        report.expect("the job ends")
    }

    fn fails(&mut self, job: Job) -> String {
        let id = self.workers.submit(job);
        let mut failed = None;
        self.listen(|event| {
            if let Event::JobFailed(ended, reason) = event
                && *ended == id
            {
                failed = Some(reason.clone());
            }
            failed.is_some()
        });
        failed.expect("the job fails")
    }

    fn listen(&mut self, mut is_enough: impl FnMut(&Event) -> bool) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let Ok(event) = self
                .workers
                .events()
                .recv_timeout(Duration::from_millis(100))
            else {
                continue;
            };
            let is_over = is_enough(&event);
            match event {
                Event::ProjectOpened(catalog) => self.catalog = *catalog,
                Event::StudiesChanged(studies) => self.catalog.studies = studies,
                _ => {}
            }
            if is_over {
                return;
            }
        }
        panic!("nothing more was heard");
    }
}

fn open(workers: &Workers, project: &Path) -> Catalog {
    workers.submit(Job::Open {
        path: project.to_path_buf(),
    });
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match workers.events().recv_timeout(Duration::from_millis(100)) {
            Ok(Event::ProjectOpened(catalog)) => return *catalog,
            Ok(Event::JobFailed(_, reason)) => panic!("{reason}"),
            _ => {}
        }
    }
    panic!("the project did not open");
}

/// MOS of quality, of the pictures that have one.
fn rated(catalog: &Catalog) -> Vec<f64> {
    let rows = catalog.images.iter();
    rows.filter_map(|row| row.mos(Aspect::Quality)).collect()
}

fn hashes(catalog: &Catalog) -> BTreeSet<ContentHash> {
    let rows = catalog.images.iter();
    rows.filter_map(|row| row.file.hash()).collect()
}

fn vote(study: &Study, rater: &str, trial: Trial, score: f64) -> Vote {
    assert!(matches!(trial.what, Shown::One(_)));
    Vote {
        id: VoteId(0),
        token: VoteToken(0),
        study: study.id,
        protocol: study.hash,
        rater: rater.to_owned(),
        session: 1,
        trial: trial.index,
        shown: trial.what,
        aspect: trial.aspect,
        method: study.protocol.method,
        value: VoteValue::Score(score),
        is_training: trial.is_training,
        is_repeat: trial.is_repeat,
        shown_at: 1_000,
        voted_at: 2_000,
        reaction_ms: 1_000,
        zoom_max: 1.0,
        screen_px: [1920, 1080],
        dpi_scale: 1.0,
        app_version: "0.1.0".to_owned(),
        undo_of: None,
    }
    .sealed()
}
