//! Whether a file reaches its own end. The JPEG decoder paints what is lacking grey and says nothing, so a
//! download that broke off would look like a bad picture; the markers tell.

use image::ImageFormat;

/// Whether the content reaches the end that its format demands. Formats whose decoders notice by themselves pass.
pub(super) fn reaches_its_end(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg_reaches_its_end(bytes),
        ImageFormat::WebP => riff_reaches_its_end(bytes),
        _ => true,
    }
}

/// Walks the markers of a JPEG (ITU-T T.81, annex B) up to the end-of-image marker.
fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(found) = next_marker(bytes, at) {
        let (marker, after) = found;
        match marker {
            0xD9 => return true,
            // Start, restarts and TEM stand alone; everything else has a length.
            0xD8 | 0xD0..=0xD7 | 0x01 => at = after,
            _ => {
                let Some(length) = bytes.get(after..after + 2) else {
                    return false;
                };
                at = after + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
    false
}

/// The next marker at or after `at`, skipping entropy-coded data, stuffed zeros and fill bytes.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|byte| *byte == 0xFF)? + 1;
        match *bytes.get(at)? {
            0x00 => at += 1,
            0xFF => {}
            marker => return Some((marker, at + 1)),
        }
    }
}

/// The RIFF header names the number of bytes that follow it.
fn riff_reaches_its_end(bytes: &[u8]) -> bool {
    bytes
        .get(4..8)
        .and_then(|size| size.try_into().ok())
        .is_some_and(|size| u64::from(u32::from_le_bytes(size)) + 8 <= bytes.len() as u64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A baseline JPEG of 8 x 8 pixels in four components: Adobe marker without a colour transform, tables of one
    /// code, every coefficient zero.
    pub(crate) fn cmyk_jpeg() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        bytes.extend(b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00");
        bytes.extend([0xFF, 0xDB, 0x00, 0x43, 0x00]);
        bytes.extend([1; 64]);
        bytes.extend([0xFF, 0xC0, 0x00, 0x14, 0x08, 0x00, 0x08, 0x00, 0x08, 0x04]);
        for component in 1..=4 {
            bytes.extend([component, 0x11, 0x00]);
        }
        for table in [0x00, 0x10] {
            bytes.extend([0xFF, 0xC4, 0x00, 0x14, table, 1]);
            bytes.extend([0; 16]);
        }
        bytes.extend([0xFF, 0xDA, 0x00, 0x0E, 0x04]);
        for component in 1..=4 {
            bytes.extend([component, 0x00]);
        }
        bytes.extend([0x00, 0x3F, 0x00, 0x00, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn a_jpeg_without_its_end_marker_is_cut_off() {
        let whole = cmyk_jpeg();
        assert!(jpeg_reaches_its_end(&whole));
        assert!(!jpeg_reaches_its_end(&whole[..whole.len() - 2]));
        assert!(!jpeg_reaches_its_end(&[0xFF, 0xD8, 0xFF]));
    }

    #[test]
    fn a_length_beyond_the_end_is_cut_off() {
        assert!(!jpeg_reaches_its_end(&[
            0xFF, 0xD8, 0xFF, 0xE1, 0xFF, 0xFF, 0x00
        ]));
    }
}
