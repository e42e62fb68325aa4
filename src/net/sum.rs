//! The SHA-256 of a file on this machine.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;

use sha2::Digest as _;
use sha2::Sha256;

use crate::domain::ContentHash;
use crate::domain::Interrupted;

/// Bytes read at once.
const CHUNK: usize = 1024 * 1024;

/// Length and SHA-256 (64 hexadecimal digits) of a file; `read` hears how many bytes came with every piece, and may end
/// it: the inner error.
///
/// # Errors
/// A file that cannot be read.
pub fn sum_of(
    path: &Path,
    read: &mut dyn FnMut(u64) -> Result<(), Interrupted>,
) -> io::Result<Result<(u64, String), Interrupted>> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut len = 0;
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(Ok((len, ContentHash(hasher.finalize().into()).to_string())));
        }
        hasher.update(&chunk[..count]);
        len += count as u64;
        if let Err(stop) = read(count as u64) {
            return Ok(Err(stop));
        }
    }
}
