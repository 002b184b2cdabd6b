//! What refusals have taught the policies, as one line of text.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use tollgate_gate::Gate;
use tollgate_limits::{Lesson, Unit};
use tollgate_tokens::Warning;

const FORMAT: &str = "tollgate lessons";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Line {
    format: String,
    version: u32,
    policies: Vec<Saved>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    policy: String,
    unit: String,
    limit: u64,
    /// Nanoseconds; zero for slots.
    window: u64,
    told: Option<u64>,
    rung: u8,
    fails: u8,
    dearest: u64,
    /// A limit, and the use at which it was refused.
    found: Option<(u64, u64)>,
}

/// What the policies of a gate have learned. Figures and the names of policies, and nothing of any call or label.
pub(crate) fn save(gate: &Gate) -> String {
    let line = Line {
        format: FORMAT.to_owned(),
        version: VERSION,
        policies: gate.learned().into_iter().map(Saved::of).collect(),
    };
    // It has no map, and numbers are whole.
    serde_json::to_string(&line).unwrap_or_default()
}

/// Takes up what a line holds, as far as it fits; a warning for each policy that it does not fit, or for the line.
pub(crate) fn take_up(gate: &Gate, line: &str) -> Vec<Warning> {
    let Some(line) = serde_json::from_str::<Line>(line)
        .ok()
        .filter(|line| line.format == FORMAT && line.version == VERSION)
    else {
        return vec![Warning::UnreadableLessons];
    };
    let mut warnings = Vec::new();
    for saved in line.policies {
        let policy = saved.policy.as_str().into();
        if !saved.lesson().is_some_and(|lesson| gate.take_up(&lesson)) {
            warnings.push(Warning::StaleLesson { policy });
        }
    }
    warnings
}

impl Saved {
    fn of(lesson: Lesson) -> Self {
        Self {
            policy: lesson.policy.to_string(),
            unit: lesson.unit.as_str().to_owned(),
            limit: lesson.limit,
            window: u64::try_from(lesson.window.as_nanos()).unwrap_or(u64::MAX),
            told: lesson.told,
            rung: lesson.rung,
            fails: lesson.fails,
            dearest: lesson.dearest,
            found: lesson.found,
        }
    }

    fn lesson(self) -> Option<Lesson> {
        Some(Lesson {
            unit: Unit::ALL
                .into_iter()
                .find(|unit| unit.as_str() == self.unit)?,
            policy: self.policy.into(),
            limit: self.limit,
            window: Duration::from_nanos(self.window),
            told: self.told,
            rung: self.rung,
            fails: self.fails,
            dearest: self.dearest,
            found: self.found,
        })
    }
}
