//! Totals as text.

use tollgate::journal::{By, Row, Totals};
use tollgate::limits::Unit;

/// Rows below a head line, and their sum.
pub(crate) fn table(by: &[By], rows: &[Row]) -> String {
    let mut lines = vec![texts(by, NUMBERS)];
    let named = |text: &String| match text.is_empty() {
        true => "(none)".to_owned(),
        false => text.clone(),
    };
    for row in rows {
        let mut line: Vec<String> = row.key.iter().map(named).collect();
        line.extend(numbers(&row.totals));
        lines.push(line);
    }
    let all = rows
        .iter()
        .fold(Totals::default(), |sum, row| plus(sum, &row.totals));
    let mut last = vec![String::new(); by.len()];
    if let Some(first) = last.first_mut() {
        *first = "all".to_owned();
    }
    last.extend(numbers(&all));
    lines.push(last);

    let widths: Vec<usize> = (0..by.len() + NUMBERS.len())
        .map(|i| lines.iter().map(|line| line[i].chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(i, (cell, &width))| match i < by.len() {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The same for programs: every number, money in dollars with nine decimals.
pub(crate) fn csv(by: &[By], rows: &[Row]) -> String {
    let mut text = texts(by, FIELDS).join(",") + "\n";
    for Row { key, totals } in rows {
        let tokens = &totals.tokens;
        let mut fields: Vec<String> = key.iter().map(|field| quoted(field)).collect();
        let counts = [
            totals.calls,
            totals.failed,
            totals.attempts,
            tokens.input,
            tokens.output,
            tokens.cache_read,
            tokens.cache_write,
            tokens.reasoning,
        ];
        fields.extend(counts.map(|count| count.to_string()));
        let (dollars, nanos) = (totals.cost / 1_000_000_000, totals.cost % 1_000_000_000);
        fields.push(format!("{dollars}.{nanos:09}"));
        fields.push(totals.unpriced.to_string());
        fields.push(format!("{:.3}", totals.waited.as_secs_f64()));
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

const NUMBERS: [&str; 7] = [
    "calls", "failed", "input", "cached", "output", "cost", "unpriced",
];

const FIELDS: [&str; 11] = [
    "calls",
    "failed",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "unpriced_calls",
    "waited_seconds",
];

fn texts<const N: usize>(by: &[By], names: [&str; N]) -> Vec<String> {
    let keys = by.iter().map(|by| by.as_str());
    keys.chain(names).map(str::to_owned).collect()
}

fn numbers(totals: &Totals) -> [String; NUMBERS.len()] {
    let tokens = &totals.tokens;
    let count = |count: u64| count.to_string();
    [
        count(totals.calls),
        count(totals.failed),
        count(tokens.input),
        count(tokens.cache_read),
        count(tokens.output),
        Unit::Cost.number(totals.cost).to_string(),
        count(totals.unpriced),
    ]
}

/// The sum of what a table shows.
fn plus(mut sum: Totals, other: &Totals) -> Totals {
    sum.calls += other.calls;
    sum.failed += other.failed;
    sum.unpriced += other.unpriced;
    sum.cost += other.cost;
    sum.tokens.input += other.tokens.input;
    sum.tokens.cache_read += other.tokens.cache_read;
    sum.tokens.output += other.tokens.output;
    sum
}

/// A field as RFC 4180 wants it.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
