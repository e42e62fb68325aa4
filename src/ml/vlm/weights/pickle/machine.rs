//! The pickle language (protocols 0 to 5, the part that checkpoints use), read as data: classes are names, calls are
//! noted and never made, so no byte of a file can run anything.
//!
//! **Source** `CPython`'s `Lib/pickletools.py`, which documents every opcode.

use std::collections::HashMap;
use std::io::Read;

use candle_core::{Result, bail};

/// Most objects of one pickle: a checkpoint has some per tensor.
const MAX_OBJECTS: usize = 5_000_000;
/// Longest text or byte string.
const MAX_TEXT: u64 = 1 << 28;

/// Number of an object in a [`Heap`].
pub(super) type Id = usize;

/// One object.
#[derive(Debug, Clone)]
pub(super) enum Node {
    None,
    Bool,
    Int(i64),
    Float,
    Text(String),
    Bytes,
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// A dictionary, or an object of a class that behaves like one.
    Dict(Vec<(Id, Id)>),
    /// `module.name`.
    Class(String),
    /// What a class or function would be called with; items that are set on the result are kept.
    Call {
        callee: Id,
        args: Id,
        items: Vec<(Id, Id)>,
    },
    /// What lies outside the pickle: a tensor's storage.
    Persistent(Id),
}

/// All objects of a pickle, and the one that it stands for.
#[derive(Debug)]
pub(super) struct Heap {
    nodes: Vec<Node>,
    root: Id,
}

impl Heap {
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) const fn root(&self) -> Id {
        self.root
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn class(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Class(name) => Some(name),
            _ => None,
        }
    }

    /// Members of a tuple or list.
    pub(super) fn members(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(members) | Node::List(members) => Some(members),
            _ => None,
        }
    }

    /// Entries of a dictionary or of an object that behaves like one, in their order; later ones win.
    pub(super) fn items(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(items) | Node::Call { items, .. } => Some(items),
            _ => None,
        }
    }

    /// The value of a text key.
    pub(super) fn get(&self, id: Id, key: &str) -> Option<Id> {
        let mut items = self.items(id)?.iter().rev();
        items
            .find(|(name, _)| self.text(*name) == Some(key))
            .map(|(_, value)| *value)
    }
}

/// Reads one pickle.
///
/// # Errors
/// Opcodes that no checkpoint uses, and bytes that are no pickle.
pub(super) fn read(input: impl Read) -> Result<Heap> {
    let mut machine = Machine {
        input,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let op = machine.byte()?;
        if op == b'.' {
            let root = machine.pop()?;
            return Ok(Heap {
                nodes: machine.nodes,
                root,
            });
        }
        machine.step(op)?;
    }
}

struct Machine<R> {
    input: R,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<R: Read> Machine<R> {
    fn step(&mut self, op: u8) -> Result<()> {
        match op {
            // Protocol number, frame: nothing to do
            0x80 => self.skip(1),
            0x95 => self.skip(8),
            // Constants and numbers
            b'N' => self.push(Node::None),
            0x88 | 0x89 => self.push(Node::Bool),
            b'K' | b'M' | b'J' | b'I' | b'L' | 0x8a | 0x8b => self.integer(op),
            b'G' => {
                self.skip(8)?;
                self.push(Node::Float)
            }
            b'F' => {
                self.line()?;
                self.push(Node::Float)
            }
            // Text and bytes
            b'X' | 0x8c | 0x8d | b'U' | b'T' | b'V' | b'S' => self.string(op),
            b'B' | b'C' | 0x8e | 0x96 => self.skip_bytes(op),
            // Containers
            b')' => self.push(Node::Tuple(Vec::new())),
            b']' | 0x8f => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b't' | b'l' | b'd' | 0x91 | 0x85..=0x87 => self.gather(op),
            b'a' | b'e' | 0x90 => self.append(op),
            b's' | b'u' => self.set(op),
            // The stack and the memo
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(|_| ()),
            b'1' => self.take_to_mark().map(|_| ()),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            b'q' | b'r' | b'p' | 0x94 => self.remember(op),
            b'h' | b'j' | b'g' => self.recall(op),
            // Classes and calls
            b'c' | 0x93 => self.name_class(op),
            b'R' | 0x81 | 0x92 | b'o' | b'i' => self.call(op),
            // State that is set on an object: it says nothing of tensors
            b'b' => self.pop().map(|_| ()),
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))
            }
            other => bail!("opcode {other:#04x} is in no checkpoint that is known here"),
        }
    }

    fn integer(&mut self, op: u8) -> Result<()> {
        let value = match op {
            b'K' => i64::from(self.byte()?),
            b'M' => self.number(2)? as i64,
            b'J' => i64::from(self.number(4)? as u32 as i32),
            0x8a => {
                let len = u64::from(self.byte()?);
                self.long(len)?
            }
            0x8b => {
                let len = self.number(4)?;
                self.long(len)?
            }
            _ => {
                let text = self.line()?;
                match text.trim_end_matches('L') {
                    // Protocol 0 writes truth values as numbers with a leading zero.
                    "00" | "01" => return self.push(Node::Bool),
                    digits => digits.parse().unwrap_or(i64::MAX),
                }
            }
        };
        self.push(Node::Int(value))
    }

    /// A little-endian two's complement number; what does not fit 64 bits is cut to the largest.
    fn long(&mut self, len: u64) -> Result<i64> {
        if len > 8 {
            self.skip(len)?;
            return Ok(i64::MAX);
        }
        let value = self.number(len as usize)?;
        let unused = 64 - 8 * len as u32;
        Ok(if len == 0 {
            0
        } else {
            ((value << unused) as i64) >> unused
        })
    }

    fn string(&mut self, op: u8) -> Result<()> {
        let text = match op {
            b'V' | b'S' => {
                let line = self.line()?;
                line.trim_matches(['\'', '"']).to_owned()
            }
            _ => {
                let len = match op {
                    0x8c | b'U' => u64::from(self.byte()?),
                    0x8d => self.number(8)?,
                    _ => self.number(4)?,
                };
                let bytes = self.bytes(len)?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        self.push(Node::Text(text))
    }

    fn skip_bytes(&mut self, op: u8) -> Result<()> {
        let len = match op {
            b'C' => u64::from(self.byte()?),
            b'B' => self.number(4)?,
            _ => self.number(8)?,
        };
        self.skip(len)?;
        self.push(Node::Bytes)
    }

    fn gather(&mut self, op: u8) -> Result<()> {
        let members = match op {
            0x85..=0x87 => {
                let count = usize::from(op - 0x84);
                let Some(start) = self.stack.len().checked_sub(count) else {
                    bail!("a tuple of more members than there are")
                };
                self.stack.split_off(start)
            }
            _ => self.take_to_mark()?,
        };
        self.push(match op {
            b'l' | 0x91 => Node::List(members),
            b'd' => Node::Dict(pairs(&members)?),
            _ => Node::Tuple(members),
        })
    }

    fn append(&mut self, op: u8) -> Result<()> {
        let new = if op == b'a' {
            vec![self.pop()?]
        } else {
            self.take_to_mark()?
        };
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::List(members) => members.extend(new),
            // Lists of a class of their own hold no tensors of ours.
            Node::Call { .. } => {}
            other => bail!("expected a list, got {other:?}"),
        }
        Ok(())
    }

    fn set(&mut self, op: u8) -> Result<()> {
        let new = if op == b's' {
            let value = self.pop()?;
            vec![(self.pop()?, value)]
        } else {
            pairs(&self.take_to_mark()?)?
        };
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::Dict(items) | Node::Call { items, .. } => items.extend(new),
            other => bail!("expected a dictionary, got {other:?}"),
        }
        Ok(())
    }

    fn remember(&mut self, op: u8) -> Result<()> {
        let key = match op {
            b'q' => u64::from(self.byte()?),
            b'r' => self.number(4)?,
            b'p' => self.line_number()?,
            _ => self.memo.len() as u64,
        };
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, op: u8) -> Result<()> {
        let key = match op {
            b'h' => u64::from(self.byte()?),
            b'j' => self.number(4)?,
            _ => self.line_number()?,
        };
        match self.memo.get(&key) {
            Some(id) => self.stack.push(*id),
            None => bail!("nothing was remembered under {key}"),
        }
        Ok(())
    }

    fn name_class(&mut self, op: u8) -> Result<()> {
        let name = if op == b'c' {
            let module = self.line()?;
            format!("{module}.{}", self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (&self.nodes[module], &self.nodes[name]) {
                (Node::Text(module), Node::Text(name)) => format!("{module}.{name}"),
                _ => bail!("a class without a name"),
            }
        };
        self.push(Node::Class(name))
    }

    fn call(&mut self, op: u8) -> Result<()> {
        let (callee, args) = match op {
            b'R' | 0x81 => {
                let args = self.pop()?;
                (self.pop()?, args)
            }
            0x92 => {
                self.pop()?;
                let args = self.pop()?;
                (self.pop()?, args)
            }
            b'i' => {
                let module = self.line()?;
                let name = format!("{module}.{}", self.line()?);
                let args = self.take_to_mark()?;
                let args = self.add(Node::Tuple(args))?;
                (self.add(Node::Class(name))?, args)
            }
            _ => {
                let mut members = self.take_to_mark()?.into_iter();
                let Some(callee) = members.next() else {
                    bail!("a call of nothing")
                };
                (callee, self.add(Node::Tuple(members.collect()))?)
            }
        };
        self.push(Node::Call {
            callee,
            args,
            items: Vec::new(),
        })
    }

    fn add(&mut self, node: Node) -> Result<Id> {
        if self.nodes.len() >= MAX_OBJECTS {
            bail!("more than {MAX_OBJECTS} objects: this is no checkpoint")
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn push(&mut self, node: Node) -> Result<()> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id> {
        match self.stack.pop() {
            Some(id) => Ok(id),
            None => bail!("it takes more than it has"),
        }
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(id) => Ok(*id),
            None => bail!("it takes more than it has"),
        }
    }

    fn take_to_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => bail!("a list without a beginning"),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// A little-endian number of up to eight bytes.
    fn number(&mut self, len: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes[..len])?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        if len > MAX_TEXT {
            bail!("a text of {len} bytes: this is no checkpoint")
        }
        let mut bytes = vec![0; len as usize];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, len: u64) -> Result<()> {
        let skipped = std::io::copy(&mut self.input.by_ref().take(len), &mut std::io::sink())?;
        if skipped < len {
            bail!("it ends in the middle")
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                byte if line.len() < 1 << 16 => line.push(byte),
                _ => bail!("a line without an end"),
            }
        }
    }

    fn line_number(&mut self) -> Result<u64> {
        let line = self.line()?;
        match line.parse() {
            Ok(number) => Ok(number),
            Err(_) => bail!("expected a number, got {line:?}"),
        }
    }
}

fn pairs(members: &[Id]) -> Result<Vec<(Id, Id)>> {
    if !members.len().is_multiple_of(2) {
        bail!("a key without a value")
    }
    Ok(members
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_shared_is_seen_in_all_its_places() -> Result<()> {
        // d = {}; x = {'a': d, 'b': d}; d['n'] = -2 after both were stored (protocol 2).
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01}q\x02X\x01\x00\x00\x00nJ\xfe\xff\xff\xffsX\x01\x00\x00\x00bh\x02u.";
        let heap = read(&bytes[..])?;
        for key in ["a", "b"] {
            let inner = heap.get(heap.root(), key).and_then(|id| heap.get(id, "n"));
            assert_eq!(inner.and_then(|id| heap.int(id)), Some(-2));
        }
        Ok(())
    }

    #[test]
    fn calls_are_noted_and_never_made() -> Result<()> {
        let heap = read(&b"cos\nsystem\n(S'echo'\ntR."[..])?;
        let Node::Call { callee, args, .. } = heap.node(heap.root()) else {
            panic!("expected a call");
        };
        assert_eq!(heap.class(*callee), Some("os.system"));
        assert_eq!(heap.members(*args).map(<[Id]>::len), Some(1));
        Ok(())
    }

    #[test]
    fn bytes_that_are_no_pickle_are_refused() {
        for bytes in [
            &b""[..],
            b"\xff",
            b".",
            b"t.",
            b"(",
            b"h\x07.",
            b"X\xff\xff\xff\xff",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
