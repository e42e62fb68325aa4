//! What can be wrong with a picture file, in words for the person who has it.

/// Why a picture could not be read or written, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// There is no such file.
    #[error("there is no such file; put it back, or choose the folder that it was moved to")]
    NotFound,
    /// The operating system refused.
    #[error(
        "the file cannot be opened ({0}); check that you may read it and that its disk is there"
    )]
    Io(#[source] std::io::Error),
    /// A file of no bytes.
    #[error("the file is empty (0 bytes); copy or download it again")]
    Empty,
    /// More bytes than any picture of the pixel budget needs.
    #[error(
        "the file has {bytes} bytes, more than the {limit} that Assay reads; make a smaller copy of the picture"
    )]
    FileTooLarge {
        /// Size of the file.
        bytes: u64,
        /// The budget.
        limit: u64,
    },
    /// The content is of no known kind.
    #[error("{looks_like}; save the picture as PNG or JPEG")]
    UnknownFormat {
        /// What the first bytes look like.
        looks_like: String,
    },
    /// More pixels than the budget.
    #[error(
        "{width} x {height} pixels are more than the {limit} megapixels that Assay decodes; make a smaller copy of the picture"
    )]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The budget in megapixels.
        limit: u64,
    },
    /// The data end before the picture does.
    #[error("the {format} file is cut off before its end; copy or download it again")]
    Truncated {
        /// Name of the format.
        format: &'static str,
    },
    /// The decoder gave up.
    #[error(
        "the {format} data are damaged or of an unsupported kind ({reason}); copy the file again, or save it as PNG or JPEG"
    )]
    Damaged {
        /// Name of the format.
        format: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// The encoder gave up.
    #[error("a {width} x {height} picture cannot be written as {format} ({reason})")]
    Encode {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Name of the format.
        format: &'static str,
        /// The encoder's words.
        reason: String,
    },
}

impl From<std::io::Error> for MediaError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::NotFound {
            Self::NotFound
        } else {
            Self::Io(error)
        }
    }
}
