//! Whether a teacher is there, and its keys: asked for before any picture is sent.

use crate::jobs::context::EventSender;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::message::Event;
use crate::jobs::message::TeacherAddress;
use crate::net::Secret;
use crate::net::teacher::Teacher;

use super::keys;

/// Asks a teacher whether it is there, takes the keys, and has the model.
pub(in crate::jobs) fn greet(
    teacher: TeacherAddress,
    seed: u64,
    context: &mut JobContext,
) -> Result<String, JobError> {
    context.progress(0, 0, "Waiting for an answer")?;
    let asked = ask(&teacher, seed);
    context.check()?;
    let outcome = match &asked {
        Ok(words) => Ok(words.clone()),
        Err(error) => Err(error.to_string()),
    };
    let event = Event::TeacherGreeted(teacher, outcome);
    context.events().send(event);
    asked
}

fn ask(teacher: &TeacherAddress, seed: u64) -> Result<String, JobError> {
    let found = keys::find(teacher.kind, &teacher.base, &teacher.key_variable)?;
    let named = (found.place.as_str(), found.keys);
    let teacher = Teacher::new(teacher.kind, &teacher.base, &teacher.model, named, seed)?;
    Ok(teacher.greet()?)
}

/// Says where a teacher's keys are.
pub(in crate::jobs) fn tell_key(events: &EventSender, teacher: TeacherAddress) {
    let source = keys::look(teacher.kind, &teacher.base, &teacher.key_variable);
    events.send(Event::KeyFound(teacher, source));
}

/// Keeps a key, or takes it away, and says where it is then.
pub(in crate::jobs) fn keep_key(
    teacher: TeacherAddress,
    key: Option<&Secret>,
    context: &mut JobContext,
) -> Result<String, JobError> {
    context.check()?;
    let words = keys::keep(&teacher.base, &teacher.key_variable, key)?;
    tell_key(context.events(), teacher);
    Ok(words)
}
