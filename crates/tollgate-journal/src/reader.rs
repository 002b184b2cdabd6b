//! `Reader`: a connection that only reads.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use crate::{JournalError, error::Kind, file};

/// Reads a journal, also while programs write it.
#[derive(Debug)]
pub struct Reader {
    pub(crate) connection: Connection,
    path: Arc<Path>,
}

impl Reader {
    /// Opens a journal that exists.
    ///
    /// # Errors
    /// If the file is missing, is no journal, or was written by another version than this.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path: Arc<Path> = path.as_ref().into();
        let wrong = |error| JournalError::sqlite(&path, &error, Kind::read);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(wrong)?;
        connection.busy_timeout(file::PATIENCE).map_err(wrong)?;
        if file::check(&connection, &path)? == 0 {
            return Err(JournalError::new(&path, Kind::NotAJournal));
        }
        Ok(Self { connection, path })
    }

    pub(crate) fn wrong(&self, error: &rusqlite::Error) -> JournalError {
        JournalError::sqlite(&self.path, error, Kind::read)
    }
}
