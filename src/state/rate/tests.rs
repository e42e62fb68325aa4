//! Sittings, forms and quick rating without a window: commands in, committed votes back.

use crate::domain::{
    Aspect, AspectMap, Catalog, ContentHash, FileState, ImageId, ImageRecord, Method, PairChoice,
    ProjectInfo, Protocol, Study, StudyId, StudyPicture, Truth, Vote, VoteId, VoteValue,
};
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::jobs::message::ResultsRequest;
use crate::jobs::message::StudyResults;
use crate::jobs::message::Wish;
use crate::state::AppState;
use crate::state::Command;
use crate::state::Effect;
use crate::state::Screen;
use crate::state::apply;
use crate::state::selection::SelectionCommand;
use crate::state::update;
use crate::stats::raters::Screening;

use super::quick::QuickCommand;
use super::results::ResultsCommand;
use super::sitting::Showing;
use super::sitting::Step;
use super::*;

/// Milliseconds that a picture is looked at before an answer is taken.
const DWELL: u32 = 1_000;

fn record(number: i64) -> ImageRecord {
    let truth = Truth {
        mos: number as f64 / 10.0,
        std: None,
        num_ratings: None,
    };
    ImageRecord {
        id: ImageId(number),
        path: format!("p{number:02}.png"),
        file: FileState::Present {
            hash: ContentHash([number as u8; 32]),
            width: 8,
            height: 8,
        },
        prompt: format!("prompt {}", number % 5),
        prompt_source: "test".to_owned(),
        generator: None,
        style: None,
        tags: Vec::new(),
        truth: AspectMap::from_fn(|_| Some(truth)),
        split: AspectMap::default(),
    }
}

fn protocol(method: Method, num_pictures: i64) -> Protocol {
    Protocol {
        pictures: (1..=num_pictures)
            .map(|number| StudyPicture {
                hash: ContentHash([number as u8; 32]),
                path: format!("p{number:02}.png"),
                prompt: format!("prompt {}", number % 5),
            })
            .collect(),
        num_discarded_training: 1,
        min_dwell_ms: DWELL,
        repeat_share: 0.0,
        pairs_per_rater: 4,
        ..Protocol::new("S", method)
    }
}

fn catalog(protocol: Protocol) -> Catalog {
    Catalog {
        images: (1..=20).map(record).collect(),
        studies: vec![Study {
            id: StudyId(1),
            hash: protocol.hash(),
            protocol,
            created_at: 0,
            is_frozen: false,
            is_quick: false,
        }],
        ..Catalog::of(ProjectInfo::any())
    }
}

/// A window with a study, its clock, and a disk that answers when it is told to.
struct Lab {
    state: AppState,
    jobs: Vec<Job>,
    num_committed: i64,
}

impl Lab {
    fn new(protocol: Protocol) -> Self {
        let mut state = AppState::default();
        let opened = Event::ProjectOpened(Box::new(catalog(protocol)));
        apply(&mut state, opened);
        let mut lab = Self {
            state,
            jobs: Vec::new(),
            num_committed: 0,
        };
        lab.wait(1_000_000);
        lab
    }

    /// Somebody sits down and reads the instructions.
    fn seated(protocol: Protocol, rater: &str) -> Self {
        let mut lab = Self::new(protocol);
        lab.sit(rater);
        lab
    }

    fn sit(&mut self, rater: &str) {
        self.tell(RateCommand::Sit(StudyId(1)));
        self.act(SittingCommand::SetName(rater.to_owned()));
        self.act(SittingCommand::Begin);
        self.act(SittingCommand::GoOn);
    }

    fn tell(&mut self, command: RateCommand) {
        for effect in update(&mut self.state, Command::Rate(command)) {
            if let Effect::Submit(job) = effect {
                let id = JobId(self.jobs.len() as u64 + 1);
                self.state.jobs.submitted(id, job.clone());
                self.jobs.push(job);
            }
        }
    }

    fn act(&mut self, command: SittingCommand) {
        self.tell(RateCommand::Sitting(command));
    }

    fn wait(&mut self, ms: u64) {
        self.state.rate.now.unix_ms += ms as i64;
        self.state.rate.now.steady_ms += ms;
    }

    fn sitting(&self) -> &Sitting {
        self.state.rate.sitting.as_ref().expect("somebody sits")
    }

    fn showing(&self) -> &Showing {
        self.sitting().showing().expect("a trial is on screen")
    }

    /// The pictures come on screen and are looked at.
    fn look(&mut self) {
        let trial = self.showing().trial.index;
        let display = Display {
            zoom: 1.5,
            size_px: [1920, 1080],
            dpi_scale: 1.0,
            is_shrunk: false,
        };
        self.act(SittingCommand::Shown { trial, display });
        self.wait(u64::from(DWELL));
    }

    fn answer(&mut self, value: VoteValue) {
        self.look();
        self.act(SittingCommand::Answer(value));
    }

    /// The last record handed in.
    fn handed_in(&self) -> Vote {
        match self.jobs.last() {
            Some(Job::Vote(vote) | Job::TakeBackVote(vote)) => vote.clone(),
            Some(Job::QuickVotes(votes)) if votes.len() == 1 => votes[0].clone(),
            other => panic!("expected a vote, got {other:?}"),
        }
    }

    fn commit(&mut self) {
        self.num_committed += 1;
        let id = VoteId(self.num_committed);
        let vote = Vote {
            id,
            ..self.handed_in()
        };
        apply(&mut self.state, Event::Voted(vote));
    }

    fn rate(&mut self, score: f64) {
        self.answer(VoteValue::Score(score));
        self.commit();
    }

    /// What is to be counted.
    fn asked(&mut self) -> Option<ResultsRequest> {
        self.state.take_wish().map(|wish| match wish {
            Wish::Results(request) => request,
            other => panic!("expected results, got {other:?}"),
        })
    }

    /// The worker answers with words in the place of figures.
    fn counted(&mut self, request: ResultsRequest, words: &str) {
        let results = StudyResults {
            request,
            outcome: Err(words.to_owned()),
        };
        apply(&mut self.state, Event::StudyResults(Box::new(results)));
    }

    fn votes(&self) -> &[Vote] {
        let project = self.state.project.as_ref().expect("a project is open");
        project.votes_of(StudyId(1))
    }
}

#[test]
fn a_name_comes_first_then_what_is_asked_then_the_first_trial() {
    let mut lab = Lab::new(protocol(Method::Acr5, 6));
    lab.tell(RateCommand::Sit(StudyId(1)));
    assert_eq!(lab.sitting().step, Step::Name);
    lab.act(SittingCommand::SetName("  ".to_owned()));
    lab.act(SittingCommand::Begin);
    assert_eq!(lab.sitting().step, Step::Name, "nobody has no name");
    lab.act(SittingCommand::SetName(" Ada ".to_owned()));
    lab.act(SittingCommand::Begin);
    assert_eq!(lab.sitting().step, Step::Instructions);
    assert_eq!(lab.sitting().num_trials, 7);
    lab.act(SittingCommand::GoOn);
    assert!(lab.showing().trial.is_training);
    assert_eq!(lab.sitting().rater, "Ada");
    assert_eq!(lab.sitting().ahead.len(), 3);
}

#[test]
fn an_answer_before_the_shortest_look_is_not_taken() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 6), "Ada");
    let answer = SittingCommand::Answer(VoteValue::Score(4.0));
    lab.act(answer.clone());
    assert!(lab.jobs.is_empty(), "nothing is on screen yet");
    let trial = lab.showing().trial.index;
    let display = Display::default();
    lab.act(SittingCommand::Shown { trial, display });
    lab.wait(u64::from(DWELL) - 1);
    lab.act(answer.clone());
    assert!(lab.jobs.is_empty(), "it was looked at for too short");
    lab.wait(1);
    lab.act(answer);
    assert_eq!(lab.jobs.len(), 1);
}

#[test]
fn the_next_picture_waits_until_the_vote_is_committed() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 6), "Ada");
    let first = lab.showing().trial;
    lab.answer(VoteValue::Score(4.0));
    assert_eq!(lab.showing().trial, first);
    lab.act(SittingCommand::Answer(VoteValue::Score(2.0)));
    assert_eq!(lab.jobs.len(), 1, "one answer a trial");
    lab.commit();
    assert_eq!(lab.showing().trial.index, 1);
    assert_eq!(lab.sitting().num_done, 1);
    let vote = &lab.votes()[0];
    assert_eq!(vote.score(), Some(4.0));
    assert_eq!(vote.reaction_ms, DWELL);
    assert_eq!(vote.voted_at - vote.shown_at, i64::from(DWELL));
    assert_eq!(vote.screen_px, [1920, 1080]);
    assert!((vote.zoom_max - 1.5).abs() < 1e-12);
    assert!(vote.is_training && vote.session == 1);
}

#[test]
fn a_vote_that_cannot_be_saved_is_kept_and_handed_in_again() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 6), "Ada");
    lab.answer(VoteValue::Score(4.0));
    let vote = lab.handed_in();
    let reason = "the disk is full".to_owned();
    apply(&mut lab.state, Event::JobFailed(JobId(1), reason.clone()));
    let pending = lab.sitting().pending.clone().expect("the vote is kept");
    assert_eq!(pending.failure, Some(reason));
    assert_eq!(lab.showing().trial.index, 0, "nothing moves on");
    lab.wait(5_000);
    lab.act(SittingCommand::TryAgain);
    assert_eq!(lab.handed_in(), vote, "the same record, so it counts once");
    lab.commit();
    assert_eq!(lab.showing().trial.index, 1);
    assert_eq!(lab.votes().len(), 1);
}

#[test]
fn back_shows_the_picture_before_again_and_erases_nothing() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 6), "Ada");
    lab.act(SittingCommand::TakeBack);
    assert!(lab.jobs.is_empty(), "there is nothing to take back");
    lab.rate(4.0);
    lab.rate(2.0);
    let second = lab.votes()[1].clone();
    lab.act(SittingCommand::TakeBack);
    assert_eq!(lab.handed_in().undo_of, Some(second.token));
    assert_eq!(lab.showing().trial.index, 2, "not before it is committed");
    lab.commit();
    assert_eq!(lab.showing().trial.index, 1);
    lab.act(SittingCommand::TakeBack);
    lab.commit();
    assert_eq!(lab.showing().trial.index, 0);
    assert_eq!(lab.sitting().num_done, 0);
    assert_eq!(lab.votes().len(), 4);
    lab.rate(5.0);
    assert_eq!(lab.showing().trial.index, 1);
}

#[test]
fn a_sitting_goes_on_at_the_same_trial() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 6), "Ada");
    lab.rate(4.0);
    lab.rate(2.0);
    let third = lab.showing().trial;
    lab.act(SittingCommand::Leave);
    assert!(lab.state.rate.sitting.is_none());
    assert_eq!(lab.state.screen, Screen::Rate);
    lab.sit("Ada");
    assert_eq!(lab.showing().trial, third);
    assert_eq!(lab.sitting().num_done, 2);
    lab.act(SittingCommand::Leave);
    lab.sit("Bo");
    assert_eq!(lab.showing().trial.index, 0);
    assert_eq!(lab.sitting().num_done, 0);
}

#[test]
fn at_the_end_raters_are_thanked_and_the_next_one_takes_the_seat() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 3), "Ada");
    for _ in 0..4 {
        lab.rate(3.0);
    }
    assert_eq!(lab.sitting().step, Step::Thanks);
    lab.act(SittingCommand::TakeBack);
    lab.commit();
    assert_eq!(
        lab.showing().trial.index,
        3,
        "the last answer can be changed"
    );
    lab.rate(4.0);
    lab.act(SittingCommand::NextRater);
    assert_eq!(lab.sitting().step, Step::Name);
    assert_eq!(lab.sitting().rater, "");
}

#[test]
fn a_full_session_ends_in_a_break_that_cannot_be_cut_short() {
    let protocol = Protocol {
        session_minutes: 1,
        break_seconds: 60,
        ..protocol(Method::Acr5, 6)
    };
    let mut lab = Lab::seated(protocol, "Ada");
    lab.rate(3.0);
    lab.wait(58_000);
    lab.rate(3.0);
    let Step::Break { until } = lab.sitting().step else {
        panic!("expected a break, got {:?}", lab.sitting().step);
    };
    assert_eq!(until, lab.state.rate.now.unix_ms + 60_000);
    lab.wait(59_000);
    lab.act(SittingCommand::GoOn);
    assert!(matches!(lab.sitting().step, Step::Break { .. }));
    lab.act(SittingCommand::Leave);
    lab.sit("Ada");
    assert!(
        matches!(lab.sitting().step, Step::Break { .. }),
        "leaving is no way round it"
    );
    lab.wait(1_000);
    lab.act(SittingCommand::GoOn);
    assert_eq!(lab.showing().trial.index, 2);
    lab.answer(VoteValue::Score(3.0));
    assert_eq!(lab.handed_in().session, 2);
}

#[test]
fn another_question_is_said_on_a_page_of_its_own() {
    let protocol = Protocol {
        aspects: vec![Aspect::Quality, Aspect::Correspondence],
        ..protocol(Method::Acr5, 3)
    };
    let mut lab = Lab::seated(protocol, "Ada");
    let first = lab.showing().trial.aspect;
    for _ in 0..4 {
        lab.rate(3.0);
    }
    let Step::Question(second) = lab.sitting().step else {
        panic!("expected a question, got {:?}", lab.sitting().step);
    };
    assert_ne!(first, second);
    lab.act(SittingCommand::GoOn);
    assert_eq!(lab.showing().trial.aspect, second);
    let is_shown = lab.showing().prompt.is_some();
    assert_eq!(is_shown, second == Aspect::Correspondence);
}

#[test]
fn a_missing_picture_is_passed_over_and_listed_and_never_gets_a_vote() {
    let mut lab = Lab::new(protocol(Method::Acr5, 6));
    let missing = ImageRecord {
        file: FileState::Missing {
            reason: "not there".to_owned(),
        },
        ..record(2)
    };
    apply(&mut lab.state, Event::ImagesChanged(vec![missing]));
    lab.sit("Ada");
    while lab.sitting().showing().is_some() {
        lab.rate(3.0);
    }
    assert_eq!(lab.sitting().step, Step::Thanks);
    assert!(lab.votes().len() < lab.sitting().num_trials);
    let gone = ContentHash([2; 32]);
    let shown = lab.votes().iter().flat_map(|vote| vote.shown.pictures());
    assert!(shown.into_iter().all(|hash| hash != gone));
    assert_eq!(lab.sitting().skipped.len(), 1);
    lab.act(SittingCommand::Leave);
    assert_eq!(lab.state.rate.skipped[0].picture, gone);
    apply(&mut lab.state, Event::ImagesChanged(vec![record(2)]));
    lab.sit("Ada");
    assert_eq!(
        lab.showing().images,
        [ImageId(2)],
        "it comes once it is there"
    );
}

#[test]
fn a_picture_that_cannot_be_decoded_is_passed_over_while_it_is_on_screen() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 6), "Ada");
    let broken = lab.showing().images[0];
    let failed = Event::PictureFailed {
        hash: ContentHash([broken.0 as u8; 32]),
        image: broken,
        reason: "the file ends too early".to_owned(),
    };
    apply(&mut lab.state, failed);
    assert_ne!(lab.showing().images[0], broken);
    assert_eq!(lab.sitting().skipped[0].reason, "the file ends too early");
    assert!(lab.votes().is_empty());
}

#[test]
fn the_handle_starts_nowhere_and_goes_where_digits_and_arrows_say() {
    let mut lab = Lab::seated(protocol(Method::Continuous, 6), "Ada");
    lab.look();
    assert_eq!(lab.showing().slider, None);
    lab.act(SittingCommand::Confirm);
    assert!(lab.jobs.is_empty(), "nowhere is no answer");
    for (command, score) in [
        (SittingCommand::Digit(3), 3.0),
        (SittingCommand::Digit(7), 3.7),
        (SittingCommand::Nudge(1), 3.8),
        (SittingCommand::Digit(4), 4.0),
        (SittingCommand::Digit(9), 4.9),
        (SittingCommand::Digit(8), 4.9),
        (SittingCommand::Nudge(5), 5.0),
        (SittingCommand::Slide(1.2345), 1.2),
    ] {
        let words = format!("{command:?}");
        lab.act(command);
        assert_eq!(lab.showing().slider, Some(score), "{words}");
    }
    lab.act(SittingCommand::Confirm);
    lab.commit();
    assert_eq!(lab.votes()[0].score(), Some(1.2));
    assert_eq!(lab.showing().slider, None, "the next picture starts anew");
    lab.act(SittingCommand::Nudge(1));
    assert_eq!(
        lab.showing().slider,
        Some(2.5),
        "arrows begin in the middle"
    );
}

#[test]
fn a_pair_leads_to_the_next_one_whose_pictures_were_prepared() {
    let mut lab = Lab::seated(protocol(Method::Pairs, 20), "Ada");
    assert_eq!(lab.sitting().num_trials, 5);
    for choice in [
        PairChoice::Left,
        PairChoice::Tie,
        PairChoice::Right,
        PairChoice::Left,
    ] {
        let ahead = lab.sitting().ahead.clone();
        assert_eq!(lab.showing().images.len(), 2);
        lab.answer(VoteValue::Pair(choice));
        lab.commit();
        for image in &lab.showing().images {
            assert!(ahead.contains(image), "{image:?} was not prepared");
        }
    }
    lab.answer(VoteValue::Pair(PairChoice::Tie));
    lab.commit();
    assert_eq!(lab.sitting().step, Step::Thanks);
}

#[test]
fn nothing_else_comes_on_screen_while_somebody_rates() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 6), "Ada");
    for command in [
        Command::Show(Screen::Gallery),
        Command::Inspect(ImageId(1)),
        Command::Open("elsewhere.assay".into()),
        Command::TogglePanel,
    ] {
        assert_eq!(update(&mut lab.state, command), []);
    }
    assert!(lab.state.rate.sitting.is_some());
    assert_eq!(lab.state.screen, Screen::Gallery);
    update(&mut lab.state, Command::Back);
    assert!(lab.state.rate.sitting.is_none());
}

#[test]
fn the_form_counts_checks_and_makes_the_study() {
    let mut lab = Lab::new(protocol(Method::Acr5, 6));
    lab.tell(RateCommand::New);
    let form = &lab.state.rate.form;
    assert_eq!((form.num_offered, form.num_rated), (20, 20));
    assert_eq!(form.protocol.name, "Study 2");
    assert_eq!(form.faults, Vec::<String>::new());
    lab.tell(RateCommand::Form(FormCommand::SetLimit(Some(4))));
    let form = &lab.state.rate.form;
    assert_eq!((form.num_rated, form.num_training), (4, 5));
    assert!(form.faults[0].contains("too few for repeats"), "{form:?}");
    lab.tell(RateCommand::Form(FormCommand::Save));
    assert!(lab.jobs.is_empty(), "a form with faults makes nothing");
    let mut quiet = lab.state.rate.form.protocol.clone();
    quiet.repeat_share = 0.0;
    lab.tell(RateCommand::Form(FormCommand::Set(Box::new(quiet))));
    lab.tell(RateCommand::Form(FormCommand::Save));
    let Some(Job::CreateStudy(made)) = lab.jobs.last() else {
        panic!("expected a study, got {:?}", lab.jobs);
    };
    assert_eq!((made.pictures.len(), made.training.len()), (9, 5));
    assert_eq!(made.check(), Ok(()));
}

#[test]
fn another_method_brings_its_own_questions_but_keeps_reworded_ones() {
    let mut lab = Lab::new(protocol(Method::Acr5, 6));
    lab.tell(RateCommand::New);
    let mut other = lab.state.rate.form.protocol.clone();
    "Is it fine?".clone_into(other.questions.get_mut(Aspect::Authenticity));
    lab.tell(RateCommand::Form(FormCommand::Set(Box::new(other.clone()))));
    other.method = Method::Pairs;
    lab.tell(RateCommand::Form(FormCommand::Set(Box::new(other))));
    let questions = &lab.state.rate.form.protocol.questions;
    assert_eq!(
        questions.get(Aspect::Quality),
        "Which picture has the better quality?"
    );
    assert_eq!(questions.get(Aspect::Authenticity), "Is it fine?");
}

#[test]
fn results_are_asked_for_once_and_what_is_there_stays_until_newer_ones_come() {
    let mut lab = Lab::seated(protocol(Method::Acr5, 3), "Ada");
    lab.rate(1.0);
    lab.act(SittingCommand::Leave);
    lab.tell(RateCommand::ShowResults(StudyId(1)));
    let results = |lab: &Lab| lab.state.rate.results.clone();
    assert!(results(&lab).digest.is_none() && results(&lab).is_counting);
    let first = lab.asked().expect("the study is to be counted");
    assert_eq!((first.study, first.aspect), (StudyId(1), Aspect::Quality));
    lab.tell(RateCommand::ShowResults(StudyId(1)));
    assert_eq!(lab.asked(), None, "nothing changed");

    lab.counted(first, "the first count");
    assert_eq!(
        results(&lab).digest,
        Some(Err("the first count".to_owned()))
    );
    assert!(!results(&lab).is_counting);
    let revision = results(&lab).revision;
    lab.tell(RateCommand::ShowResults(StudyId(1)));
    assert_eq!(results(&lab).revision, revision, "nothing changed");

    let other = ResultsCommand::SetScreening(Screening::Bt500);
    lab.tell(RateCommand::Results(other));
    let second = lab.asked().expect("another screening is counted anew");
    assert!(results(&lab).is_counting);
    assert_eq!(
        results(&lab).digest,
        Some(Err("the first count".to_owned()))
    );
    lab.counted(first, "the first count, late");
    assert_eq!(
        results(&lab).digest,
        Some(Err("the first count".to_owned()))
    );
    lab.counted(second, "the second count");
    assert_eq!(
        results(&lab).digest,
        Some(Err("the second count".to_owned()))
    );
}

#[test]
fn results_of_another_study_or_project_are_not_shown_meanwhile() {
    let mut lab = Lab::new(protocol(Method::Acr5, 3));
    lab.tell(RateCommand::ShowResults(StudyId(1)));
    let asked = lab.asked().expect("the study is to be counted");
    let mut other = catalog(protocol(Method::Acr5, 3));
    "b.assay".clone_into(&mut other.info.path);
    apply(&mut lab.state, Event::ProjectOpened(Box::new(other)));
    lab.tell(RateCommand::ShowResults(StudyId(1)));
    lab.counted(asked, "of the former project");
    assert!(lab.state.rate.results.digest.is_none());
}

#[test]
fn number_keys_rate_whatever_is_selected() {
    let mut lab = Lab::new(protocol(Method::Acr5, 6));
    lab.tell(RateCommand::Quick(QuickCommand::SetRater("Ada".to_owned())));
    lab.tell(RateCommand::Quick(QuickCommand::Rate(4)));
    let vote = lab.handed_in();
    assert_eq!(vote.shown.pictures(), [ContentHash([1; 32])]);
    assert_eq!(vote.value, VoteValue::Score(4.0));
    assert_eq!((vote.rater.as_str(), vote.aspect), ("Ada", Aspect::Quality));
    assert_eq!(lab.state.notices.iter().count(), 0, "saved, then said");
    lab.commit();
    let said = lab.state.notices.iter().last().expect("a notice");
    assert!(
        said.text.contains("4 Good") && said.text.contains("Ctrl+Z"),
        "{said:?}"
    );
    assert_eq!(lab.state.screen, Screen::Gallery);
}

#[test]
fn a_key_on_many_pictures_is_one_job_and_one_notice() {
    let mut lab = Lab::new(protocol(Method::Acr5, 6));
    let images = (1..=12).map(ImageId).collect();
    let select = SelectionCommand::Set(images);
    update(&mut lab.state, Command::Selection(select));
    lab.tell(RateCommand::Quick(QuickCommand::Rate(2)));
    let Some(Job::QuickVotes(votes)) = lab.jobs.last().cloned() else {
        panic!("expected one job, got {:?}", lab.jobs);
    };
    assert_eq!((lab.jobs.len(), votes.len()), (1, 12));
    for vote in votes {
        assert_eq!(lab.state.notices.iter().count(), 0, "saved, then said");
        apply(&mut lab.state, Event::Voted(vote));
    }
    let said = lab.state.notices.iter().last().expect("a notice");
    assert!(said.text.contains("12 pictures 2 Poor"), "{said:?}");
}
