//! `JournalError`: what is wrong with a journal, and what to do about it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why a journal cannot be opened, written or read. Names the file; never what is in it.
#[derive(Clone, Debug)]
pub struct JournalError {
    path: Arc<Path>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Open { message: String },
    NotAJournal,
    Newer { found: i64, known: i64 },
    Damaged { message: String },
    Busy,
    Write { message: String },
    Read { message: String },
    TimeZone { name: String },
    Thread { message: String },
    Gone,
}

impl JournalError {
    pub(crate) fn new(path: &Arc<Path>, kind: Kind) -> Self {
        Self {
            path: path.clone(),
            kind,
        }
    }

    /// An error of SQLite; `otherwise` says what was being done.
    pub(crate) fn sqlite(
        path: &Arc<Path>,
        error: &rusqlite::Error,
        otherwise: fn(String) -> Kind,
    ) -> Self {
        let message = error.to_string();
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Kind::NotAJournal,
            Some(ErrorCode::DatabaseCorrupt) => Kind::Damaged { message },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Busy,
            _ => otherwise(message),
        };
        Self::new(path, kind)
    }

    /// The journal's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is something else than a journal.
    #[must_use]
    pub const fn is_not_a_journal(&self) -> bool {
        matches!(self.kind, Kind::NotAJournal)
    }

    /// Whether a part of the file is broken.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        matches!(self.kind, Kind::Damaged { .. })
    }

    /// Whether another program held the file for too long.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self.kind, Kind::Busy)
    }
}

impl Kind {
    pub(crate) const fn open(message: String) -> Self {
        Self::Open { message }
    }

    pub(crate) const fn write(message: String) -> Self {
        Self::Write { message }
    }

    pub(crate) const fn read(message: String) -> Self {
        Self::Read { message }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            Kind::Open { message } => write!(
                f,
                "the journal {path} cannot be opened ({message}); its folder must exist and be writable, on a local disk"
            ),
            Kind::NotAJournal => write!(
                f,
                "{path} is not a usage journal; give another path, or move the file away"
            ),
            Kind::Newer { found, known } => write!(
                f,
                "the journal {path} was written by a newer version (schema {found}, this one knows {known}); update this program, or \
                 give another path"
            ),
            Kind::Damaged { message } => write!(
                f,
                "the journal {path} is damaged ({message}); move it away, together with the files of the same name that end in -wal and \
                 -shm, to begin a new one; `sqlite3 {path} .recover` prints what can still be read"
            ),
            Kind::Busy => write!(
                f,
                "the journal {path} is locked by another program; end that program's transaction, or give each program a file of its own"
            ),
            Kind::Write { message } => write!(
                f,
                "the journal {path} cannot be written ({message}); records are kept in memory and tried again"
            ),
            Kind::Read { message } => write!(f, "the journal {path} cannot be read ({message})"),
            Kind::TimeZone { name } => write!(
                f,
                "this machine's time zone database has no `{name}`; use an IANA name such as \"Europe/Berlin\""
            ),
            Kind::Thread { message } => write!(
                f,
                "the thread that writes the journal {path} cannot be started ({message})"
            ),
            Kind::Gone => write!(
                f,
                "the thread that writes the journal {path} has ended; open the journal again"
            ),
        }
    }
}

impl std::error::Error for JournalError {}
