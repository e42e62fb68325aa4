//! One answer on its way: which tokens come next, which branches end, and when it is over. No tensors here.
//!
//! Beam search is transformers' (`GenerationMixin._beam_search`, with `early_stopping=False` and a length penalty of
//! 1): of the best candidates over all branches, an end counts only among the first `num_beams`; a finished branch
//! scores its sum of log-probabilities over its length, the end counted; the search is over when the best open branch,
//! measured in the same way at its present length, is worse than every finished one.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::choose::{distribution, draw, largest, likeliest, log_softmax, restrain};
use super::settings::GenerateSettings;
use crate::ml::MlError;

/// An answer that is being generated. `S` is what is kept of a branch that ends: its cache and its states.
pub(super) struct Search<S> {
    settings: GenerateSettings,
    ends: Vec<u32>,
    branches: Vec<Branch>,
    finished: Vec<Finished<S>>,
    random: ChaCha8Rng,
}

#[derive(Debug, Clone, Default)]
struct Branch {
    ids: Vec<u32>,
    score: f32,
}

/// A branch that ended.
pub(super) struct Finished<S> {
    /// Its tokens; the end stands last if it came.
    pub(super) ids: Vec<u32>,
    /// Whether the end came, rather than the limit.
    pub(super) is_ended: bool,
    score: f32,
    /// What was kept of it: everything but its last token went through the decoder.
    pub(super) kept: S,
}

/// What comes after a step.
pub(super) enum Turn {
    /// Every branch continues the branch of this number and gets its own last token.
    GoOn(Vec<usize>),
    /// See [`Search::best`].
    Over,
}

/// A branch's continuation by one token.
struct Candidate {
    parent: usize,
    id: u32,
    score: f32,
}

impl<S> Search<S> {
    /// Nothing generated yet, in one branch.
    pub(super) fn new(settings: GenerateSettings, ends: &[u32]) -> Self {
        let seed = settings.sampling.map_or(0, |sampling| sampling.seed);
        Self {
            settings,
            ends: ends.to_vec(),
            branches: vec![Branch::default()],
            finished: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Branches that are followed now.
    pub(super) const fn num_branches(&self) -> usize {
        self.branches.len()
    }

    /// Whether the likeliest token is all that it asks for, so that logits need not leave the device.
    pub(super) fn is_plain(&self) -> bool {
        let settings = &self.settings;
        settings.num_beams == 1
            && settings.sampling.is_none()
            && settings.no_repeat_ngram < 2
            && (settings.repetition_penalty - 1.0).abs() <= f32::EPSILON
    }

    /// Tokens of the best branch so far.
    pub(super) fn ids(&self) -> &[u32] {
        self.branches.first().map_or(&[], |branch| &branch.ids)
    }

    /// The last token of every branch.
    pub(super) fn last_ids(&self) -> Vec<u32> {
        let last = |branch: &Branch| branch.ids.last().copied().unwrap_or_default();
        self.branches.iter().map(last).collect()
    }

    /// Takes the next token where [`Search::is_plain`]. `keep` takes hold of a branch that ends.
    ///
    /// # Errors
    /// What `keep` answers.
    pub(super) fn advance_plain(
        &mut self,
        id: u32,
        keep: &mut dyn FnMut(usize) -> Result<S, MlError>,
    ) -> Result<Turn, MlError> {
        let candidate = Candidate {
            parent: 0,
            id,
            score: 0.0,
        };
        self.take(vec![candidate], keep)
    }

    /// Takes the next tokens from the logits of every branch. `keep` takes hold of a branch that ends.
    ///
    /// # Errors
    /// Logits that are no numbers, what `keep` answers.
    pub(super) fn advance(
        &mut self,
        mut logits: Vec<Vec<f32>>,
        keep: &mut dyn FnMut(usize) -> Result<S, MlError>,
    ) -> Result<Turn, MlError> {
        let candidates = match self.settings.num_beams {
            0 | 1 => vec![self.single(&mut logits)?],
            num_beams => self.beams(&mut logits, num_beams)?,
        };
        self.take(candidates, keep)
    }

    fn single(&mut self, logits: &mut [Vec<f32>]) -> Result<Candidate, MlError> {
        let (Some(values), Some(branch)) = (logits.first_mut(), self.branches.first()) else {
            return Err(MlError::Input("an answer without a branch".to_owned()));
        };
        restrain(values, &branch.ids, &self.settings);
        let id = match &self.settings.sampling {
            Some(sampling) => draw(&distribution(values, sampling)?, &mut self.random),
            None => likeliest(values)?,
        };
        Ok(Candidate {
            parent: 0,
            id,
            score: 0.0,
        })
    }

    fn beams(&self, logits: &mut [Vec<f32>], num_beams: usize) -> Result<Vec<Candidate>, MlError> {
        for (values, branch) in logits.iter_mut().zip(&self.branches) {
            log_softmax(values)?;
            restrain(values, &branch.ids, &self.settings);
        }
        // Enough that as many go on as there are beams, even if every end is among them.
        let count = num_beams * (1 + self.ends.len()).max(2);
        let width = logits.first().map_or(1, Vec::len);
        let rows = logits.iter().zip(&self.branches);
        let scores = rows.flat_map(|(row, branch)| row.iter().map(|value| value + branch.score));
        let best = largest(scores, count).into_iter();
        Ok(best
            .map(|(place, score)| Candidate {
                parent: place / width,
                id: (place % width) as u32,
                score,
            })
            .collect())
    }

    fn take(
        &mut self,
        candidates: Vec<Candidate>,
        keep: &mut dyn FnMut(usize) -> Result<S, MlError>,
    ) -> Result<Turn, MlError> {
        let num_beams = self.settings.num_beams.max(1);
        let length = self.ids().len() + 1;
        let is_last = length >= self.settings.max_new_tokens;
        let (mut branches, mut parents) = (Vec::new(), Vec::new());
        for (rank, candidate) in candidates.into_iter().enumerate() {
            let is_end = self.ends.contains(&candidate.id);
            if is_end || is_last {
                if rank < num_beams {
                    self.finish(&candidate, length, is_end, keep)?;
                }
            } else if branches.len() < num_beams {
                let mut branch = self.branches[candidate.parent].clone();
                branch.ids.push(candidate.id);
                branch.score = candidate.score;
                branches.push(branch);
                parents.push(candidate.parent);
            }
        }
        let Some(best) = branches.first() else {
            return Ok(Turn::Over);
        };
        let hope = best.score / length as f32;
        let least = self.finished.last().map_or(f32::NEG_INFINITY, |f| f.score);
        if self.finished.len() == num_beams && hope <= least {
            return Ok(Turn::Over);
        }
        self.branches = branches;
        Ok(Turn::GoOn(parents))
    }

    /// Keeps a finished branch if it is among the best.
    fn finish(
        &mut self,
        candidate: &Candidate,
        length: usize,
        is_ended: bool,
        keep: &mut dyn FnMut(usize) -> Result<S, MlError>,
    ) -> Result<(), MlError> {
        let score = candidate.score / length as f32;
        let rank = self.finished.partition_point(|other| other.score >= score);
        let num_beams = self.settings.num_beams.max(1);
        if rank >= num_beams {
            return Ok(());
        }
        let mut ids = self.branches[candidate.parent].ids.clone();
        ids.push(candidate.id);
        let finished = Finished {
            ids,
            is_ended,
            score,
            kept: keep(candidate.parent)?,
        };
        self.finished.insert(rank, finished);
        self.finished.truncate(num_beams);
        Ok(())
    }

    /// The best finished branch.
    ///
    /// # Errors
    /// A search that is not over.
    pub(super) fn best(self) -> Result<Finished<S>, MlError> {
        let mut finished = self.finished.into_iter();
        finished
            .next()
            .ok_or_else(|| MlError::Input("an answer that never ended".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a search over a table of logits by the last token (0 at the start), with 3 as the end.
    fn run(settings: GenerateSettings, table: &[[f32; 4]]) -> Result<(Vec<u32>, bool), MlError> {
        let mut search = Search::new(settings, &[3]);
        loop {
            let rows = search.last_ids();
            let logits = rows.iter().map(|id| table[*id as usize].to_vec()).collect();
            if matches!(search.advance(logits, &mut |_| Ok(()))?, Turn::Over) {
                let best = search.best()?;
                return Ok((best.ids, best.is_ended));
            }
        }
    }

    #[test]
    fn beams_find_a_better_answer_than_greed() -> Result<(), MlError> {
        // Token 1 looks best at first, and leads nowhere in particular; token 2 leads straight to the end.
        let table = [
            [-9.0, 1.0, 0.9, -9.0],
            [0.0, 0.0, 0.0, 0.0],
            [-9.0, -9.0, -9.0, 5.0],
            [0.0; 4],
        ];
        let greedy = GenerateSettings {
            max_new_tokens: 2,
            ..GenerateSettings::default()
        };
        let beams = GenerateSettings {
            num_beams: 2,
            ..greedy
        };
        assert_eq!(run(greedy, &table)?.0[0], 1);
        assert_eq!(run(beams, &table)?, (vec![2, 3], true));
        Ok(())
    }

    #[test]
    fn an_answer_stops_at_its_limit_and_says_so() -> Result<(), MlError> {
        let table = [[0.0, 9.0, 0.0, 0.0]; 4];
        for num_beams in [1, 3] {
            let settings = GenerateSettings {
                max_new_tokens: 5,
                num_beams,
                ..GenerateSettings::default()
            };
            assert_eq!(run(settings, &table)?, (vec![1; 5], false));
        }
        Ok(())
    }
}
