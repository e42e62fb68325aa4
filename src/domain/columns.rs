//! Names under which a table's column of pictures is known, to whoever reads the table or asks about it.

/// Names of the column that says which picture a row is about, most specific first.
pub const IMAGE_COLUMNS: [&str; 11] = [
    "image_path",
    "file_name",
    "filename",
    "img_path",
    "image_name",
    "img_name",
    "path",
    "file",
    "image",
    "img",
    "name",
];

/// A column's name as names are compared: lower case, with `_` for blanks, hyphens and dots.
pub fn plain_column(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

/// Whether a column says which picture a row is about.
pub fn is_image_column(name: &str) -> bool {
    IMAGE_COLUMNS.contains(&plain_column(name).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_blanks_and_hyphens_do_not_matter() {
        for name in ["image_path", " Image Path ", "IMAGE-PATH", "file.name"] {
            assert!(is_image_column(name), "{name}");
        }
        assert!(!is_image_column("picture"));
    }
}
