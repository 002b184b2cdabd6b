//! The IETF's `RateLimit` headers: the structured fields of `draft-ietf-httpapi-ratelimit-headers`, and the three plain headers of its
//! early versions.

use std::time::Duration;

use tollgate_limits::Unit;

use super::{Reader, ServiceLimit, whole};

pub(super) fn read(reader: &mut Reader<'_>, limits: &mut Vec<ServiceLimit>) {
    // A malformed field must be ignored as a whole, says the draft; one list may be spread over several header lines.
    let policies = field(reader, "ratelimit-policy", "q").unwrap_or_default();
    let states = field(reader, "ratelimit", "r").unwrap_or_default();
    let first = limits.len();
    let mut uncounted = Vec::new();
    for policy in &policies {
        // The default unit is the request; bytes of content, and units nobody registered, are none of ours.
        let Some(unit) = unit(policy.quota_unit.as_deref()) else {
            uncounted.push(&policy.name);
            continue;
        };
        limits.push(ServiceLimit {
            name: policy.name.clone().into(),
            unit,
            window: policy.get("w").filter(|&w| w > 0).map(Duration::from_secs),
            limit: policy.get("q"),
            remaining: None,
            rounded_to: 1,
            reset: None,
            reset_is_full: false,
        });
    }
    for state in &states {
        if uncounted.contains(&&state.name) {
            continue;
        }
        let known = limits[first..]
            .iter()
            .position(|limit| limit.name == state.name);
        let at = known.map_or(limits.len(), |at| first + at);
        if known.is_none() {
            limits.push(ServiceLimit {
                name: state.name.clone().into(),
                unit: Unit::Requests,
                window: None,
                limit: None,
                remaining: None,
                rounded_to: 1,
                reset: None,
                reset_is_full: false,
            });
        }
        limits[at].remaining = state.get("r");
        limits[at].reset = state.get("t").map(Duration::from_secs);
    }
    if limits.len() == first {
        three_headers(reader, limits);
    }
}

/// `RateLimit-Limit: 100, 100;w=60`, `RateLimit-Remaining`, `RateLimit-Reset` in seconds.
fn three_headers(reader: &mut Reader<'_>, limits: &mut Vec<ServiceLimit>) {
    let remaining = reader.count("ratelimit-remaining");
    let reset = reader.count("ratelimit-reset").map(Duration::from_secs);
    let mut limit = None;
    let mut window = None;
    if let Some(text) = reader.text("ratelimit-limit") {
        let mut members = text.split(',').map(str::trim);
        limit = members
            .next()
            .and_then(whole)
            .or_else(|| reader.malformed("ratelimit-limit"));
        let spans = members.filter_map(|member| {
            member
                .split_once(";w=")?
                .1
                .split(';')
                .next()
                .and_then(whole)
        });
        window = spans.filter(|&w| w > 0).map(Duration::from_secs).next();
    }
    if limit.is_some() || remaining.is_some() || reset.is_some() {
        limits.push(ServiceLimit {
            name: "requests".into(),
            unit: Unit::Requests,
            window,
            limit,
            remaining,
            rounded_to: 1,
            reset,
            reset_is_full: false,
        });
    }
}

fn unit(name: Option<&str>) -> Option<Unit> {
    match name {
        None | Some("requests") => Some(Unit::Requests),
        Some("concurrent-requests") => Some(Unit::Concurrency),
        Some("tokens") => Some(Unit::TotalTokens),
        Some("input-tokens") => Some(Unit::InputTokens),
        Some("output-tokens") => Some(Unit::OutputTokens),
        Some(_) => None,
    }
}

/// One member of a list: a name and those of its parameters that are counts.
struct Member {
    name: String,
    counts: Vec<(String, u64)>,
    quota_unit: Option<String>,
}

impl Member {
    fn get(&self, key: &str) -> Option<u64> {
        self.counts
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| *value)
    }
}

/// The members of a field over all its lines; each must have the parameter `required`. `None` if absent or malformed.
fn field(reader: &mut Reader<'_>, name: &'static str, required: &str) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    for line in reader.headers.get_all(name) {
        let parsed = line.to_str().ok().and_then(|line| {
            split(line, ',')
                .into_iter()
                .map(member)
                .collect::<Option<Vec<_>>>()
        });
        match parsed.filter(|parsed| parsed.iter().all(|member| member.get(required).is_some())) {
            Some(parsed) => members.extend(parsed),
            None => return reader.malformed(name),
        }
    }
    Some(members)
}

/// `"permin";q=50;w=60;qu="tokens"`. Parameters that are neither counts nor the unit (the partition key, extensions) are skipped.
fn member(text: &str) -> Option<Member> {
    const COUNTS: [&str; 4] = ["q", "w", "r", "t"];
    let mut parts = split(text, ';').into_iter();
    let name = parts.next().filter(|name| !name.is_empty())?;
    let mut member = Member {
        name: unquote(name).to_owned(),
        counts: Vec::new(),
        quota_unit: None,
    };
    for part in parts {
        let Some((key, value)) = part.split_once('=') else {
            continue;
        };
        if COUNTS.contains(&key) {
            // Negative and fractional values are malformed, and so is the field.
            member.counts.push((key.to_owned(), whole(value)?));
        } else if key == "qu" {
            member.quota_unit = Some(unquote(value).to_owned());
        }
    }
    Some(member)
}

/// Splits at `separator` outside quotes and trims the parts.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c: char| {
        let ends = c == separator && !quoted;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
        ends
    })
    .map(str::trim)
    .collect()
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}
