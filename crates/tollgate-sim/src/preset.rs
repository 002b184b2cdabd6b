//! The providers it can play: models, quotas and how calls are charged, each with its source.

use crate::provider::{Charging, Quota, Rules, Shape, Unit};
use crate::wire::Dialect;

/// A model that the provider serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name calls use.
    pub name: String,
    /// Models of one team with the same pool share their quotas; usually the name itself.
    pub pool: String,
    /// Most tokens of prompt and answer together. A longer prompt is refused with 400, an answer is ended there.
    pub context: u64,
    /// Most tokens of an answer, whatever cap the call names.
    pub max_output: u64,
    /// Output tokens a call asks room for when it names no cap.
    pub uncapped: u64,
}

impl Model {
    /// A model with its own quotas that reserves `max_output` for calls without a cap.
    #[must_use]
    pub fn new(name: &str, context: u64, max_output: u64) -> Self {
        Self {
            name: name.to_owned(),
            pool: name.to_owned(),
            context,
            max_output,
            uncapped: max_output,
        }
    }

    /// Shares the quotas of `pool`.
    #[must_use]
    pub fn pool(mut self, pool: &str) -> Self {
        pool.clone_into(&mut self.pool);
        self
    }

    /// Reserves `tokens` for calls without a cap. Zero reserves nothing.
    #[must_use]
    pub const fn uncapped(mut self, tokens: u64) -> Self {
        self.uncapped = tokens;
        self
    }
}

/// What a preset fixes.
#[derive(Debug, Clone)]
pub(crate) struct Preset {
    pub(crate) models: Vec<Model>,
    /// Serves every other model name too, each as the first model but with quotas of its own.
    pub(crate) any_model: bool,
    pub(crate) rules: Rules,
    /// Rules of single pools that differ.
    pub(crate) by_pool: Vec<(String, Rules)>,
    /// What `/v1/chat/completions` speaks.
    pub(crate) chat: Dialect,
    /// Answers like xAI where it differs from OpenAI.
    pub(crate) xai: bool,
}

/// The names of all presets.
pub(crate) const NAMES: [&str; 6] = [
    "llama-api",
    "grok-2",
    "claude-opus-4",
    "openai",
    "llama-3",
    "unlimited",
];

pub(crate) fn preset(name: &str) -> Option<Preset> {
    let plain = |models, rules| Preset {
        models,
        any_model: false,
        rules,
        by_pool: Vec::new(),
        chat: Dialect::OpenAi,
        xai: false,
    };
    let minute = Quota::per_minute;
    let preset = match name {
        // Meta's rate-limit page: 10 RPM and 250,000 TPM per team for each of four models, "until usage falls below":
        // a sliding log is the reading that forgives least. Context 128k, output 4,028 (LiteLLM's provider page).
        "llama-api" => {
            let names = [
                "Llama-4-Maverick-17B-128E-Instruct-FP8",
                "Llama-4-Scout-17B-16E-Instruct-FP8",
                "Llama-3.3-70B-Instruct",
                "Llama-3.3-8B-Instruct",
            ];
            let quotas = vec![
                minute(Unit::Requests, 10, Shape::SlidingLog),
                minute(Unit::Total, 250_000, Shape::SlidingLog),
            ];
            let models = names.map(|name| Model::new(name, 128_000, 4_028)).to_vec();
            Preset {
                chat: Dialect::MetaLlama,
                ..plain(models, Rules::new(Charging::Arrival, quotas))
            }
        }
        // Grok-2's guide: a counter that is cleared when its window ends. It states no numbers; these are ours.
        "grok-2" => {
            let quotas = vec![
                minute(Unit::Requests, 60, Shape::Aligned),
                minute(Unit::Total, 100_000, Shape::Aligned),
            ];
            let models = vec![
                Model::new("grok-2-1212", 32_768, 8_192),
                Model::new("grok-2", 32_768, 8_192).pool("grok-2-1212"),
            ];
            Preset {
                xai: true,
                ..plain(models, Rules::new(Charging::Arrival, quotas))
            }
        }
        // Anthropic's rate-limit page: token buckets; Claude Opus 4.x share 50 RPM, 20,000 ITPM and 8,000 OTPM in the first
        // tier of 2025; input at arrival, output as produced (the wording of 2026).
        "claude-opus-4" => {
            let bucket = |unit, limit| minute(unit, limit, Shape::Bucket { burst: limit });
            let quotas = vec![
                bucket(Unit::Requests, 50),
                bucket(Unit::Input, 20_000),
                bucket(Unit::Output, 8_000),
            ];
            let names = ["claude-opus-4-20250514", "claude-opus-4-0", "claude-opus-4"];
            let models = names
                .map(|name| Model::new(name, 200_000, 32_000).pool("claude-opus-4"))
                .to_vec();
            plain(models, Rules::new(Charging::Produced, quotas))
        }
        // OpenAI's rate-limit guide: the headers fit a continuous bucket; `max_tokens` counts at arrival, a call without it
        // by its prompt alone; failed requests count. 500 RPM and 30,000 TPM are the first tier of gpt-4o.
        "openai" => {
            let bucket = |unit, limit| minute(unit, limit, Shape::Bucket { burst: limit });
            let rules = |tokens| {
                Rules::new(
                    Charging::Arrival,
                    vec![bucket(Unit::Requests, 500), bucket(Unit::Total, tokens)],
                )
                .failed_count(true)
            };
            let models = [
                ("gpt-4o", 128_000, 16_384),
                ("gpt-4o-mini", 128_000, 16_384),
                ("o4-mini", 200_000, 100_000),
            ];
            let models = models
                .map(|(name, context, output)| Model::new(name, context, output).uncapped(0))
                .to_vec();
            let by_pool = ["gpt-4o-mini", "o4-mini"]
                .map(|pool| (pool.to_owned(), rules(200_000)))
                .to_vec();
            Preset {
                by_pool,
                ..plain(models, rules(30_000))
            }
        }
        // The Llama 3 guide's example: 10,000 tokens per minute, prompt and answer, blocked until the reset.
        "llama-3" => {
            let quotas = vec![minute(Unit::Total, 10_000, Shape::FirstCall)];
            plain(
                vec![Model::new("llama-3", 8_192, 2_048)],
                Rules::new(Charging::Arrival, quotas),
            )
        }
        "unlimited" => {
            let models = vec![Model::new("unlimited", 1_000_000, 100_000)];
            Preset {
                any_model: true,
                ..plain(models, Rules::new(Charging::Arrival, Vec::new()))
            }
        }
        _ => return None,
    };
    Some(preset)
}

impl Preset {
    /// The model of a call; a call that names none gets the first.
    pub(crate) fn model(&self, name: Option<&str>) -> Option<Model> {
        let first = self.models.first();
        let Some(name) = name else {
            return first.cloned();
        };
        let known = self.models.iter().find(|model| model.name == name).cloned();
        known.or_else(|| {
            let as_first = |first: &Model| Model {
                name: name.to_owned(),
                pool: name.to_owned(),
                ..first.clone()
            };
            first.filter(|_| self.any_model).map(as_first)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_preset_with_a_model() {
        for name in NAMES {
            assert!(preset(name).expect(name).model(None).is_some(), "{name}");
        }
        assert!(preset("llama-5").is_none());
    }

    #[test]
    fn only_the_preset_without_limits_serves_any_model() {
        let any = preset("unlimited")
            .expect("a preset")
            .model(Some("what-you-like"))
            .expect("served");
        assert_eq!(
            (any.pool.as_str(), any.context),
            ("what-you-like", 1_000_000)
        );
        assert_eq!(
            preset("openai")
                .expect("a preset")
                .model(Some("what-you-like")),
            None
        );
    }
}
