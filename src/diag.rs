//! Owns diagnostics: what is wrong with a file that a person wrote, where, and how to repair it.
//!
//! A diagnostic is data; [`render`] shows it in rustc's form, `serde` as JSON. Never decides what happens to the file.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// A file that rules or configuration came from: its path as shown, and its text as read.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as messages show it.
    pub path: PathBuf,
    /// The whole text; bytes that are not UTF-8 stand as U+FFFD.
    pub text: String,
}

impl SourceFile {
    /// Takes a file's bytes.
    pub fn new(path: &Path, bytes: &[u8]) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: String::from_utf8_lossy(bytes).into_owned() })
    }

    /// Line and column, both from 1, of a byte offset; the column counts characters.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        let before = self.text.get(..floor_boundary(&self.text, offset)).unwrap_or_default();
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// The range widened to whole characters, inside the text.
    pub fn characters(&self, span: Range<usize>) -> Range<usize> {
        let start = floor_boundary(&self.text, span.start);
        let mut end = span.end.clamp(start, self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }

    /// The place of a byte range, made wider where an end would cut a character.
    pub fn place(self: &Arc<Self>, span: Range<usize>) -> Place {
        let (line, column) = self.position(span.start);
        Place { file: Arc::clone(self), line, column, span: self.characters(span) }
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A place in a file; shown as `file:line`.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The bytes of the file's text that are meant.
    pub span: Range<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.path.display(), self.line)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}:{}", self.column)
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Works as it is meant; could be written better, or is good to know.
    Note,
    /// Works, and is probably not what was meant.
    Warning,
    /// The rule (or key) is left out; the rest of the file goes on.
    Error,
}

/// One thing wrong, with its place and, where one is known, its repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable short name of the kind, as `unknown-key`; listed in the man page.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at `place`.
    pub fn error(code: &'static str, message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), place, hint: None }
    }

    /// A warning at `place`.
    pub fn warning(code: &'static str, message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message, place) }
    }

    /// A note at `place`.
    pub fn note(code: &'static str, message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Note, ..Self::error(code, message, place) }
    }

    /// The same with a repair.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: message (hint)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place, self.place.column, self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Diagnostic", 7)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("code", self.code)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("file", &self.place.file.path.to_string_lossy())?;
        out.serialize_field("line", &self.place.line)?;
        out.serialize_field("column", &self.place.column)?;
        out.serialize_field("hint", &self.hint)?;
        out.end()
    }
}

/// Shows a diagnostic as rustc does: message, place, the line with the part underlined, the hint.
pub fn render(diagnostic: &Diagnostic, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let file = &diagnostic.place.file;
    let end = floor_boundary(&file.text, diagnostic.place.span.end);
    let start = floor_boundary(&file.text, diagnostic.place.span.start).min(end);
    let path = file.path.to_string_lossy();
    let snippet = Snippet::source(file.text.as_str())
        .path(&*path)
        .line_start(1)
        .annotation(AnnotationKind::Primary.span(start..end));
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
    group = group.element(snippet);
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_rendering() {
        let file = SourceFile::new(Path::new("50-lab.toml"), b"[[rule]]\nlnk = \"gps\"\n");
        let diagnostic =
            Diagnostic::error("unknown-key", "unknown key `lnk`", file.place(9..12)).hint("write `link`");
        assert_eq!(diagnostic.to_string(), "50-lab.toml:2:1: unknown key `lnk` (write `link`)");
        let shown = render(&diagnostic, false);
        for part in ["error[unknown-key]: unknown key `lnk`", "50-lab.toml:2:1", "^^^", "help: write `link`"]
        {
            assert!(shown.contains(part), "{part} not in\n{shown}");
        }
        assert_eq!(serde_json::to_value(&diagnostic).unwrap()["line"], 2);
    }

    #[test]
    fn offsets_outside_the_text_are_clamped() {
        let file = SourceFile::new(Path::new("x"), "ä\nb".as_bytes());
        assert_eq!(file.position(1), (1, 1));
        assert_eq!(file.position(99), (2, 2));
    }
}
