//! `ConfigError`: what is wrong with a configuration, and where.

use std::fmt;

use tollgate_limits::QuotaError;
use tollgate_tokens::CatalogError;

/// Why a [`crate::Tollgate`] cannot be made. Names the line and column where it comes from a file.
#[derive(Clone, Debug)]
pub struct ConfigError {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Toml {
        message: String,
        at: Option<(usize, usize)>,
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
    TimeZone {
        policy: String,
        zone: String,
    },
    File {
        path: String,
        message: String,
    },
}

impl ConfigError {
    pub(crate) fn toml(error: &toml::de::Error, text: &str) -> Self {
        let position = |offset: usize| {
            let before = text.get(..offset).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            (
                before.matches('\n').count() + 1,
                before[line_start..].chars().count() + 1,
            )
        };
        let at = error.span().map(|span| position(span.start));
        Self {
            kind: Kind::Toml {
                message: error.message().to_owned(),
                at,
            },
        }
    }

    pub(crate) fn policy(name: &str, error: QuotaError) -> Self {
        Self {
            kind: Kind::Policy {
                name: name.to_owned(),
                error,
            },
        }
    }

    pub(crate) const fn plan(error: QuotaError) -> Self {
        Self {
            kind: Kind::Plan(error),
        }
    }

    pub(crate) fn unknown_provider(name: &str, known: impl Iterator<Item = String>) -> Self {
        Self {
            kind: Kind::UnknownProvider {
                name: name.to_owned(),
                known: known.collect(),
            },
        }
    }

    pub(crate) fn time_zone(policy: &str, zone: &str) -> Self {
        Self {
            kind: Kind::TimeZone {
                policy: policy.to_owned(),
                zone: zone.to_owned(),
            },
        }
    }

    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self {
            kind: Kind::File {
                path: path.display().to_string(),
                message: error.to_string(),
            },
        }
    }

    /// Line and column, both from 1, where the error is in a file and its place is known.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        match &self.kind {
            Kind::Toml { at, .. } => *at,
            Kind::Catalog(error) => error.line().zip(error.column()),
            _ => None,
        }
    }
}

impl From<CatalogError> for ConfigError {
    fn from(error: CatalogError) -> Self {
        Self {
            kind: Kind::Catalog(error),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Toml {
                message,
                at: Some((line, column)),
            } => write!(f, "line {line}, column {column}: {message}"),
            Kind::Toml { message, at: None } => f.write_str(message),
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
            Kind::TimeZone { policy, zone } => write!(
                f,
                "policy `{policy}`: this machine's time zone database has no `{zone}`; use an IANA name such as \"Europe/Berlin\", or \
                 leave it out for UTC"
            ),
            Kind::File { path, message } => write!(f, "{path}: {message}"),
        }
    }
}

impl std::error::Error for ConfigError {}
