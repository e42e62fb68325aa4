//! Whether the compressed data of a JPEG make exactly one picture. The decoder paints over damage and says nothing, so
//! a file with flipped or lost bytes would be judged as a bad picture; its Huffman codes (ITU-T T.81, annex F) tell.
//!
//! Sequential files are walked code by code, without making pixels. Progressive and arithmetic ones pass unlooked at.

/// Bytes behind the last code that are put up with: some encoders pad their data.
const MAX_LEFT_OVER: usize = 32;

/// What is wrong with the compressed data of a JPEG; `None` where nothing can be found.
pub(super) fn jpeg_fault(bytes: &[u8]) -> Option<&'static str> {
    let mut file = File::default();
    let mut at = 2;
    loop {
        let (marker, start) = next_marker(bytes, at)?;
        let segment = || {
            let length = bytes.get(start..start + 2)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            bytes.get(start + 2..start + length)
        };
        match marker {
            0xD8 | 0x01 | 0xD0..=0xD7 => {
                at = start;
                continue;
            }
            0xC0 | 0xC1 => file.frame = Frame::read(segment()?),
            0xC4 => file.read_tables(segment()?)?,
            // Other ways to compress, and the end of the picture.
            0xC2 | 0xC3 | 0xC5..=0xCF | 0xD9 => return None,
            0xDD => file.restart_interval = usize::from(number(segment()?, 0)?),
            0xDA => {
                let header = segment()?;
                let mut bits = Bits::new(bytes, start + 2 + header.len());
                if let Err(fault) = file.walk_scan(header, &mut bits)? {
                    return Some(fault);
                }
                at = bits.at;
                continue;
            }
            _ => {}
        }
        at = start + 2 + segment()?.len();
    }
}

/// The marker at or after `at`, and where it ends.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xFF)? + 1;
        match *bytes.get(at)? {
            0x00 | 0xFF => {}
            marker => return Some((marker, at + 1)),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// What the headers have said so far.
#[derive(Default)]
struct File {
    frame: Option<Frame>,
    /// Tables of DC codes, then of AC codes.
    tables: [[Option<Codes>; 4]; 2],
    restart_interval: usize,
}

/// Size and components of the picture.
struct Frame {
    width: usize,
    height: usize,
    /// Number, horizontal and vertical sampling.
    components: Vec<[usize; 3]>,
}

/// A component of a scan: blocks of it in a unit, and its tables of DC and AC codes.
type Part<'a> = (usize, &'a Codes, &'a Codes);

impl Frame {
    fn read(segment: &[u8]) -> Option<Self> {
        let components = segment.get(6..)?.chunks_exact(3).map(|component| {
            let [number, sampling] = [component[0], component[1]].map(usize::from);
            [number, sampling >> 4, sampling & 15]
        });
        let frame = Self {
            height: number(segment, 1)?.into(),
            width: number(segment, 3)?.into(),
            components: components.collect(),
        };
        (frame.width > 0 && frame.height > 0).then_some(frame)
    }

    fn most(&self, which: usize) -> usize {
        let components = self.components.iter().map(|component| component[which]);
        components.max().unwrap_or(1).max(1)
    }

    /// Units of a scan: whole ones of all components, or the blocks of a single one.
    fn num_units(&self, only: Option<&[usize; 3]>) -> usize {
        let [across, down] = [self.most(1), self.most(2)];
        match only {
            None => self.width.div_ceil(8 * across) * self.height.div_ceil(8 * down),
            Some([_, h, v]) => {
                (self.width * h).div_ceil(across).div_ceil(8)
                    * (self.height * v).div_ceil(down).div_ceil(8)
            }
        }
    }
}

impl File {
    fn read_tables(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = segment {
            let (counts, rest) = rest.split_at_checked(16)?;
            let num_symbols = counts.iter().copied().map(usize::from).sum();
            let (symbols, rest) = rest.split_at_checked(num_symbols)?;
            let tables = self.tables.get_mut(usize::from(kind >> 4))?;
            *tables.get_mut(usize::from(kind & 15))? = Some(Codes::new(counts, symbols));
            segment = rest;
        }
        Some(())
    }

    /// Walks all codes of a scan; `None` where the headers do not allow it.
    fn walk_scan(&self, header: &[u8], bits: &mut Bits<'_>) -> Option<Result<(), &'static str>> {
        let frame = self.frame.as_ref()?;
        let count = usize::from(*header.first()?);
        let table = |class: usize, id: u8| self.tables[class].get(usize::from(id))?.as_ref();
        let mut parts: Vec<Part<'_>> = Vec::with_capacity(count);
        let mut only = None;
        for choice in header.get(1..=2 * count)?.chunks_exact(2) {
            let mut components = frame.components.iter();
            let component = components.find(|component| component[0] == usize::from(choice[0]))?;
            only = (count == 1).then_some(component);
            let num_blocks = only.map_or(component[1] * component[2], |_| 1);
            parts.push((
                num_blocks,
                table(0, choice[1] >> 4)?,
                table(1, choice[1] & 15)?,
            ));
        }
        Some(self.walk_units(frame.num_units(only), &parts, bits))
    }

    fn walk_units(
        &self,
        num_units: usize,
        parts: &[Part<'_>],
        bits: &mut Bits<'_>,
    ) -> Result<(), &'static str> {
        for unit in 0..num_units {
            let interval = self.restart_interval;
            if interval > 0 && unit > 0 && unit % interval == 0 {
                bits.restart()?;
            }
            for (num_blocks, dc, ac) in parts {
                for _ in 0..*num_blocks {
                    walk_block(dc, ac, bits)?;
                }
            }
        }
        bits.end()
    }
}

/// The codes of one block of 8 x 8 coefficients: one for the mean, the others for runs of zeros and what ends them.
fn walk_block(dc: &Codes, ac: &Codes, bits: &mut Bits<'_>) -> Result<(), &'static str> {
    let length = dc.next(bits)?;
    bits.skip(length.min(16))?;
    let mut position = 1;
    while position < 64 {
        let symbol = ac.next(bits)?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => position += 16,
            (_, 0) => return Ok(()),
            (zeros, length) => {
                position += usize::from(zeros) + 1;
                bits.skip(length)?;
            }
        }
    }
    match position {
        64 => Ok(()),
        _ => Err("a block of its data holds more than 64 coefficients"),
    }
}

/// A Huffman table: the symbol and length of whatever 16 bits begin with.
struct Codes(Vec<(u8, u8)>);

impl Codes {
    fn new(counts: &[u8], symbols: &[u8]) -> Self {
        let mut table = Vec::with_capacity(1 << 16);
        let mut symbols = symbols.iter();
        for (length, count) in (1u8..).zip(counts) {
            for symbol in symbols.by_ref().take(usize::from(*count)) {
                let end = table.len() + (1 << (16 - length));
                table.resize(end.min(1 << 16), (*symbol, length));
            }
        }
        // A length of 0: no code begins like this.
        table.resize(1 << 16, (0, 0));
        Self(table)
    }

    fn next(&self, bits: &mut Bits<'_>) -> Result<u8, &'static str> {
        let (symbol, length) = self.0[usize::from(bits.peek())];
        if length == 0 {
            return Err("its data hold a code that is in none of its tables");
        }
        bits.skip(length)?;
        Ok(symbol)
    }
}

/// Bits of a scan, most significant first, without the zeros that are stuffed behind 0xFF.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    num_held: u8,
}

impl<'a> Bits<'a> {
    const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            held: 0,
            num_held: 0,
        }
    }

    /// Takes bytes in until a marker stands in the way.
    fn fill(&mut self) {
        while self.num_held <= 40 {
            match self.bytes.get(self.at..) {
                Some([0xFF, 0x00, ..]) => self.take(0xFF, 2),
                Some([byte, ..]) if *byte != 0xFF => self.take(*byte, 1),
                _ => return,
            }
        }
    }

    fn take(&mut self, byte: u8, len: usize) {
        self.held = self.held << 8 | u64::from(byte);
        self.num_held += 8;
        self.at += len;
    }

    /// The next 16 bits; ones where the data end, as encoders pad.
    fn peek(&mut self) -> u16 {
        if self.num_held < 16 {
            self.fill();
        }
        let held = self.held << 16 | 0xFFFF;
        (held >> self.num_held) as u16
    }

    fn skip(&mut self, num_bits: u8) -> Result<(), &'static str> {
        if self.num_held < num_bits {
            self.fill();
        }
        self.num_held = self
            .num_held
            .checked_sub(num_bits)
            .ok_or("its data end before the picture does")?;
        Ok(())
    }

    /// Nothing but padding may stand between the last code and the next marker.
    fn end(&mut self) -> Result<(), &'static str> {
        let mut left = usize::from(self.num_held / 8);
        loop {
            self.num_held = 0;
            self.fill();
            if self.num_held == 0 {
                break;
            }
            left += usize::from(self.num_held / 8);
        }
        match left > MAX_LEFT_OVER {
            true => Err("its data go on after the picture has ended"),
            false => Ok(()),
        }
    }

    /// Goes on behind a restart marker.
    fn restart(&mut self) -> Result<(), &'static str> {
        self.end()?;
        match next_marker(self.bytes, self.at) {
            Some((0xD0..=0xD7, after)) => {
                self.at = after;
                Ok(())
            }
            _ => Err("a restart marker is not where it should be"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::Picture;
    use crate::media::encode_jpeg;

    /// A JPEG with enough in it that damage cannot hide.
    fn jpeg() -> Vec<u8> {
        let rgb: Vec<u8> = (0..96 * 64 * 3_u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 25) as u8)
            .collect();
        let picture = Picture {
            width: 96,
            height: 64,
            rgb: Arc::from(rgb),
        };
        encode_jpeg(&picture, 90).expect("a small picture can be encoded")
    }

    #[test]
    fn a_whole_jpeg_has_no_fault() {
        assert_eq!(jpeg_fault(&jpeg()), None);
        assert_eq!(jpeg_fault(&super::super::whole::tests::cmyk_jpeg()), None);
    }

    #[test]
    fn bytes_lost_from_the_middle_are_noticed_though_the_end_is_there() {
        let whole = jpeg();
        for (from, len) in [(whole.len() / 2, 100), (whole.len() * 3 / 4, 400)] {
            let mut cut = whole.clone();
            cut.drain(from..from + len);
            assert!(cut.ends_with(&[0xFF, 0xD9]));
            assert!(jpeg_fault(&cut).is_some(), "{len} bytes lost at {from}");
        }
    }

    #[test]
    fn a_stretch_of_zeros_is_noticed() {
        let mut zeroed = jpeg();
        let half = zeroed.len() / 2;
        zeroed[half..half + 512].fill(0);
        assert!(jpeg_fault(&zeroed).is_some());
    }

    #[test]
    fn headers_that_make_no_sense_are_left_to_the_decoder() {
        let whole = jpeg();
        for end in 0..200 {
            jpeg_fault(&whole[..end]);
        }
        assert_eq!(jpeg_fault(&[]), None);
    }
}
