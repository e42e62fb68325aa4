//! How much room there is.

use std::path::Path;

use sysinfo::Disks;

/// Bytes that are free where a path lies, or will lie; `None` where the system does not tell.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    // The nearest folder that is there already; links in it lead to other disks.
    let folder = path
        .ancestors()
        .find_map(|folder| folder.canonicalize().ok())?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    disks
        .iter()
        .filter(|disk| folder.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().components().count())
        .map(sysinfo::Disk::available_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_has_the_room_of_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let here = free_bytes(folder.path());
        let there = free_bytes(&folder.path().join("a/b/c"));
        assert_eq!(here.is_some(), there.is_some());
        if let Some(free) = here {
            assert!(free > 0);
        }
    }
}
