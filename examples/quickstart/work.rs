//! The work: real text, cut into passages, made into calls whose sizes make the quotas for requests and for tokens bind in turn.

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::args::Args;
use crate::provider::Target;

/// One call to be made.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) model: String,
    pub(crate) prompt: String,
    /// The output cap, in tokens.
    pub(crate) cap: u64,
}

/// Folders that hold no text of ours.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];
/// Tokens in a byte of English, about; only the mix of sizes hangs on it.
const BYTES_PER_TOKEN: u64 = 4;

/// Half of the calls ask about one passage; the other half bring so much context that ten of them a minute are more than the token
/// limit allows.
pub(crate) fn from_markdown(args: &Args, target: &Target) -> Result<Vec<Work>, Box<dyn Error>> {
    let root = args
        .input
        .clone()
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    let mut files = Vec::new();
    markdown_files(&root, &mut files)?;
    files.sort();
    let mut passages = Vec::new();
    for file in &files {
        passages.extend(split(&std::fs::read_to_string(file)?));
    }
    if passages.is_empty() {
        return Err(format!("no Markdown files with text below {}", root.display()).into());
    }
    let mut draw = Draw(args.seed);
    let mut next = 0;
    let mut take = |bytes: u64| {
        let mut text = String::new();
        while text.is_empty() || (text.len() as u64) < bytes {
            text.push_str(&passages[next % passages.len()]);
            text.push_str("\n\n");
            next += 1;
        }
        if bytes > 0 {
            // Cut to size, so that the mix of sizes does not hang on where passages end.
            let end = (0..=bytes as usize)
                .rev()
                .find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
        }
        text
    };
    let models = target.models();
    let tokens_per_call = target.tokens_per_call();
    let work = (0..args.calls as usize).map(|i| {
        // Long ones take 0.8 to 1.8 times the mean. Models that get two of them in three calls run out of tokens first, those that
        // get one in three out of requests.
        let share = if (i % models.len()).is_multiple_of(2) {
            2
        } else {
            1
        };
        let long = draw.below(3) < share;
        let tokens = if long {
            tokens_per_call * 4 / 5 + draw.below(tokens_per_call)
        } else {
            0
        };
        let context = take(tokens * BYTES_PER_TOKEN);
        Work {
            model: models[i % models.len()].clone(),
            prompt: format!("Summarise for a new reader, in a few sentences:\n\n{context}"),
            cap: target.output_cap(),
        }
    });
    Ok(work.collect())
}

fn markdown_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
            markdown_files(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    Ok(())
}

/// Paragraphs, joined until they are worth asking about.
fn split(text: &str) -> Vec<String> {
    let mut passages = vec![String::new()];
    for paragraph in text
        .split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty())
    {
        if passages.last().is_some_and(|passage| passage.len() > 1_000) {
            passages.push(String::new());
        }
        if let Some(passage) = passages.last_mut() {
            passage.push_str(paragraph);
            passage.push('\n');
        }
    }
    passages.retain(|passage| !passage.is_empty());
    passages
}

/// SplitMix64: the same seed makes the same work.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n.max(1)
    }
}
