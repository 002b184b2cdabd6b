//! Whose call it is: from the API key to the team that its quotas belong to.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::reply::hash;

/// The team of a request's key, or none when it carries no key.
pub(crate) fn team_of(headers: &HeaderMap, keys: &[(String, String)]) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(key)
        });
    let key = text("x-api-key")
        .or(bearer)
        .map(str::trim)
        .filter(|key| !key.is_empty())?;
    if let Some((_, team)) = keys.iter().find(|(known, _)| known == key) {
        return Some(team.clone());
    }
    let named = key
        .strip_prefix("sk-")
        .and_then(|rest| rest.split_once('-'));
    match named {
        Some((team, rest)) if !team.is_empty() && !rest.is_empty() => Some(team.to_owned()),
        // The key itself is the team; books and messages must not show it.
        _ => Some(format!("key-{:016x}", hash(0, key.as_bytes()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(name: &'static str, value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header value"));
        team_of(&headers, &[("LLM|1|known".to_owned(), "acme".to_owned())])
    }

    #[test]
    fn a_key_belongs_to_the_team_it_names() {
        let check = |name, value, expected: Option<&str>| {
            assert_eq!(team(name, value).as_deref(), expected, "{value}")
        };
        check("authorization", "Bearer sk-acme-123", Some("acme"));
        check("authorization", "bearer sk-acme-other", Some("acme"));
        check("x-api-key", "sk-acme-123", Some("acme"));
        check("x-api-key", "LLM|1|known", Some("acme"));
        check("authorization", "Basic abc", None);
        check("authorization", "Bearer ", None);
        check("x-api-key", "", None);
    }

    #[test]
    fn any_other_key_is_a_team_of_its_own_and_is_not_shown() {
        for key in ["secret", "sk-secret", "sk--secret"] {
            let team = team("x-api-key", key).expect("a team");
            assert!(
                team.starts_with("key-") && !team.contains("secret"),
                "{team}"
            );
        }
        assert_ne!(team("x-api-key", "one"), team("x-api-key", "two"));
    }
}
