//! Tokens of images: by the provider's rule, from the size in the image's own first bytes.

mod sniffer;

use crate::Dialect;
pub(crate) use sniffer::Sniffer;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// An image of a prompt, as far as the request tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) size: Option<Size>,
    /// The caller asked for it to be looked at coarsely (OpenAI's `"detail": "low"`).
    pub(crate) low: bool,
}

/// How images are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// OpenAI's tile models: so much for each image, and so much for each tile of 512 pixels.
    Tiles { image: u64, tile: u64 },
    /// OpenAI's smaller models: patches of 32 pixels, 1,536 at most, times so many hundredths.
    Patches(u64),
    /// Anthropic: width times height over 750, of at most 1,568 on the longer edge.
    Area,
    /// Gemini: 258 for each tile of 768 pixels.
    Crops,
    /// Not known.
    Flat,
}

/// Tokens of an image of unknown size or rule, as providers count common sizes (Llama on OCI: about 1,610 for 512 by 512). The length of
/// its base64 would say far more.
pub(crate) const UNKNOWN: u64 = 1_600;

/// The tokens that a picture takes.
pub(crate) fn tokens(dialect: Dialect, model: &str, picture: Picture) -> u64 {
    let rule = rule(dialect, model);
    match (rule, picture.size) {
        (Rule::Tiles { image, .. }, _) if picture.low => image,
        (Rule::Tiles { image, tile }, Some(size)) => image + tile * tiles(size),
        (Rule::Patches(hundredths), Some(size)) => (patches(size) * hundredths).div_ceil(100),
        (Rule::Area, Some(size)) => {
            let size = size.within(1_568);
            (u64::from(size.width) * u64::from(size.height)).div_ceil(750)
        }
        (Rule::Crops, Some(Size { width, height })) => {
            258 * u64::from(width.div_ceil(768)) * u64::from(height.div_ceil(768))
        }
        _ => UNKNOWN,
    }
}

/// The rule for a model, by how its name begins behind the vendor's (OpenAI's and Anthropic's vision guides, 2026; Gemini's token guide).
fn rule(dialect: Dialect, model: &str) -> Rule {
    if dialect == Dialect::Anthropic {
        return Rule::Area;
    }
    let name = model.rsplit('/').next().unwrap_or_default();
    let (_, rule) = RULES
        .iter()
        .find(|(prefix, _)| name.starts_with(prefix))
        .unwrap_or(&("", Rule::Flat));
    *rule
}

/// Longer beginnings before those that they continue.
const RULES: [(&str, Rule); 17] = [
    (
        "gpt-4o-mini",
        Rule::Tiles {
            image: 2_833,
            tile: 5_667,
        },
    ),
    (
        "gpt-4o",
        Rule::Tiles {
            image: 85,
            tile: 170,
        },
    ),
    (
        "chatgpt-4o",
        Rule::Tiles {
            image: 85,
            tile: 170,
        },
    ),
    ("gpt-4.1-mini", Rule::Patches(162)),
    ("gpt-4.1-nano", Rule::Patches(246)),
    (
        "gpt-4",
        Rule::Tiles {
            image: 85,
            tile: 170,
        },
    ),
    ("gpt-5-mini", Rule::Patches(162)),
    ("gpt-5-nano", Rule::Patches(246)),
    (
        "gpt-5",
        Rule::Tiles {
            image: 70,
            tile: 140,
        },
    ),
    ("o4-mini", Rule::Patches(172)),
    (
        "o1",
        Rule::Tiles {
            image: 75,
            tile: 150,
        },
    ),
    (
        "o3",
        Rule::Tiles {
            image: 75,
            tile: 150,
        },
    ),
    ("claude", Rule::Area),
    ("anthropic.claude", Rule::Area),
    ("us.anthropic.claude", Rule::Area),
    ("eu.anthropic.claude", Rule::Area),
    ("gemini", Rule::Crops),
];

/// Fits into 2,048 by 2,048, then the shorter edge into 768; what is smaller stays so.
fn tiles(size: Size) -> u64 {
    let Size { width, height } = size.within(2_048);
    let short = width.min(height);
    let size = if short > 768 {
        Size {
            width: width * 768 / short,
            height: height * 768 / short,
        }
    } else {
        Size { width, height }
    };
    u64::from(size.width.div_ceil(512)) * u64::from(size.height.div_ceil(512))
}

fn patches(Size { width, height }: Size) -> u64 {
    (u64::from(width.div_ceil(32)) * u64::from(height.div_ceil(32))).min(1_536)
}

impl Size {
    /// The same picture, its longer edge at most `most`. Rounded up, as a tile once begun counts.
    fn within(self, most: u32) -> Self {
        let long = self.width.max(self.height);
        if long <= most {
            return self;
        }
        let scaled = |edge: u32| {
            let edge = (u64::from(edge) * u64::from(most)).div_ceil(long.into());
            u32::try_from(edge).unwrap_or(most)
        };
        Self {
            width: scaled(self.width),
            height: scaled(self.height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_count_by_the_rule_of_their_model() {
        let check = |dialect, model, (width, height), low, expected| {
            let size = Some(Size { width, height });
            let picture = Picture { size, low };
            assert_eq!(
                tokens(dialect, model, picture),
                expected,
                "{model} {size:?}"
            );
        };
        let openai = Dialect::OpenAiChat;
        // The examples of OpenAI's guide: 1,024 by 1,024 is scaled to 768 by 768, four tiles; 2,048 by 4,096 to 768 by 1,536, six.
        check(openai, "gpt-4o-2024-11-20", (1_024, 1_024), false, 765);
        check(openai, "gpt-4o", (2_048, 4_096), false, 1_105);
        check(openai, "gpt-4o", (4_096, 8_192), true, 85);
        check(openai, "gpt-4o-mini", (512, 512), false, 2_833 + 5_667);
        check(openai, "o3", (512, 512), false, 225);
        check(openai, "openai/gpt-5", (513, 512), false, 70 + 2 * 140);
        // 32 by 32 patches, and the most there can be.
        check(openai, "gpt-4.1-mini", (1_024, 1_024), false, 1_659);
        check(openai, "gpt-4.1-mini", (4_096, 4_096), false, 2_489);
        check(
            Dialect::Anthropic,
            "claude-opus-4",
            (750, 1_000),
            false,
            1_000,
        );
        check(
            Dialect::Anthropic,
            "claude-opus-4",
            (3_136, 1_000),
            false,
            1_046,
        );
        check(openai, "google/gemini-2.5-pro", (769, 768), false, 516);
        check(
            Dialect::MetaLlama,
            "Llama-4-Scout",
            (512, 512),
            false,
            UNKNOWN,
        );
    }

    #[test]
    fn a_picture_of_unknown_size_counts_as_a_common_one() {
        let picture = Picture {
            size: None,
            low: false,
        };
        assert_eq!(tokens(Dialect::OpenAiChat, "gpt-4o", picture), UNKNOWN);
        let picture = Picture {
            size: None,
            low: true,
        };
        assert_eq!(tokens(Dialect::OpenAiChat, "gpt-4o", picture), 85);
    }

    #[test]
    fn absurd_sizes_do_not_overflow() {
        let size = Some(Size {
            width: u32::MAX,
            height: 1,
        });
        for (name, _) in RULES {
            tokens(Dialect::OpenAiChat, name, Picture { size, low: false });
            let size = Some(Size {
                width: u32::MAX,
                height: u32::MAX,
            });
            tokens(Dialect::OpenAiChat, name, Picture { size, low: false });
        }
    }
}
