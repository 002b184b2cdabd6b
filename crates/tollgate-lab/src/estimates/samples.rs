//! The texts that estimates are measured on: real ones of this repository, and generated ones.

use std::fmt::Write as _;

use fastrand::Rng;

/// A kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    /// The project's own documents.
    Prose,
    /// The project's own source.
    Code,
    /// Essays, news, letters and a manual, written for this.
    Chinese,
    /// Generated records, compact and indented.
    Json,
    /// A prompt with a generated picture in base64.
    Image,
}

impl Sample {
    pub(super) const ALL: [Self; 5] = [
        Self::Prose,
        Self::Code,
        Self::Chinese,
        Self::Json,
        Self::Image,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Prose => "English prose",
            Self::Code => "code",
            Self::Chinese => "Chinese",
            Self::Json => "JSON",
            Self::Image => "base64 image",
        }
    }
}

/// Texts of every kind, in two halves: one teaches, the other asks.
pub(super) struct Library {
    prose: [String; 2],
    code: [String; 2],
    chinese: [String; 2],
    json: [String; 2],
}

impl Library {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            prose: halves(&PROSE.concat(), "\n\n"),
            code: halves(&CODE.concat(), "\n\n"),
            chinese: halves(CHINESE, "。"),
            json: halves(&json(rng), "\n\n"),
        }
    }

    /// A passage of about so many bytes, of the half that teaches or of the other.
    pub(super) fn passage(&self, kind: Sample, second: bool, bytes: usize, rng: &mut Rng) -> &str {
        let text = match kind {
            Sample::Prose | Sample::Image => &self.prose,
            Sample::Code => &self.code,
            Sample::Chinese => &self.chinese,
            Sample::Json => &self.json,
        };
        let text = &text[usize::from(second)];
        let bytes = bytes.min(text.len() * 2 / 3);
        let start = rng.usize(0..text.len() - bytes - 4);
        let whole = |at: &usize| text.is_char_boundary(*at);
        let start = (start..).find(whole).unwrap_or(0);
        let end = (start + bytes..).find(whole).unwrap_or(start);
        &text[start..end]
    }
}

/// Every other paragraph, so that both halves are of one kind and share no passage.
fn halves(text: &str, between: &str) -> [String; 2] {
    let mut halves = [String::new(), String::new()];
    for (at, paragraph) in text.split(between).enumerate() {
        halves[at % 2].push_str(paragraph);
        halves[at % 2].push_str(between);
    }
    halves
}

/// Records such as programs send: numbers, names, dates, identifiers.
fn json(rng: &mut Rng) -> String {
    const WORDS: [&str; 16] = [
        "gateway",
        "retry",
        "quota",
        "tenant",
        "budget",
        "window",
        "stream",
        "ledger",
        "invoice",
        "region",
        "latency",
        "pending",
        "shipped",
        "customer",
        "warehouse",
        "estimate",
    ];
    let mut text = String::new();
    for record in 0..1_500 {
        let word = |rng: &mut Rng| WORDS[rng.usize(0..WORDS.len())];
        let note: Vec<&str> = (0..rng.usize(2..12)).map(|_| word(rng)).collect();
        let (pad, end) = if record / 250 % 2 == 0 {
            ("", "")
        } else {
            ("  ", "\n")
        };
        let gap = if pad.is_empty() { "" } else { " " };
        write!(
            text,
            "{{{end}{pad}\"id\":{gap}{record},{end}{pad}\"trace\":{gap}\"{:016x}\",{end}{pad}\"status\":{gap}\"{}\",{end}{pad}\"amount\":{gap}{}.{:02},{end}\
             {pad}\"created_at\":{gap}\"2026-{:02}-{:02}T{:02}:{:02}:{:02}Z\",{end}{pad}\"active\":{gap}{},{end}{pad}\"tags\":{gap}[\"{}\",{gap}\"{}\"],{end}\
             {pad}\"address\":{gap}{{\"city\":{gap}\"{}\",{gap}\"zip\":{gap}\"{:05}\"}},{end}{pad}\"note\":{gap}\"{}\"{end}}},{end}{}",
            rng.u64(..),
            word(rng),
            rng.u32(0..5_000),
            rng.u32(0..100),
            rng.u32(1..13),
            rng.u32(1..29),
            rng.u32(0..24),
            rng.u32(0..60),
            rng.u32(0..60),
            rng.bool(),
            word(rng),
            word(rng),
            ["Berlin", "Lyon", "Porto", "Kyoto"][rng.usize(0..4)],
            rng.u32(10_000..100_000),
            note.join(" "),
            // A paragraph of the text: it goes into one half.
            if record % 25 == 24 { "\n\n" } else { "" },
        )
        .expect("a string takes any text");
    }
    text
}

const PROSE: [&str; 6] = [
    include_str!("../../../../docs/DESIGN.md"),
    include_str!("../../../../docs/PROVIDERS.md"),
    include_str!("../../../../docs/ARCHITECTURE.md"),
    include_str!("../../../../docs/TESTING.md"),
    include_str!("../../../../docs/CHANGELOG.md"),
    include_str!("../../../../README.md"),
];

const CODE: [&str; 9] = [
    include_str!("../report.rs"),
    include_str!("pools.rs"),
    include_str!("../../../tollgate-tokens/src/estimate.rs"),
    include_str!("../../../tollgate-tokens/src/estimate/answers.rs"),
    include_str!("../../../tollgate-tokens/src/estimate/input.rs"),
    include_str!("../../../tollgate-tokens/src/estimate/learned.rs"),
    include_str!("../../../tollgate-tokens/src/estimate/pool.rs"),
    include_str!("../../../tollgate-tokens/src/image/sniffer.rs"),
    include_str!("../../../tollgate-tokens/src/descriptor/kinds.rs"),
];

const CHINESE: &str = include_str!("chinese.txt");
