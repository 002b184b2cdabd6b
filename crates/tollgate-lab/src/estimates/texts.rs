//! Input estimates on real text against exact tokenizers, after two hundred calls of learning.

use bpe_openai::Tokenizer;
use fastrand::Rng;
use serde::Serialize;
use serde_json::{Value, json};
use tollgate_tokens::{Descriptor, Dialect, Estimator, OutputLimits, Usage, describe};

use super::samples::{Library, Sample};
use crate::Table;

/// What came out, for each tokenizer and kind of text.
#[derive(Debug)]
pub(super) struct Texts {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    tokenizer: &'static str,
    text: &'static str,
    calls: usize,
    /// Of the estimate without its margin, over the truth.
    median_absolute_error: f64,
    /// Of calls, those that took more than the estimate with its margin.
    beyond_margin: f64,
    /// What the estimate with its margin is above the truth, in the middle.
    median_reserved_over_truth: f64,
    /// The same error before anything was learned.
    untaught_error: f64,
}

/// Calls that teach, of all kinds in any order.
const TAUGHT: usize = 200;
/// Calls of each kind that are asked for, in each run.
const ASKED: usize = 400;
const MOST_ERROR: f64 = 0.05;
const MOST_BEYOND: f64 = 0.01;

/// Teaches an estimator per tokenizer and run, then asks it.
pub(super) fn run(seed: u64, runs: u64) -> Texts {
    let tokenizers = [
        ("o200k", "gpt-4o", bpe_openai::o200k_base()),
        ("cl100k", "gpt-4", bpe_openai::cl100k_base()),
    ];
    let mut rows = Vec::new();
    for (name, model, tokenizer) in tokenizers {
        let mut errors: [Vec<Error>; 5] = Default::default();
        for run in 0..runs {
            let mut rng = Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(run));
            let library = Library::new(&mut rng);
            let (estimator, untaught) = (Estimator::new(), Estimator::new());
            for _ in 0..TAUGHT {
                let kind = Sample::ALL[rng.usize(0..5)];
                let (call, truth) = made(&library, kind, model, tokenizer, false, &mut rng);
                estimator.learn(&call, &Usage::new(truth, 100));
            }
            for (errors, kind) in errors.iter_mut().zip(Sample::ALL) {
                for _ in 0..ASKED {
                    let (call, truth) = made(&library, kind, model, tokenizer, true, &mut rng);
                    let known = estimator.estimate(&call, OutputLimits::default());
                    let guess = untaught.estimate(&call, OutputLimits::default());
                    errors.push(Error {
                        known: known.input_expected as f64 / truth as f64 - 1.0,
                        reserved: known.input as f64 / truth as f64 - 1.0,
                        untaught: guess.input_expected as f64 / truth as f64 - 1.0,
                    });
                }
            }
        }
        for (errors, kind) in errors.iter().zip(Sample::ALL) {
            let of = |error: fn(&Error) -> f64| median(errors.iter().map(error).collect());
            let beyond = errors.iter().filter(|error| error.reserved < 0.0).count();
            rows.push(Row {
                tokenizer: name,
                text: kind.name(),
                calls: errors.len(),
                median_absolute_error: of(|error| error.known.abs()),
                beyond_margin: beyond as f64 / errors.len() as f64,
                median_reserved_over_truth: of(|error| error.reserved),
                untaught_error: of(|error| error.untaught.abs()),
            });
        }
    }
    Texts { rows }
}

struct Error {
    known: f64,
    reserved: f64,
    untaught: f64,
}

/// A call with a passage of that kind, and the tokens that it takes.
fn made(
    library: &Library,
    kind: Sample,
    model: &str,
    tokenizer: &Tokenizer,
    second: bool,
    rng: &mut Rng,
) -> (Descriptor, u64) {
    // From some fifty tokens to some five thousand, each size as often as its double.
    let bytes = (200.0 * 100_f64.powf(rng.f64())) as usize;
    let passage = library.passage(kind, second, bytes, rng);
    let system = "You are a careful assistant.";
    let mut truth = 3 + 2 * 3 + tokenizer.count(system) as u64 + tokenizer.count(passage) as u64;
    let content = if kind == Sample::Image {
        let (width, height) = (rng.u32(64..2_000), rng.u32(64..2_000));
        truth += tiles(width, height);
        let url = format!("data:image/png;base64,{}", png(width, height, rng));
        json!([{ "type": "text", "text": passage }, { "type": "image_url", "image_url": { "url": url } }])
    } else {
        Value::from(passage)
    };
    let body = json!({
        "model": model,
        "messages": [{ "role": "system", "content": system }, { "role": "user", "content": content }],
    });
    let call = describe(
        Some(Dialect::OpenAiChat),
        "/v1/chat/completions",
        body.to_string().as_bytes(),
    );
    (call, truth)
}

/// OpenAI's rule for its tile models at high detail: fit into 2,048 by 2,048, then the shorter side into 768; 85 tokens and 170 per
/// tile of 512.
fn tiles(width: u32, height: u32) -> u64 {
    let (mut width, mut height) = (f64::from(width), f64::from(height));
    let fit = (2_048.0 / width.max(height)).min(1.0);
    (width, height) = (width * fit, height * fit);
    let fit = (768.0 / width.min(height)).min(1.0);
    (width, height) = (width * fit, height * fit);
    85 + 170 * ((width / 512.0).ceil() * (height / 512.0).ceil()) as u64
}

/// The head of a PNG file and noise behind it, in base64.
fn png(width: u32, height: u32, rng: &mut Rng) -> String {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend_from_slice(&width.to_be_bytes());
    bytes.extend_from_slice(&height.to_be_bytes());
    bytes.extend((0..rng.usize(2_000..60_000)).map(|_| rng.u8(..)));
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks_exact(3)
        .flat_map(|three| {
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]))
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Texts {
    pub(super) const fn rows(&self) -> &Vec<Row> {
        &self.rows
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new([
            "tokenizer",
            "text",
            "calls",
            "median |error| %",
            "beyond margin %",
            "reserved over truth %",
            "untaught |error| %",
        ]);
        let percent = |part: f64| format!("{:.2}", part * 100.0);
        for row in &self.rows {
            table.line([
                row.tokenizer.to_owned(),
                row.text.to_owned(),
                row.calls.to_string(),
                percent(row.median_absolute_error),
                percent(row.beyond_margin),
                percent(row.median_reserved_over_truth),
                percent(row.untaught_error),
            ]);
        }
        table
    }

    /// What should have held and did not.
    pub(super) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for row in &self.rows {
            let Row {
                tokenizer, text, ..
            } = row;
            if row.median_absolute_error > MOST_ERROR {
                broken.push(format!(
                    "{tokenizer}, {text}: a median error of at most 5 %"
                ));
            }
            if row.beyond_margin > MOST_BEYOND {
                broken.push(format!(
                    "{tokenizer}, {text}: at most 1 % beyond the margin"
                ));
            }
        }
        broken
    }
}
