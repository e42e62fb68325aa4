//! Many answers generated together: one step of the decoder gives every member its next token.
//!
//! Members are pictures' conversations, each at its own place: describing, or answering with one word. They leave when
//! their answer ends and others join between any two steps. What a member gets does not depend on its company.

use std::sync::Arc;

use candle_core::Tensor;

use super::passed::Passed;
use super::search::{Search, Turn};
use super::settings::GenerateSettings;
use super::{likeliest_of, rows_of};
use crate::domain::{Interrupted, Picture};
use crate::ml::MlError;
use crate::ml::vlm::backbone::{Backbone, Ending, Seen};
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::local::Described;

/// Tokens of the one-word answer.
const ANSWER_TOKENS: usize = 8;

/// What is asked about a picture: messages 1 and 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Message 1.
    pub request: String,
    /// Message 3.
    pub question: String,
}

/// A member's number, given in the order of joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A description so far. It becomes text only where somebody looks.
pub struct SoFar<'a> {
    backbone: &'a dyn Backbone,
    ids: &'a [u32],
}

impl SoFar<'_> {
    /// The words so far; none where they cannot be read yet.
    pub fn text(&self) -> String {
        let text = self.backbone.decode(self.ids).unwrap_or_default();
        text.trim_start().to_owned()
    }
}

/// What came of a member.
pub(super) type Done = (Ticket, Result<Described, MlError>);

/// Answers on their way.
pub struct Batch<'m> {
    backbone: &'m dyn Backbone,
    settings: GenerateSettings,
    members: Vec<Member>,
    cache: KvCache,
    /// Hidden states `(rows, 1, hidden)` from which the next tokens are chosen.
    last: Option<Tensor>,
    num_joined: u64,
}

struct Member {
    ticket: Ticket,
    ask: Ask,
    /// Tokens of its prompt beyond the limit.
    num_cut: usize,
    seen: Arc<Seen>,
    /// What it has read, which all branches share. Its cache is among the batch's rows.
    read: Vec<u32>,
    states: Vec<Tensor>,
    /// States of the tokens that each branch has said.
    said: Vec<Vec<Tensor>>,
    search: Search<Kept>,
    /// What it has described, once it answers.
    described: Option<Described>,
}

/// What is kept of a branch that ended.
struct Kept {
    cache: KvCache,
    said: Vec<Tensor>,
}

impl<'m> Batch<'m> {
    /// Nobody yet.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub fn new(backbone: &'m dyn Backbone, settings: GenerateSettings) -> Result<Self, MlError> {
        settings.check()?;
        Ok(Self {
            backbone,
            settings,
            members: Vec::new(),
            cache: KvCache::default(),
            last: None,
            num_joined: 0,
        })
    }

    /// Members that have not ended.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether everybody has left.
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Lets a picture join, a member for each thing that is asked about it. It is encoded once, and what the
    /// conversations begin with is read once.
    ///
    /// # Errors
    /// A picture or words that the model cannot read; the others are not touched by it.
    pub fn join(&mut self, picture: &Picture, asks: &[Ask]) -> Result<Vec<Ticket>, MlError> {
        let seen = Arc::new(self.backbone.look(picture)?);
        let limit = self.backbone.facts().max_prompt;
        let (mut sequences, mut cuts) = (Vec::new(), Vec::new());
        for ask in asks {
            let mut sequence = self
                .backbone
                .sequence(&seen, &[&ask.request], Ending::Generate)?;
            cuts.push(sequence.ids.len().saturating_sub(limit));
            // As the published tool does it.
            sequence.cut(limit);
            sequences.push(sequence);
        }
        let all = Passed::start_all(self.backbone, sequences, &seen)?;
        let mut tickets = Vec::new();
        for ((passed, ask), num_cut) in all.into_iter().zip(asks).zip(cuts) {
            let ticket = Ticket(self.num_joined);
            self.num_joined += 1;
            let member = Member {
                ticket,
                ask: ask.clone(),
                num_cut,
                seen: Arc::clone(&seen),
                read: Vec::new(),
                states: Vec::new(),
                said: vec![Vec::new()],
                search: Search::new(self.settings, self.backbone.ends()),
                described: None,
            };
            self.seat(member, passed)?;
            tickets.push(ticket);
        }
        Ok(tickets)
    }

    /// Gives a member its row.
    fn seat(&mut self, mut member: Member, passed: Passed) -> Result<(), MlError> {
        let last = passed.last()?;
        self.last = Some(match self.last.take() {
            Some(others) => Tensor::cat(&[&others, &last], 0)?,
            None => last,
        });
        self.cache.join(passed.cache)?;
        member.read = passed.ids;
        member.states = passed.states;
        self.members.push(member);
        Ok(())
    }

    /// Gives everybody the next token and answers who has ended. `on_text` hears every description so far and may stop
    /// all of it.
    ///
    /// # Errors
    /// [`MlError::Interrupted`] where `on_text` stops it; failed tensor operations, which concern everybody.
    pub fn step(
        &mut self,
        on_text: &mut dyn FnMut(Ticket, &SoFar<'_>) -> Result<(), Interrupted>,
    ) -> Result<Vec<Done>, MlError> {
        let leaving = self.choose()?;
        for member in self.members.iter().filter(|m| m.described.is_none()) {
            let so_far = SoFar {
                backbone: self.backbone,
                ids: member.search.ids(),
            };
            on_text(member.ticket, &so_far)?;
        }
        let mut done = Vec::new();
        for member in leaving {
            let ticket = member.ticket;
            match self.conclude(member) {
                Ok(None) => {}
                Ok(Some(described)) => done.push((ticket, Ok(described))),
                Err(error) => done.push((ticket, Err(error))),
            }
        }
        Ok(done)
    }

    /// Chooses the next token of every row and puts it through the decoder; answers those whose answer is over.
    fn choose(&mut self) -> Result<Vec<Member>, MlError> {
        let Some(last) = self.last.take() else {
            return Ok(Vec::new());
        };
        let mut choices = Choices::of(&self.backbone.logits(&last)?, &self.members)?;
        let (mut staying, mut leaving) = (Vec::new(), Vec::new());
        let (mut rows, mut ids, mut offset) = (Vec::new(), Vec::new(), 0);
        for mut member in self.members.drain(..) {
            let width = member.search.num_branches();
            let (cache, said) = (&self.cache, &member.said);
            let mut keep = |branch: usize| {
                Ok(Kept {
                    cache: cache.row(offset + branch)?,
                    said: said[branch].clone(),
                })
            };
            let turn = match &mut choices {
                Choices::Likeliest(next) => member.search.advance_plain(next[offset], &mut keep)?,
                Choices::Logits(all) => {
                    let logits = all.drain(..width).collect();
                    member.search.advance(logits, &mut keep)?
                }
            };
            match turn {
                Turn::Over => leaving.push(member),
                Turn::GoOn(parents) => {
                    rows.extend(parents.iter().map(|parent| offset + parent));
                    ids.extend(member.search.last_ids());
                    let said = parents.iter().map(|parent| member.said[*parent].clone());
                    member.said = said.collect();
                    staying.push(member);
                }
            }
            offset += width;
        }
        self.members = staying;
        self.cache.select(&rows)?;
        if !ids.is_empty() {
            self.hand_out(&ids)?;
        }
        Ok(leaving)
    }

    /// Puts a token a row through the decoder and gives its states to the branch that said it.
    fn hand_out(&mut self, ids: &[u32]) -> Result<(), MlError> {
        let last = self.backbone.step(ids, &mut self.cache)?;
        let branches = self.members.iter_mut().flat_map(|m| m.said.iter_mut());
        for (row, said) in branches.enumerate() {
            said.push(last.narrow(0, row, 1)?);
        }
        self.last = Some(last);
        Ok(())
    }

    /// What comes after an answer: message 3 behind a description, on the same cache; nothing behind the word.
    fn conclude(&mut self, member: Member) -> Result<Option<Described>, MlError> {
        let Member {
            ticket,
            ask,
            num_cut,
            seen,
            mut read,
            mut states,
            search,
            described,
            ..
        } = member;
        let best = search.best()?;
        let text = self.backbone.decode(&best.ids)?;
        if let Some(described) = described {
            return Ok(Some(Described {
                answer: text.trim().to_owned(),
                ..described
            }));
        }
        // 1. What went through the decoder, which the last token did not
        let num_tokens = best.ids.len() - usize::from(best.is_ended);
        read.extend(&best.ids[..best.ids.len() - 1]);
        states.extend(best.kept.said);
        let passed = Passed {
            ids: read,
            states,
            cache: best.kept.cache,
        };
        // 2. Message 3 behind it
        let text = match best.is_ended {
            true => text.trim().to_owned(),
            false => whole_sentences(&text),
        };
        let messages = [ask.request.as_str(), text.as_str(), ask.question.as_str()];
        let bare = self.backbone.sequence(&seen, &messages, Ending::Bare)?;
        let asked = self.backbone.sequence(&seen, &messages, Ending::Generate)?;
        let passed = passed.go_on(self.backbone, asked, &seen)?;
        let features = passed.features(bare.ids.len().min(self.backbone.facts().max_len))?;
        // 3. The word
        let short = GenerateSettings {
            max_new_tokens: ANSWER_TOKENS,
            ..GenerateSettings::default()
        };
        let member = Member {
            ticket,
            ask,
            num_cut,
            seen,
            read: Vec::new(),
            states: Vec::new(),
            said: vec![Vec::new()],
            search: Search::new(short, self.backbone.ends()),
            described: Some(Described {
                text,
                answer: String::new(),
                features,
                num_tokens,
                finished: best.is_ended,
                num_cut,
            }),
        };
        self.seat(member, passed)?;
        Ok(None)
    }
}

/// What tokens are chosen from.
enum Choices {
    /// The likeliest token of each row, where nobody asks for more.
    Likeliest(Vec<u32>),
    /// All logits of each row.
    Logits(Vec<Vec<f32>>),
}

impl Choices {
    fn of(logits: &Tensor, members: &[Member]) -> Result<Self, MlError> {
        Ok(
            match members.iter().all(|member| member.search.is_plain()) {
                true => Self::Likeliest(likeliest_of(logits)?),
                false => Self::Logits(rows_of(logits)?),
            },
        )
    }
}

/// Text up to its last full stop; all of it where it has none.
fn whole_sentences(text: &str) -> String {
    let end = text.rfind(['.', '!', '?']).map_or(text.len(), |at| at + 1);
    text[..end].trim().to_owned()
}

#[cfg(test)]
mod sentences {
    use super::*;

    #[test]
    fn a_cut_answer_ends_with_a_sentence() {
        assert_eq!(whole_sentences("It is sharp. The sky is"), "It is sharp.");
    }
}
