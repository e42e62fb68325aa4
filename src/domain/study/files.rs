//! The files that a study's ratings are kept in outside a project.

use std::fmt;
use std::str::FromStr;

/// A kind of file that a study can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RatingsFormat {
    /// One row a vote, every field.
    Long,
    /// ITU matrix of one aspect.
    Matrix,
    /// JSON of one aspect for sureal.
    Sureal,
    /// Comparisons of one aspect.
    Pairs,
    /// The study report.
    Report,
}

impl RatingsFormat {
    /// Every format, the fullest first.
    pub const ALL: [Self; 5] = [
        Self::Long,
        Self::Matrix,
        Self::Sureal,
        Self::Pairs,
        Self::Report,
    ];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Matrix => "matrix",
            Self::Sureal => "sureal",
            Self::Pairs => "pairs",
            Self::Report => "report",
        }
    }

    /// What a table with these names of columns is; `None` where they are no table of ratings. A matrix has no names:
    /// its first row is numbers, with a point or a comma, and `nan`.
    pub fn of_columns<'a>(columns: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let columns: Vec<&str> = columns.into_iter().map(str::trim).collect();
        let has = |name: &str| {
            let mut columns = columns.iter();
            columns.any(|column| column.eq_ignore_ascii_case(name))
        };
        let is_score = |cell: &&str| {
            let pointed = cell.replacen(',', ".", 1);
            cell.is_empty() || cell.eq_ignore_ascii_case("nan") || pointed.parse::<f64>().is_ok()
        };
        if has("rater") && has("value") {
            Some(Self::Long)
        } else if has("Condition_1") && has("Selection") {
            Some(Self::Pairs)
        } else if !columns.is_empty() && columns.iter().all(is_score) {
            Some(Self::Matrix)
        } else {
            None
        }
    }

    /// The usual ending of such a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Long | Self::Matrix | Self::Pairs => "csv",
            Self::Sureal => "json",
            Self::Report => "html",
        }
    }
}

impl fmt::Display for RatingsFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RatingsFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|format| format.name() == word)
            .ok_or_else(|| format!("expected long, matrix, sureal, pairs or report, got {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_its_columns() {
        let of = |names: &str| RatingsFormat::of_columns(names.split(','));
        assert_eq!(of("token, Rater,VALUE"), Some(RatingsFormat::Long));
        assert_eq!(
            of("Observer,Session,Scene,Condition_1,Condition_2,Selection"),
            Some(RatingsFormat::Pairs)
        );
        assert_eq!(of("1,nan,4.5,"), Some(RatingsFormat::Matrix));
        assert_eq!(of("name,prompt,mos_quality"), None);
        assert_eq!(RatingsFormat::of_columns([]), None);
    }

    #[test]
    fn every_format_has_a_word_that_reads_back() {
        for format in RatingsFormat::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert!("xls".parse::<RatingsFormat>().is_err());
    }
}
