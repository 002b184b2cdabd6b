//! What the estimator has learned, kept in a file from one run of the program to the next.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use tollgate_tokens::Estimator;

use crate::{ConfigError, Tollgate};

impl Tollgate {
    /// What estimates the calls, and learns from them.
    #[must_use]
    pub fn estimator(&self) -> &Estimator {
        self.exchange().estimator()
    }

    /// Writes what has been learned of models and routes to a file, for [`Builder::learned`](crate::Builder::learned) to read: figures, and
    /// the names of models and routes, but nothing of any prompt. The file is replaced as a whole or not at all, so it can be written from
    /// time to time while calls are under way. Blocks while it writes, some kilobytes per model.
    ///
    /// # Errors
    /// If the file, or one beside it, cannot be written.
    pub fn save_learned(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        fs::write(&beside, self.estimator().save())?;
        fs::rename(&beside, path).inspect_err(|_| drop(fs::remove_file(&beside)))
    }
}

/// Takes over what a file holds; of a file that is not there, nothing.
pub(crate) fn load(estimator: &Estimator, path: &Path) -> Result<(), ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ConfigError::file(path, &error)),
    };
    match estimator.load(&text) {
        Ok(_) => Ok(()),
        Err(error) => Err(ConfigError::learned(path, error)),
    }
}
