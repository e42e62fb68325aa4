//! Which column of a table means what: known names of several tools, or a mapping given by the user.

use std::path::Path;

use super::error::DatasetError;
use crate::domain::Aspect;
use crate::domain::IMAGE_COLUMNS;
use crate::domain::plain_column as plain;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Path,
    Prompt,
    Generator,
    Style,
    /// Tags with semicolons between them.
    Tags,
    /// A modifier of the prompt that becomes a tag; there may be several such columns.
    Adjective,
    /// The aspect that this row's opinion score is about, in tables of one row an image and aspect.
    AspectName,
    /// `None`: of the row's aspect, or of quality.
    Mos(Option<Aspect>),
    Std(Option<Aspect>),
    NumRatings(Option<Aspect>),
    /// `None`: of every aspect.
    Split(Option<Aspect>),
    /// Not read.
    Other,
}

/// Names that stand alone besides those of the picture's column, most specific first: of two columns with the same
/// meaning the earlier name wins.
const NAMES: [(&str, Field); 22] = [
    ("prompt", Field::Prompt),
    ("text_prompt", Field::Prompt),
    ("positive_prompt", Field::Prompt),
    ("caption", Field::Prompt),
    ("text", Field::Prompt),
    ("generator", Field::Generator),
    ("model_name", Field::Generator),
    ("model", Field::Generator),
    ("style", Field::Style),
    ("tags", Field::Tags),
    ("defects", Field::Tags),
    ("adj1", Field::Adjective),
    ("adj2", Field::Adjective),
    ("aspect", Field::AspectName),
    ("mos", Field::Mos(None)),
    ("std", Field::Std(None)),
    ("mos_std", Field::Std(None)),
    ("num_ratings", Field::NumRatings(None)),
    ("n_ratings", Field::NumRatings(None)),
    ("split", Field::Split(None)),
    ("official_split", Field::Split(None)),
    ("ratio802_seed123_split01", Field::Split(None)),
];

/// Our names, as `--columns` takes them and its error lists them.
const OURS: [&str; 12] = [
    "image_path",
    "prompt",
    "generator",
    "style",
    "tags",
    "aspect",
    "mos",
    "std",
    "mos_ASPECT",
    "std_ASPECT",
    "num_ratings",
    "split",
];

/// The meaning of every column of one table.
#[derive(Debug)]
pub(super) struct Columns {
    /// Names as they stand in the table.
    pub(super) names: Vec<String>,
    /// What each holds.
    pub(super) fields: Vec<Field>,
    /// Whether a comma in a score may be its decimal sign.
    pub(super) has_decimal_comma: bool,
}

impl Columns {
    /// Reads a header. A mapping goes before every known name.
    pub(super) fn resolve(
        names: Vec<String>,
        mapping: &[(String, String)],
        path: &Path,
    ) -> Result<Self, DatasetError> {
        let mut fields = vec![Field::Other; names.len()];
        for (ours, theirs) in mapping {
            let field = field_of(ours).ok_or_else(|| DatasetError::UnknownColumn {
                ours: ours.clone(),
                expected: OURS.to_vec(),
            })?;
            let column = names
                .iter()
                .position(|name| name == theirs)
                .or_else(|| names.iter().position(|name| plain(name) == plain(theirs)))
                .ok_or_else(|| DatasetError::NoSuchColumn {
                    ours: ours.clone(),
                    theirs: theirs.clone(),
                    found: names.clone(),
                    path: path.to_owned(),
                })?;
            fields[column] = field;
        }
        for column in by_rank(&names) {
            let Some(field) = field_of(&names[column]) else {
                continue;
            };
            let is_taken = field != Field::Adjective && fields.contains(&field);
            if fields[column] == Field::Other && !is_taken {
                fields[column] = field;
            }
        }
        let columns = Self {
            names,
            fields,
            has_decimal_comma: false,
        };
        if columns.has(Field::Path) {
            Ok(columns)
        } else {
            Err(DatasetError::NoPathColumn {
                found: columns.names,
                path: path.to_owned(),
            })
        }
    }

    /// Whether some column holds this.
    pub(super) fn has(&self, field: Field) -> bool {
        self.fields.contains(&field)
    }
}

/// Makes a field of an aspect.
type OfAspect = fn(Option<Aspect>) -> Field;

/// Whether a header is AGIQA-3K's: the two opinion scores under its own names, and a prompt.
pub(super) fn is_agiqa(names: &[String]) -> bool {
    ["name", "prompt", "mos_quality", "mos_align"]
        .iter()
        .all(|wanted| names.iter().any(|name| plain(name) == *wanted))
}

/// Column numbers, best known name first.
fn by_rank(names: &[String]) -> Vec<usize> {
    let rank = |name: &str| {
        let name = plain(name);
        known()
            .position(|(known, _)| known == name)
            .unwrap_or(usize::MAX)
    };
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|column| rank(&names[*column]));
    order
}

/// Every name that stands alone, best known first.
fn known() -> impl Iterator<Item = (&'static str, Field)> {
    let of_pictures = IMAGE_COLUMNS.into_iter().map(|name| (name, Field::Path));
    of_pictures.chain(NAMES)
}

fn field_of(name: &str) -> Option<Field> {
    let name = plain(name);
    if let Some((_, field)) = known().find(|(known, _)| *known == name) {
        return Some(field);
    }
    let kinds: [(&str, OfAspect); 7] = [
        ("mos_std", Field::Std),
        ("mos", Field::Mos),
        ("std", Field::Std),
        ("num_ratings", Field::NumRatings),
        ("n_ratings", Field::NumRatings),
        ("official_split", Field::Split),
        ("split", Field::Split),
    ];
    kinds.into_iter().find_map(|(kind, field)| {
        let rest = name
            .strip_prefix(kind)
            .and_then(|rest| rest.strip_prefix('_'))
            .or_else(|| {
                name.strip_suffix(kind)
                    .and_then(|rest| rest.strip_suffix('_'))
            })?;
        aspect_of(rest).map(|aspect| field(Some(aspect)))
    })
}

/// An aspect's name or one of its abbreviations in tables.
pub(super) fn aspect_of(word: &str) -> Option<Aspect> {
    match word {
        "corr" => Some(Aspect::Correspondence),
        "auth" => Some(Aspect::Authenticity),
        "qual" => Some(Aspect::Quality),
        other => other.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(names: &[&str], mapping: &[(&str, &str)]) -> Result<Vec<Field>, DatasetError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mapping: Vec<(String, String)> = mapping
            .iter()
            .map(|(ours, theirs)| ((*ours).to_owned(), (*theirs).to_owned()))
            .collect();
        Columns::resolve(names, &mapping, Path::new("t.csv")).map(|columns| columns.fields)
    }

    #[test]
    fn aspects_are_read_from_names_in_either_order() {
        let fields = resolve(
            &["name", "mos_align", "Quality MOS", "std_authenticity"],
            &[],
        )
        .unwrap();
        assert_eq!(
            fields,
            [
                Field::Path,
                Field::Mos(Some(Aspect::Correspondence)),
                Field::Mos(Some(Aspect::Quality)),
                Field::Std(Some(Aspect::Authenticity)),
            ]
        );
    }

    #[test]
    fn a_mapping_goes_before_known_names() {
        let fields = resolve(&["name", "where", "prompt"], &[("image_path", "where")]).unwrap();
        assert_eq!(fields, [Field::Other, Field::Path, Field::Prompt]);
    }

    #[test]
    fn image_path_is_preferred_to_name() {
        let fields = resolve(&["name", "image_path"], &[]).unwrap();
        assert_eq!(fields, [Field::Other, Field::Path]);
    }

    #[test]
    fn errors_name_the_columns_there_are() {
        let error = resolve(&["a", "b"], &[]).unwrap_err().to_string();
        assert!(
            error.contains("\"a\", \"b\"") && error.contains("--columns"),
            "{error}"
        );
        let error = resolve(&["a"], &[("image_path", "c")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"c\""), "{error}");
        let error = resolve(&["a"], &[("colour", "a")]).unwrap_err().to_string();
        assert!(error.contains("colour"), "{error}");
    }
}
