//! A page put together of escaped parts.

use std::fmt::Write as _;

use crate::domain::grouped;
use crate::stats::StatsError;
pub(super) use crate::stats::fixed as number;

/// Characters of a name that stands on one line.
const LONGEST_NAME: usize = 28;

/// A page that grows.
#[derive(Debug, Default)]
pub(super) struct Page {
    body: String,
    sections: Vec<String>,
}

/// A cell of a table.
pub(super) enum Cell {
    /// Text, to the left.
    Text(String),
    /// A name on one line, to the left.
    Name(String),
    /// A path, to the left; it may break after the marks that part it.
    Path(String),
    /// A number, to the right.
    Number(String),
    /// Markup that is made here: a chart.
    Chart(String),
}

impl Page {
    /// Markup as it is.
    pub(super) fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    /// A heading within the section.
    pub(super) fn heading(&mut self, level: u8, text: &str) {
        self.add(format_args!("<h{level}>{}</h{level}>\n", escape(text)));
    }

    /// A new section; the ones before are closed.
    pub(super) fn section(&mut self, title: &str) {
        if !self.sections.is_empty() {
            self.raw("</section>\n");
        }
        self.sections.push(title.to_owned());
        let number = self.sections.len();
        self.add(format_args!(
            "<section id=\"s{number}\"><h2><span class=\"number\">{number}</span>{}</h2>\n",
            escape(title)
        ));
    }

    /// A paragraph.
    pub(super) fn paragraph(&mut self, text: &str) {
        self.add(format_args!("<p>{}</p>\n", escape(text)));
    }

    /// A paragraph that stands out.
    pub(super) fn note(&mut self, text: &str) {
        self.add(format_args!("<p class=\"note\">{}</p>\n", escape(text)));
    }

    /// A chart with what it shows in words.
    pub(super) fn chart(&mut self, svg: &str, caption: &str) {
        self.add(format_args!(
            "<figure>{svg}<figcaption>{}</figcaption></figure>\n",
            escape(caption)
        ));
    }

    /// Large figures with their names.
    pub(super) fn tiles(&mut self, facts: &[(String, String)]) {
        self.raw("<div class=\"tiles\">");
        for (name, value) in facts {
            self.add(format_args!(
                "<div><b>{}</b><span>{}</span></div>",
                escape(value),
                escape(name)
            ));
        }
        self.raw("</div>\n");
    }

    /// Names with what they stand for.
    pub(super) fn facts(&mut self, facts: &[(&str, String)]) {
        self.raw("<dl>\n");
        for (name, value) in facts {
            self.add(format_args!(
                "<dt>{}</dt><dd>{}</dd>\n",
                escape(name),
                escape(value)
            ));
        }
        self.raw("</dl>\n");
    }

    /// A table with a heading for each column.
    pub(super) fn table(&mut self, columns: &[&str], rows: &[Vec<Cell>]) {
        self.raw("<div class=\"wide\"><table>\n<thead><tr>");
        for (idx, column) in columns.iter().enumerate() {
            let is_number = rows
                .first()
                .is_some_and(|row| matches!(row.get(idx), Some(Cell::Number(_))));
            let class = if is_number { " class=\"n\"" } else { "" };
            self.add(format_args!("<th{class}>{}</th>", escape(column)));
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.raw("<tr>");
            for cell in row {
                match cell {
                    Cell::Text(text) => self.add(format_args!("<td>{}</td>", escape(text))),
                    Cell::Name(text) => self.add(format_args!(
                        "<td class=\"name\">{}</td>",
                        escape(&shortened(text, LONGEST_NAME))
                    )),
                    Cell::Path(text) => {
                        self.add(format_args!("<td class=\"path\">{}</td>", breakable(text)));
                    }
                    Cell::Number(text) => {
                        self.add(format_args!("<td class=\"n\">{}</td>", escape(text)));
                    }
                    Cell::Chart(svg) => self.add(format_args!("<td>{svg}</td>")),
                }
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody></table></div>\n");
    }

    /// The whole document.
    pub(super) fn document(mut self, title: &str, style: &str) -> String {
        if !self.sections.is_empty() {
            self.raw("</section>\n");
        }
        let mut contents = String::from("<nav><ol>");
        for (idx, section) in self.sections.iter().enumerate() {
            let number = idx + 1;
            // Writing to a string cannot fail.
            write!(
                contents,
                "<li><a href=\"#s{number}\">{}</a></li>",
                escape(section)
            )
            .ok();
        }
        contents.push_str("</ol></nav>\n");
        let body = self
            .body
            .replacen("</header>", &format!("</header>{contents}"), 1);
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{}</title>\n<style>\n{style}</style></head>\n<body><main>\n{body}</main></body></html>\n",
            escape(title)
        )
    }

    fn add(&mut self, markup: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.body.write_fmt(markup).ok();
    }
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn number(number: usize) -> Self {
        Self::Number(grouped(number))
    }

    /// A figure with its decimals, or "undefined".
    pub(super) fn figure(figure: Result<&f64, &StatsError>, decimals: usize) -> Self {
        Self::Number(self::figure(figure, decimals))
    }
}

/// A figure with its decimals, or "undefined": the reason stands where there is room for it.
pub(super) fn figure(figure: Result<&f64, &StatsError>, decimals: usize) -> String {
    figure.map_or_else(|_| "undefined".to_owned(), |value| number(*value, decimals))
}

/// A path whose lines break after the marks that part it, and nowhere within a word.
fn breakable(path: &str) -> String {
    let mut markup = escape(path);
    for mark in ["/", "_", "-"] {
        markup = markup.replace(mark, &format!("{mark}<wbr>"));
    }
    markup
}

/// The beginning of a text that is too long.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most - 1).collect();
    format!("{}\u{2026}", start.trim_end())
}

/// Text that is no markup.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_break_at_their_marks_and_names_do_not_break() {
        assert_eq!(breakable("a_b/c&.png"), "a_<wbr>b/<wbr>c&amp;.png");
        assert_eq!(shortened("rehearsal 01", 28), "rehearsal 01");
        assert_eq!(shortened("a very long prompt", 7), "a very\u{2026}");
    }

    #[test]
    fn markup_in_text_is_text() {
        assert_eq!(
            escape("<a href=\"x\">&"),
            "&lt;a href=&quot;x&quot;&gt;&amp;"
        );
    }
}
