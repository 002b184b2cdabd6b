//! `CatalogError`: what is wrong with a catalog text, and where.

use std::fmt;

/// Why a catalog text cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogError {
    message: String,
    at: Option<(usize, usize)>,
}

impl CatalogError {
    pub(crate) const fn new(message: String) -> Self {
        Self { message, at: None }
    }

    /// The same error at a byte offset of `text`.
    pub(crate) fn at(mut self, text: &str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |start| start.chars().count())
            + 1;
        self.at = Some((line, column));
        self
    }

    pub(crate) fn from_toml(error: &toml::de::Error, text: &str) -> Self {
        let new = Self::new(error.message().to_owned());
        match error.span() {
            Some(span) => new.at(text, span.start),
            None => new,
        }
    }

    /// What is wrong, with the values that are allowed.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line, from 1. `None` if the error is not about one place in a text.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        match self.at {
            Some((line, _)) => Some(line),
            None => None,
        }
    }

    /// The column in characters, from 1.
    #[must_use]
    pub const fn column(&self) -> Option<usize> {
        match self.at {
            Some((_, column)) => Some(column),
            None => None,
        }
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for CatalogError {}
