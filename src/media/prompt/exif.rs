//! The few EXIF fields in which generators leave text: a reader of TIFF directories that trusts no offset.

use super::Text;

const IMAGE_DESCRIPTION: u16 = 0x010E;
const MAKE: u16 = 0x010F;
const MODEL: u16 = 0x0110;
const SOFTWARE: u16 = 0x0131;
const EXIF_DIRECTORY: u16 = 0x8769;
const USER_COMMENT: u16 = 0x9286;

/// Entries beyond this many in one directory are not looked at; cameras write fewer than a hundred.
const MAX_ENTRIES: usize = 512;

/// Texts of the main and the EXIF directory, keyed by field name.
pub(super) fn texts(exif: &[u8]) -> Vec<Text> {
    let data = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let Some(tiff) = Tiff::new(data) else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    let mut entries = tiff
        .u32(4)
        .map_or_else(Vec::new, |at| tiff.directory(at as usize));
    let nested: Vec<Entry> = entries
        .iter()
        .filter(|entry| entry.tag == EXIF_DIRECTORY)
        .filter_map(|entry| tiff.u32(entry.at + 8))
        .flat_map(|at| tiff.directory(at as usize))
        .collect();
    entries.extend(nested);
    for entry in entries {
        let key = match entry.tag {
            IMAGE_DESCRIPTION => "Description",
            MAKE => "Make",
            MODEL => "Model",
            SOFTWARE => "Software",
            USER_COMMENT => "UserComment",
            _ => continue,
        };
        let Some(bytes) = tiff.bytes(&entry) else {
            continue;
        };
        let value = if entry.tag == USER_COMMENT {
            user_comment(bytes)
        } else {
            String::from_utf8_lossy(bytes).into_owned()
        };
        let value = value.trim_end_matches('\0').to_owned();
        if !value.trim().is_empty() {
            texts.push(Text {
                key: key.to_owned(),
                value,
            });
        }
    }
    texts
}

/// A directory entry: 12 bytes from `at`.
struct Entry {
    tag: u16,
    at: usize,
}

struct Tiff<'a> {
    data: &'a [u8],
    big_endian: bool,
}

impl<'a> Tiff<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        let big_endian = match data.get(..4)? {
            b"MM\0*" => true,
            b"II*\0" => false,
            _ => return None,
        };
        Some(Self { data, big_endian })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.data.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.data.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn directory(&self, at: usize) -> Vec<Entry> {
        let count = usize::from(self.u16(at).unwrap_or(0)).min(MAX_ENTRIES);
        (0..count)
            .map_while(|entry_idx| {
                let at = at + 2 + 12 * entry_idx;
                Some(Entry {
                    tag: self.u16(at)?,
                    at,
                })
            })
            .collect()
    }

    /// The entry's value, for fields of one byte an element.
    fn bytes(&self, entry: &Entry) -> Option<&'a [u8]> {
        let kind = self.u16(entry.at + 2)?;
        let count = self.u32(entry.at + 4)? as usize;
        if !matches!(kind, 1 | 2 | 7) {
            return None;
        }
        let start = if count <= 4 {
            entry.at + 8
        } else {
            self.u32(entry.at + 8)? as usize
        };
        self.data.get(start..start.checked_add(count)?)
    }
}

/// Eight bytes of charset, then text. Under `UNICODE` writers differ in byte order and some put UTF-8:
/// the reading with the fewest control and private characters is taken.
fn user_comment(bytes: &[u8]) -> String {
    let Some((charset, text)) = bytes.split_at_checked(8) else {
        return String::from_utf8_lossy(bytes).into_owned();
    };
    if charset != b"UNICODE\0" {
        let text = if charset.is_ascii() { text } else { bytes };
        return String::from_utf8_lossy(text).into_owned();
    }
    let wide = |join: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = text
            .chunks_exact(2)
            .map(|pair| join([pair[0], pair[1]]))
            .collect();
        String::from_utf16_lossy(&units)
    };
    let readings = [
        wide(u16::from_be_bytes),
        wide(u16::from_le_bytes),
        String::from_utf8_lossy(text).into_owned(),
    ];
    readings
        .into_iter()
        .min_by_key(|reading| oddness(reading))
        .unwrap_or_default()
}

/// Counts characters that a prompt hardly holds. English text in the wrong byte order becomes CJK and
/// symbols beyond Latin, so those weigh too, lightly: real Chinese prompts have no competing reading.
fn oddness(text: &str) -> usize {
    text.chars()
        .map(|letter| match letter {
            '\n' | '\r' | '\t' => 0,
            '\u{fffd}' => 8,
            letter if letter.is_control() => 8,
            '\u{e000}'..='\u{f8ff}' => 8,
            letter if letter.is_ascii() => 0,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif_with_comment(comment: &[u8]) -> Vec<u8> {
        let mut data = b"MM\0*\0\0\0\x08".to_vec();
        data.extend(b"\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0");
        data.extend(b"\0\x01\x92\x86\0\x07");
        data.extend((comment.len() as u32).to_be_bytes());
        data.extend(44_u32.to_be_bytes());
        data.extend([0; 4]);
        data.extend(comment);
        data
    }

    #[test]
    fn a_comment_is_read_in_either_byte_order() {
        for join in [u16::to_be_bytes, u16::to_le_bytes] {
            let mut comment = b"UNICODE\0".to_vec();
            comment.extend("a red fox".encode_utf16().flat_map(join));
            let found = texts(&exif_with_comment(&comment));
            assert_eq!(found[0].value, "a red fox");
        }
    }

    #[test]
    fn an_ascii_comment_is_read() {
        let found = texts(&exif_with_comment(b"ASCII\0\0\0a red fox"));
        assert_eq!(found[0].value, "a red fox");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let mut exif = b"II*\0".to_vec();
            exif.extend(&bytes);
            texts(&exif);
            texts(&bytes);
        }
    }
}
