//! Keeps a record of every settled call in an SQLite file, sums them up, and restores budgets after a restart.
//!
//! ```
//! # use std::sync::Arc;
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("tollgate-journal-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("usage.db");
//! use tollgate_gate::{Gate, Plan};
//! use tollgate_journal::{By, Journal, JournalOptions, Query};
//!
//! let plan = Plan::default();
//! let journal = Journal::open_with(&path, JournalOptions::new().labels_of(&plan))?;
//! let gate = Gate::builder(plan.clone()).recorder(Arc::new(journal.clone())).build();
//! journal.restore(&gate, &plan)?; // before the first call
//!
//! // ... and after some calls:
//! journal.flush().await?;
//! for row in journal.reader()?.totals(&Query::new().by([By::Month, By::Model]))? {
//!     println!("{}: {} calls, {} nano-dollars", row.key.join(" "), row.totals.calls, row.totals.cost);
//! }
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run()).unwrap();
//! ```
//!
//! What is in the file: of each call its end in milliseconds, the labels `team`, `tenant`, `session`, `provider`, `model` and
//! `operation` and those that policies name, token counts, cost, what was reserved and charged, how long it waited, attempts,
//! outcome and on whose word it was settled. No prompt, answer, key, URL or header. The tables are described in
//! `src/schema/1.sql`; any SQLite program can read them.

mod error;
mod file;
mod journal;
mod lane;
mod query;
mod queue;
mod reader;
mod record;
mod rollup;
mod spent;
mod sums;
mod totals;

pub use error::JournalError;
pub use journal::{Flush, Journal, JournalOptions};
pub use query::{By, Query};
pub use reader::Reader;
pub use totals::{Row, Totals};
