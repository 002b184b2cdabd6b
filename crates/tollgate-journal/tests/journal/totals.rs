//! Totals equal a plain sum over the calls, for every grouping, and cost what the roll-ups cost.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tollgate_gate::Tokens;
use tollgate_journal::{By, Journal, Query, Reader, Row, Totals};

use crate::support::*;

/// Random calls over two months around the change to winter time.
fn calls(seed: u64, count: usize) -> Vec<End> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut calls = Vec::new();
    for _ in 0..count {
        let mut end = End::at(NOON - random.i64(0..60 * DAY))
            .with("operation", "chat")
            .with("session", &random.u32(..).to_string());
        for (label, values) in [
            ("team", &["blue", "green"][..]),
            ("tenant", &["search", "ads", "mail"]),
            ("model", &["llama-3", "llama-4", "gpt-m"]),
        ] {
            // Some calls lack a label.
            if let Some(value) = values.get(random.usize(..=values.len())) {
                end = end.with(label, value);
            }
        }
        end = end.costing(random.u64(..1_000_000));
        if random.u8(..) < 20 {
            (end.cost, end.tokens, end.error) = (None, None, Some("server_error"));
        }
        calls.push(end);
    }
    calls
}

fn written(folder: &Folder, calls: &[End]) -> Reader {
    let journal = Journal::open(folder.journal()).unwrap();
    calls.iter().for_each(|call| call.record_in(&journal));
    journal.flush().wait().unwrap();
    journal.reader().unwrap()
}

/// The same by adding call to call.
fn naive(calls: &[End], by: &[By], zone: &TimeZone, within: impl Fn(i64) -> bool) -> Vec<Row> {
    let mut rows: BTreeMap<Vec<String>, Totals> = BTreeMap::new();
    for call in calls.iter().filter(|call| within(call.at_ms)) {
        let at = Timestamp::from_millisecond(call.at_ms)
            .unwrap()
            .to_zoned(zone.clone());
        let part = |by: &By| match by {
            By::Day => at.strftime("%Y-%m-%d").to_string(),
            By::Month => at.strftime("%Y-%m").to_string(),
            other => call
                .labels
                .get(other.as_str())
                .unwrap_or_default()
                .to_owned(),
        };
        let totals = rows.entry(by.iter().map(part).collect()).or_default();
        totals.calls += 1;
        totals.failed += u64::from(call.error.is_some());
        totals.unreported += u64::from(call.tokens.is_none());
        totals.unpriced += u64::from(call.cost.is_none());
        totals.attempts += 2;
        let tokens = call.tokens.unwrap_or_default();
        let sum = &mut totals.tokens;
        *sum = Tokens {
            input: sum.input + tokens.input,
            output: sum.output + tokens.output,
            cache_read: sum.cache_read + tokens.cache_read,
            cache_write: sum.cache_write + tokens.cache_write,
            reasoning: sum.reasoning + tokens.reasoning,
        };
        totals.cost += call.cost.unwrap_or(0);
        totals.waited += std::time::Duration::from_micros(250);
    }
    rows.into_iter()
        .map(|(key, totals)| Row { key, totals })
        .collect()
}

#[test]
fn every_grouping_in_every_zone_equals_the_plain_sum() {
    let groupings: [&[By]; 8] = [
        &[],
        &[By::Model],
        &[By::Tenant],
        &[By::Day],
        &[By::Month],
        &[By::Month, By::Team],
        &[By::Model, By::Tenant, By::Day],
        &By::ALL,
    ];
    for seed in 0..2 {
        let folder = Folder::new();
        let calls = calls(seed, 600);
        let reader = written(&folder, &calls);
        // With offsets of an hour and two, a half, three quarters, and a jump at midnight in between.
        for zone in [
            "UTC",
            "Europe/Berlin",
            "Asia/Kolkata",
            "Asia/Kathmandu",
            "America/Havana",
        ] {
            let tz = TimeZone::get(zone).unwrap();
            for by in groupings {
                let query = Query::new().by(by.iter().copied()).time_zone(zone).unwrap();
                let rows = reader.totals(&query).unwrap();
                assert_eq!(
                    rows,
                    naive(&calls, by, &tz, |_| true),
                    "seed {seed}, {zone}, {by:?}"
                );
            }
        }
    }
}

#[test]
fn since_and_until_cut_at_quarters_of_an_hour() {
    let folder = Folder::new();
    let calls = calls(7, 3_000);
    let reader = written(&folder, &calls);
    let quarter = HOUR / 4;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..50 {
        let (a, b) = (random.i64(0..60 * DAY), random.i64(0..60 * DAY));
        let (since, until) = (NOON - a.max(b), NOON - a.min(b));
        let query = Query::new()
            .by([By::Tenant])
            .since(tick(since))
            .until(tick(until));
        let (from, to) = (
            since / quarter * quarter,
            (until + quarter - 1) / quarter * quarter,
        );
        let expected = naive(&calls, &[By::Tenant], &TimeZone::UTC, |at| {
            from <= at && at < to
        });
        assert_eq!(reader.totals(&query).unwrap(), expected, "{since}..{until}");
    }
}

#[test]
fn an_empty_journal_has_no_totals() {
    let folder = Folder::new();
    let reader = Journal::open(folder.journal()).unwrap().reader().unwrap();
    let totals = reader.totals(&Query::new().by([By::Day])).unwrap();
    assert_eq!(totals, []);
}

#[test]
fn an_unknown_time_zone_is_named() {
    let error = Query::new().time_zone("Europe/Atlantis").unwrap_err();
    assert!(error.to_string().contains("Europe/Atlantis"), "{error}");
}

#[test]
fn pruned_calls_stay_in_the_totals() {
    let folder = Folder::new();
    let calls = calls(11, 8_000);
    let reader = written(&folder, &calls);
    let query = Query::new().by(By::ALL);
    let before = reader.totals(&query).unwrap();
    let journal = Journal::open(folder.journal()).unwrap();
    let cut = NOON - 10 * DAY;
    let old = calls.iter().filter(|call| call.at_ms < cut).count();
    assert_eq!(journal.prune_before(tick(cut)).unwrap(), old);
    assert_eq!(journal.prune_before(tick(cut)).unwrap(), 0);
    assert_eq!(
        number(&folder, "SELECT count(*) FROM call"),
        i64::try_from(calls.len() - old).unwrap()
    );
    assert_eq!(reader.totals(&query).unwrap(), before);
}
