//! What an estimator has learned, as a text that can be kept: no prompts, no keys, only figures and the names of models and routes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::answers::{Answers, BINS, Bin, Course};
use super::fixed::ONE;
use super::input::{Factors, Input};
use super::learned::{Key, LONGEST_NAME, Learned, MOST_MODELS, MOST_ROUTES, Models, Route};
use super::{Estimator, pool};
use crate::descriptor::{KINDS, NAMES};
use crate::{Dialect, Operation};

/// Why a text is not what an estimator has learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedError {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Json(String),
    Foreign,
    Version(u64),
    TooMany(usize),
    Broken { model: String, what: &'static str },
}

/// What every such text begins with.
const FORMAT: &str = "tollgate-learned";
const VERSION: u64 = 1;

#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    version: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    version: u64,
    /// The names of the kinds of input, in the order of all lists of figures below.
    kinds: Vec<String>,
    models: Vec<SavedModel>,
}

/// Figures with a fraction are in units of 2^-32.
#[derive(Serialize, Deserialize)]
struct SavedModel {
    dialect: String,
    model: String,
    factors: Vec<i64>,
    /// The lower triangle of the covariance, row by row.
    doubt: Vec<i64>,
    whole_noise: Vec<i64>,
    token_noise: Vec<i64>,
    spread: Vec<i64>,
    calls: Vec<u64>,
    pool_spread: i64,
    routes: Vec<SavedRoute>,
}

#[derive(Serialize, Deserialize)]
struct SavedRoute {
    operation: String,
    route: Option<String>,
    /// Number, weight and tokens of each bin that is not empty.
    bins: Vec<(usize, u64, u64)>,
    squares: u64,
    beside: u64,
    most_beside: u64,
    reports: u64,
    longest: u64,
    /// Recent, usual and variance of the logarithms.
    course: (i64, i64, i64),
}

impl Estimator {
    /// What has been learned, as JSON: some kilobytes per model. Holds figures and the names of models and routes, and nothing of any prompt.
    #[must_use]
    pub fn save(&self) -> String {
        let models = self.lock();
        let mut saved: Vec<SavedModel> = models
            .iter()
            .map(|(key, learned)| SavedModel::of(key, learned))
            .collect();
        drop(models);
        saved.sort_by(|a, b| (&a.dialect, &a.model).cmp(&(&b.dialect, &b.model)));
        let file = File {
            format: FORMAT.to_owned(),
            version: VERSION,
            kinds: NAMES.map(str::to_owned).to_vec(),
            models: saved,
        };
        // It has no map with keys that are not strings, and numbers are whole.
        serde_json::to_string(&file).unwrap_or_default()
    }

    /// Takes over what [`Estimator::save`] wrote, for the models of which nothing is known yet. Returns how many those were.
    ///
    /// # Errors
    /// If the text is not whole, not of this format and version, or holds figures that cannot be. Then nothing is taken over, and what was
    /// known stays.
    pub fn load(&self, text: &str) -> Result<usize, LearnedError> {
        let json = |error: serde_json::Error| LearnedError::new(Kind::Json(error.to_string()));
        let head: Head = serde_json::from_str(text).map_err(json)?;
        if head.format.as_deref() != Some(FORMAT) {
            return Err(LearnedError::new(Kind::Foreign));
        }
        if head.version != Some(VERSION) {
            return Err(LearnedError::new(Kind::Version(head.version.unwrap_or(0))));
        }
        let file: File = serde_json::from_str(text).map_err(json)?;
        if file.kinds != NAMES {
            return Err(LearnedError::new(Kind::Foreign));
        }
        if file.models.len() > MOST_MODELS {
            return Err(LearnedError::new(Kind::TooMany(file.models.len())));
        }
        let loaded: Vec<(Key, Learned)> = file
            .models
            .into_iter()
            .map(SavedModel::read)
            .collect::<Result<_, _>>()?;
        Ok(self.lock().take_over(loaded))
    }
}

impl SavedModel {
    fn of((dialect, model): &Key, learned: &Learned) -> Self {
        let Input {
            factors,
            doubt,
            noise: [whole_noise, token_noise],
            spread,
            calls,
        } = &learned.input;
        Self {
            dialect: dialect.name().to_owned(),
            model: model.to_string(),
            factors: factors.to_vec(),
            doubt: (0..KINDS)
                .flat_map(|row| doubt[row][..=row].to_vec())
                .collect(),
            whole_noise: whole_noise.to_vec(),
            token_noise: token_noise.to_vec(),
            spread: spread.to_vec(),
            calls: calls.to_vec(),
            pool_spread: learned.spread,
            routes: learned.routes.iter().map(SavedRoute::of).collect(),
        }
    }

    fn read(self) -> Result<(Key, Learned), LearnedError> {
        let wrong = |what| {
            LearnedError::new(Kind::Broken {
                // A name that is itself broken is not repeated at any length.
                model: self.model.chars().take(LONGEST_NAME).collect(),
                what,
            })
        };
        let dialect = Dialect::ALL
            .iter()
            .find(|dialect| dialect.name() == self.dialect)
            .ok_or_else(|| wrong("dialect"))?;
        if self.model.len() > LONGEST_NAME {
            return Err(wrong("model"));
        }
        let list = |figures: &[i64]| Factors::try_from(figures).ok();
        let mut doubt = [Factors::default(); KINDS];
        if self.doubt.len() != KINDS * (KINDS + 1) / 2 {
            return Err(wrong("doubt"));
        }
        let mut figures = self.doubt.iter();
        for (row, column) in (0..KINDS).flat_map(|row| (0..=row).map(move |column| (row, column))) {
            let figure = *figures.next().ok_or_else(|| wrong("doubt"))?;
            (doubt[row][column], doubt[column][row]) = (figure, figure);
        }
        let input = Input {
            factors: list(&self.factors).ok_or_else(|| wrong("factors"))?,
            doubt,
            noise: [
                list(&self.whole_noise).ok_or_else(|| wrong("whole_noise"))?,
                list(&self.token_noise).ok_or_else(|| wrong("token_noise"))?,
            ],
            spread: list(&self.spread).ok_or_else(|| wrong("spread"))?,
            calls: self
                .calls
                .as_slice()
                .try_into()
                .map_err(|_| wrong("calls"))?,
        };
        if let Some(what) = input.fault() {
            return Err(wrong(what));
        }
        if !pool::is_spread(self.pool_spread) {
            return Err(wrong("pool_spread"));
        }
        if self.routes.len() > MOST_ROUTES {
            return Err(wrong("routes"));
        }
        let mut learned = Learned::default();
        learned.input = input;
        learned.spread = self.pool_spread;
        for route in &self.routes {
            learned.routes.push(route.read().map_err(wrong)?);
        }
        Ok(((*dialect, self.model.as_str().into()), learned))
    }
}

impl SavedRoute {
    fn of(((operation, route), answers): &(Route, Answers)) -> Self {
        let Course {
            recent,
            usual,
            variance,
        } = answers.course;
        Self {
            operation: operation.as_str().to_owned(),
            route: route.as_ref().map(ToString::to_string),
            bins: answers
                .bins
                .iter()
                .enumerate()
                .filter(|(_, bin)| bin.weight > 0)
                .map(|(at, bin)| (at, bin.weight, bin.tokens))
                .collect(),
            squares: answers.squares,
            beside: answers.beside,
            most_beside: answers.most_beside,
            reports: answers.reports,
            longest: answers.longest,
            course: (recent, usual, variance),
        }
    }

    fn read(&self) -> Result<(Route, Answers), &'static str> {
        let operation = [Operation::Chat, Operation::TextCompletion]
            .into_iter()
            .find(|operation| operation.as_str() == self.operation)
            .ok_or("operation")?;
        let route: Option<Arc<str>> = self.route.as_deref().map(Arc::from);
        if route.as_ref().is_some_and(|name| name.len() > LONGEST_NAME) {
            return Err("route");
        }
        let mut answers = Answers::new();
        for (at, weight, tokens) in &self.bins {
            let bin = answers.bins.get_mut(*at).filter(|_| *at < BINS);
            *bin.ok_or("bins")? = Bin {
                weight: *weight,
                tokens: *tokens,
            };
        }
        let (recent, usual, variance) = self.course;
        answers.squares = self.squares;
        answers.beside = self.beside;
        answers.most_beside = self.most_beside;
        answers.reports = self.reports;
        answers.longest = self.longest;
        answers.course = Course {
            recent,
            usual,
            variance,
        };
        match answers.fault() {
            Some(what) => Err(what),
            None => Ok(((operation, route), answers)),
        }
    }
}

impl Input {
    /// What cannot be.
    fn fault(&self) -> Option<&'static str> {
        let within = |figures: &Factors, least: i64, most: i64| {
            figures.iter().all(|figure| (least..=most).contains(figure))
        };
        let is_covariance = (0..KINDS).all(|a| {
            (0..=a).all(|b| {
                let squared = i128::from(self.doubt[a][b]).pow(2);
                let most = i128::from(self.doubt[a][a]) * i128::from(self.doubt[b][b]);
                (1..=ONE).contains(&self.doubt[a][a]) && squared <= most
            })
        });
        match () {
            () if !within(&self.factors, 1, 64 * ONE) => Some("factors"),
            () if !is_covariance => Some("doubt"),
            () if !within(&self.noise[0], 1, 64 * ONE) => Some("whole_noise"),
            () if !within(&self.noise[1], 1, 64 * ONE) => Some("token_noise"),
            () if !within(&self.spread, ONE, 16 * ONE) => Some("spread"),
            () => None,
        }
    }
}

impl Answers {
    /// What cannot be.
    fn fault(&self) -> Option<&'static str> {
        /// More than any weight can add up to.
        const MOST: u64 = 1 << 44;
        let is_bin = |bin: &Bin| {
            bin.weight <= MOST && u128::from(bin.tokens) <= u128::from(bin.weight) << 22
        };
        let Course {
            recent,
            usual,
            variance,
        } = self.course;
        let is_log = |figure| (0..=64 * ONE).contains(&figure);
        match () {
            () if !self.bins.iter().all(is_bin) => Some("bins"),
            () if self.squares > 1 << 60 || self.beside > 1 << 42 => Some("squares"),
            () if self.most_beside > 1 << 20 || self.longest > 1 << 22 => Some("longest"),
            () if !(is_log(recent) && is_log(usual)) => Some("course"),
            () if !(0..=4_096 * ONE).contains(&variance) => Some("course"),
            () => None,
        }
    }
}

impl Models {
    /// Adds what was learned of models of which nothing is known, as long as there is room.
    fn take_over(&mut self, loaded: Vec<(Key, Learned)>) -> usize {
        let mut taken = 0;
        for (key, learned) in loaded {
            taken += usize::from(self.add(key, learned));
        }
        taken
    }
}

impl LearnedError {
    const fn new(kind: Kind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for LearnedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Json(error) => write!(
                f,
                "what was learned cannot be read: {error}; delete the file to start anew"
            ),
            Kind::Foreign => f.write_str(
                "this is not what an estimator has learned; such a file begins with \"format\":\"tollgate-learned\"",
            ),
            Kind::Version(version) => write!(
                f,
                "what was learned is of version {version}, and this program reads version {VERSION}; delete the file to start anew"
            ),
            Kind::TooMany(models) => write!(
                f,
                "what was learned is of {models} models; at most {MOST_MODELS} are kept"
            ),
            Kind::Broken { model, what } => write!(
                f,
                "what was learned of `{model}` has impossible figures in `{what}`; delete the file to start anew"
            ),
        }
    }
}

impl std::error::Error for LearnedError {}
