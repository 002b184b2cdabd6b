//! What the estimator and the policies have learned, kept in a file from one run of the program to the next.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use tollgate_http::Exchange;
use tollgate_tokens::{Estimator, Warning};

use crate::{ConfigError, Tollgate, lessons};

impl Tollgate {
    /// What estimates the calls, and learns from them.
    #[must_use]
    pub fn estimator(&self) -> &Estimator {
        self.exchange().estimator()
    }

    /// Writes what has been learned of models and routes, and what refusals have taught the policies, to a file, for
    /// [`Builder::learned`](crate::Builder::learned) to read: figures, and the names of models, routes and policies, but nothing of any prompt. The file is replaced as a whole or not at all, so it can be written from
    /// time to time while calls are under way. Blocks while it writes, some kilobytes per model.
    ///
    /// # Errors
    /// If the file, or one beside it, cannot be written.
    pub fn save_learned(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        // A line for each, so that either can change without the other.
        let text = format!(
            "{}\n{}\n",
            self.estimator().save(),
            lessons::save(self.gate())
        );
        fs::write(&beside, text)?;
        fs::rename(&beside, path).inspect_err(|_| drop(fs::remove_file(&beside)))
    }
}

/// Takes over what a file holds; of a file that is not there, nothing. What refusals have taught is only worth a warning if it does not
/// fit: it costs a few of them to learn it again.
pub(crate) fn load(exchange: &Exchange, path: &Path) -> Result<Vec<Warning>, ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ConfigError::file(path, &error)),
    };
    let (models, policies) = text.split_once('\n').unwrap_or((&text, ""));
    exchange
        .estimator()
        .load(models)
        .map_err(|error| ConfigError::learned(path, error))?;
    Ok(if policies.trim().is_empty() {
        Vec::new()
    } else {
        lessons::take_up(exchange.gate(), policies)
    })
}
