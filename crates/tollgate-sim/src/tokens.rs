//! The provider's tokenizer: deterministic, one pass over the bytes, no vocabulary.
//!
//! It only has to behave like a real one in size (about four characters of English per token) and to be exact, so that
//! the books can be checked to the token.

/// Tokens charged for each message beside its text.
pub(crate) const PER_MESSAGE: u64 = 4;

/// Tokens charged for an image or a file that a message holds, whatever its size.
pub(crate) const PER_ATTACHMENT: u64 = 1_600;

/// Counts the tokens of `text`: one per five ASCII letters of a word, one per three digits of a number, one per ASCII
/// punctuation mark, one per character beyond ASCII, one per line end; blanks are free. Runs round up.
///
/// ```
/// assert_eq!(tollgate_sim::tokens("Three toll roads, 1931."), 7);
/// ```
#[must_use]
pub fn tokens(text: &str) -> u64 {
    let (mut count, mut previous, mut run) = (0, SPACE, 0u8);
    for byte in text.bytes() {
        let class = CLASS[byte as usize];
        let Cost { every, weight } = COST[class as usize];
        run = if class == previous && run != every {
            run + 1
        } else {
            1
        };
        count += u64::from(run == 1) * weight;
        previous = class;
    }
    count
}

/// A class of bytes costs `weight` at the start of a run and again after each `every` bytes of it.
#[derive(Clone, Copy)]
struct Cost {
    every: u8,
    weight: u64,
}

const SPACE: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const MARK: u8 = 3;
const CONTINUATION: u8 = 4;

const COST: [Cost; 5] = [
    Cost {
        every: 1,
        weight: 0,
    },
    Cost {
        every: 5,
        weight: 1,
    },
    Cost {
        every: 3,
        weight: 1,
    },
    Cost {
        every: 1,
        weight: 1,
    },
    Cost {
        every: 1,
        weight: 0,
    },
];

/// The class of each byte. The first byte of a character beyond ASCII is a mark, the bytes that continue it are free.
const CLASS: [u8; 256] = {
    let mut classes = [MARK; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\r' => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            0x80..=0xBF => CONTINUATION,
            _ => MARK,
        };
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_text_costs_what_the_rules_say() {
        let check = |text, expected| assert_eq!(tokens(text), expected, "{text:?}");
        check("", 0);
        check("   \t", 0);
        check("toll", 1);
        check("tolls", 1);
        check("bridge", 2);
        check("bridgework!", 3);
        check("a b c", 3);
        check("1931", 2);
        check("abc123", 2);
        check("...", 3);
        check("\n\n", 2);
        check("čeština", 4); // č, e, š, tina
        check("収費所", 3);
        check(&"x".repeat(5_001), 1_001);
    }

    #[test]
    fn joining_words_with_blanks_adds_up() {
        let words = ["toll", "bridgework", "1931", "où"];
        let sum: u64 = words.iter().map(|word| tokens(word)).sum();
        assert_eq!(tokens(&words.join(" ")), sum);
    }
}
