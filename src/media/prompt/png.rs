//! Text chunks of a PNG: `tEXt`, `zTXt`, `iTXt` and `eXIf`, before and after the pixels.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::MAX_TEXT_BYTES;
use super::Text;
use super::exif;

/// Every text of the file; damaged chunks are passed over.
pub(super) fn texts(bytes: &[u8]) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut rest = bytes.get(8..).unwrap_or_default();
    // Length, type, data, CRC. The CRC is left alone: a text with a wrong one is still worth showing.
    while let Some((header, after)) = rest.split_at_checked(8) {
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some((data, after)) = after.split_at_checked(length) else {
            break;
        };
        match &header[4..] {
            b"tEXt" => texts.extend(plain(data)),
            b"zTXt" => texts.extend(deflated(data)),
            b"iTXt" => texts.extend(international(data)),
            b"eXIf" => texts.extend(exif::texts(data)),
            b"IEND" => break,
            _ => {}
        }
        rest = after.get(4..).unwrap_or_default();
    }
    texts
}

/// Keyword, zero, Latin-1 text.
fn plain(data: &[u8]) -> Option<Text> {
    let (key, value) = split_at_zero(data)?;
    Some(Text {
        key: latin1(key),
        value: utf8_or_latin1(value),
    })
}

/// Keyword, zero, method, deflated Latin-1 text.
fn deflated(data: &[u8]) -> Option<Text> {
    let (key, value) = split_at_zero(data)?;
    Some(Text {
        key: latin1(key),
        value: utf8_or_latin1(&inflate(value.get(1..)?)?),
    })
}

/// Keyword, zero, flag, method, language, zero, translated keyword, zero, UTF-8 text.
fn international(data: &[u8]) -> Option<Text> {
    let (key, rest) = split_at_zero(data)?;
    let (flags, rest) = rest.split_at_checked(2)?;
    let (_language, rest) = split_at_zero(rest)?;
    let (_translated, text) = split_at_zero(rest)?;
    let value = if flags[0] == 1 {
        String::from_utf8_lossy(&inflate(text)?).into_owned()
    } else {
        String::from_utf8_lossy(text).into_owned()
    };
    Some(Text {
        key: latin1(key),
        value,
    })
}

fn split_at_zero(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let zero = data.iter().position(|byte| *byte == 0)?;
    Some((&data[..zero], &data[zero + 1..]))
}

/// The cap keeps a few kilobytes from unfolding into gigabytes.
fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(data)
        .take(MAX_TEXT_BYTES)
        .read_to_end(&mut text)
        .ok()?;
    Some(text)
}

/// The format says Latin-1; some writers put UTF-8 there all the same.
fn utf8_or_latin1(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| latin1(bytes), str::to_owned)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    /// A PNG of nothing but its signature and the given chunks.
    pub(in crate::media::prompt) fn png_of(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in chunks {
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(*kind);
            bytes.extend(data);
            bytes.extend([0; 4]);
        }
        bytes
    }

    fn zlib(text: &str) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder
            .write_all(text.as_bytes())
            .expect("a vector takes everything");
        encoder.finish().expect("a vector takes everything")
    }

    #[test]
    fn the_three_kinds_of_text_are_read_also_after_the_pixels() {
        let mut packed = b"zipped\0\0".to_vec();
        packed.extend(zlib("caf\u{e9}"));
        let mut international = b"uni\0\x01\0de\0\0".to_vec();
        international.extend(zlib("\u{732b}"));
        let png = png_of(&[
            (b"tEXt", b"plain\0caf\xe9".to_vec()),
            (b"IDAT", vec![1, 2, 3]),
            (b"zTXt", packed),
            (b"iTXt", international),
            (b"IEND", Vec::new()),
        ]);
        let found = texts(&png);
        let values: Vec<&str> = found.iter().map(|text| text.value.as_str()).collect();
        assert_eq!(values, ["caf\u{e9}", "caf\u{e9}", "\u{732b}"]);
    }

    #[test]
    fn a_chunk_longer_than_the_file_ends_the_walk() {
        let mut png = png_of(&[(b"tEXt", b"a\0b".to_vec())]);
        png.extend([0xFF, 0xFF, 0xFF, 0xFF, b't', b'E', b'X', b't', b'x']);
        assert_eq!(texts(&png).len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_walk_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
            png.extend(&bytes);
            texts(&png);
            texts(&bytes);
        }
    }
}
