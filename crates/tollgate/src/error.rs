//! `ConfigError`: what is wrong with a configuration, and where.

use std::fmt;

use tollgate_limits::QuotaError;
use tollgate_tokens::{CatalogError, LearnedError};

/// Why a [`crate::Tollgate`] cannot be made. Names the line and column where it comes from a file.
#[derive(Clone, Debug)]
pub struct ConfigError {
    kind: Kind,
    /// Line and column, where the kind does not know them itself.
    at: Option<(usize, usize)>,
}

#[derive(Clone, Debug)]
enum Kind {
    Toml {
        message: String,
    },
    Catalog(CatalogError),
    Policy {
        name: String,
        error: QuotaError,
    },
    Plan(QuotaError),
    UnknownProvider {
        name: String,
        known: Vec<String>,
    },
    SameName {
        name: String,
    },
    Percent {
        field: &'static str,
    },
    TimeZone {
        policy: String,
        zone: String,
    },
    File {
        path: String,
        message: String,
    },
    Learned {
        path: String,
        error: LearnedError,
    },
    #[cfg(feature = "journal")]
    Journal(tollgate_journal::JournalError),
    #[cfg(not(feature = "journal"))]
    NoJournal,
}

impl ConfigError {
    const fn new(kind: Kind) -> Self {
        Self { kind, at: None }
    }

    pub(crate) fn toml(error: &toml::de::Error, text: &str) -> Self {
        let new = Self::new(Kind::Toml {
            message: error.message().to_owned(),
        });
        match error.span() {
            Some(span) => new.at(text, span.start),
            None => new,
        }
    }

    pub(crate) fn policy(name: &str, error: QuotaError) -> Self {
        Self::new(Kind::Policy {
            name: name.to_owned(),
            error,
        })
    }

    pub(crate) const fn plan(error: QuotaError) -> Self {
        Self::new(Kind::Plan(error))
    }

    pub(crate) fn unknown_provider(name: &str, known: impl Iterator<Item = String>) -> Self {
        Self::new(Kind::UnknownProvider {
            name: name.to_owned(),
            known: known.collect(),
        })
    }

    pub(crate) fn same_name(name: &str) -> Self {
        Self::new(Kind::SameName {
            name: name.to_owned(),
        })
    }

    pub(crate) fn time_zone(policy: &str, zone: &str) -> Self {
        Self::new(Kind::TimeZone {
            policy: policy.to_owned(),
            zone: zone.to_owned(),
        })
    }

    #[cfg(not(feature = "journal"))]
    pub(crate) const fn no_journal() -> Self {
        Self::new(Kind::NoJournal)
    }

    pub(crate) const fn percent(field: &'static str) -> Self {
        Self::new(Kind::Percent { field })
    }

    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(Kind::File {
            path: path.display().to_string(),
            message: error.to_string(),
        })
    }

    pub(crate) fn learned(path: &std::path::Path, error: LearnedError) -> Self {
        Self::new(Kind::Learned {
            path: path.display().to_string(),
            error,
        })
    }

    /// The same error at a byte offset of `text`.
    pub(crate) fn at(mut self, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.at = Some((
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        ));
        self
    }

    /// Line and column, both from 1, where the error is in a file and its place is known.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        match &self.kind {
            Kind::Catalog(error) => self.at.or_else(|| error.line().zip(error.column())),
            _ => self.at,
        }
    }
}

impl From<CatalogError> for ConfigError {
    fn from(error: CatalogError) -> Self {
        Self::new(Kind::Catalog(error))
    }
}

#[cfg(feature = "journal")]
impl From<tollgate_journal::JournalError> for ConfigError {
    fn from(error: tollgate_journal::JournalError) -> Self {
        Self::new(Kind::Journal(error))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line}, column {column}: ")?;
        }
        match &self.kind {
            Kind::Toml { message } => f.write_str(message),
            Kind::Catalog(error) => error.fmt(f),
            Kind::Policy { name, error } => write!(f, "policy `{name}`: {error}"),
            Kind::Plan(error) => error.fmt(f),
            Kind::UnknownProvider { name, known } => {
                write!(
                    f,
                    "no provider is named `{name}`; the catalog has {}",
                    known.join(", ")
                )
            }
            Kind::SameName { name } => write!(
                f,
                "two policies are named `{name}`; each needs a name of its own"
            ),
            Kind::TimeZone { policy, zone } => write!(
                f,
                "policy `{policy}`: this machine's time zone database has no `{zone}`; use an IANA name such as \"Europe/Berlin\", or \
                 leave it out for UTC"
            ),
            Kind::Percent { field } => write!(f, "`{field}` is a percentage from 0 to 100"),
            Kind::Learned { path, error } => write!(f, "{path}: {error}"),
            Kind::File { path, message } => write!(f, "{path}: {message}"),
            #[cfg(feature = "journal")]
            Kind::Journal(error) => error.fmt(f),
            #[cfg(not(feature = "journal"))]
            Kind::NoJournal => f.write_str(
                "this program was built without a usage journal; add the feature `journal` to the crate `tollgate`, or leave `journal` out",
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
