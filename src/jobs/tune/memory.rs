//! The most memory that the program held while a job ran.

use std::fs;

/// Forgets the peak so far, where the system lets a program do so.
pub(super) fn reset_peak() {
    // 5 is "the peak of resident memory" (proc(5)); elsewhere there is no such file, and the peak is not told.
    fs::write("/proc/self/clear_refs", "5").ok();
}

/// Bytes at the peak; `None` where the system does not tell.
pub(super) fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn a_running_program_has_a_peak() {
        super::reset_peak();
        assert!(super::peak().is_some_and(|bytes| bytes > 1 << 20));
    }
}
