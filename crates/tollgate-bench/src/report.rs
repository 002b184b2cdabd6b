//! `Report`: the figures of a bench, as a table or as one JSON object.

use std::env;
use std::process::ExitCode;

use serde_json::{Map, Number, Value};

use crate::{Ratio, Samples, Stopwatch, machine};

/// What is asked of a bench on its command line.
#[derive(Clone, Debug, Default)]
struct Options {
    /// Print one JSON object on the last line.
    json: bool,
    /// Run only the groups whose name holds one of these; none: all.
    groups: Vec<String>,
}

/// When a figure is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// Shown for comparison.
    None,
}

/// Collects figures while a bench runs, and prints them.
#[derive(Debug)]
pub struct Report {
    options: Options,
    started: Stopwatch,
    keys: Map<String, Value>,
    missed: Vec<String>,
}

/// What measures one group of figures.
pub type Group = fn(&mut Report);

/// Runs the groups of a bench that the arguments ask for, and reports. Wrong arguments end with code 2 and say what is right.
#[must_use]
pub fn run(title: &str, groups: &[(&str, Group)]) -> ExitCode {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::new(title, options);
    for (name, group) in groups {
        report.group(name, group);
    }
    report.finish();
    ExitCode::SUCCESS
}

impl Options {
    /// From the program's arguments: `--json`, and names of groups. Cargo's own `--bench` is passed over.
    ///
    /// # Errors
    /// An unknown flag.
    fn from_arguments() -> Result<Self, String> {
        let mut options = Self::default();
        for argument in env::args().skip(1) {
            match argument.as_str() {
                "--json" => options.json = true,
                "--bench" => {}
                flag if flag.starts_with('-') => {
                    return Err(format!(
                        "unknown flag `{flag}`: give `--json`, or names of groups"
                    ));
                }
                group => options.groups.push(group.to_owned()),
            }
        }
        Ok(options)
    }
}

impl Report {
    /// Begins a report, with the machine in its first line.
    fn new(title: &str, options: Options) -> Self {
        let report = Self {
            options,
            started: Stopwatch::start(),
            keys: Map::new(),
            missed: Vec::new(),
        };
        println!("{title}, on {}", machine::describe());
        report
    }

    /// Runs a group of benches, if it was asked for.
    fn group(&mut self, name: &str, run: impl FnOnce(&mut Self)) {
        let asked = &self.options.groups;
        if asked.is_empty() || asked.iter().any(|group| name.contains(group.as_str())) {
            println!(
                "\n{name:<44} {:>12} {:>12} {:>8}  {:<15} {:>8}",
                "ours", "theirs", "ratio", "half of rounds", "target"
            );
            run(self);
        }
    }

    /// A ratio under a key: ours over theirs, with both medians in nanoseconds per operation.
    pub fn ratio(&mut self, key: &str, what: &str, ours: &Samples, theirs: &Samples, goal: Goal) {
        let ratio = ours.over(theirs);
        self.compare(what, ours, theirs, ratio, goal);
        self.keep(key, ratio.value, goal);
    }

    /// A ratio that is shown for comparison only.
    pub fn aside(&mut self, what: &str, ours: &Samples, theirs: &Samples) {
        self.compare(what, ours, theirs, ours.over(theirs), Goal::None);
    }

    /// A count under a key.
    pub fn count(&mut self, key: &str, what: &str, count: f64, goal: Goal) {
        println!(
            "{what:<44} {:>12} {:>12} {:>8}  {:<15} {:>8}",
            short(count),
            "",
            "",
            "",
            judge(count, goal)
        );
        self.keep(key, count, goal);
    }

    /// A line of text about what was just measured.
    pub fn note(&mut self, text: &str) {
        println!("  {text}");
    }

    /// Prints what was missed and how long it took; with `--json` the object comes last.
    fn finish(self) {
        println!(
            "\n{} s in all; {}",
            self.started.elapsed().as_secs(),
            if self.missed.is_empty() {
                "every target is met".to_owned()
            } else {
                format!("missed: {}", self.missed.join(", "))
            }
        );
        if self.options.json {
            println!("{}", Value::Object(self.keys));
        }
    }

    fn compare(&self, what: &str, ours: &Samples, theirs: &Samples, ratio: Ratio, goal: Goal) {
        let (low, high) = ratio.middle_half;
        println!(
            "{what:<44} {:>12} {:>12} {:>8.3}  {:<15} {:>8}",
            span(ours.median()),
            span(theirs.median()),
            ratio.value,
            format!("{low:.3}..{high:.3}"),
            judge(ratio.value, goal)
        );
    }

    fn keep(&mut self, key: &str, value: f64, goal: Goal) {
        if judge(value, goal).starts_with('>') {
            self.missed.push(key.to_owned());
        }
        self.keys.insert(key.to_owned(), number(value));
    }
}

/// The target and whether it is met.
fn judge(value: f64, goal: Goal) -> String {
    match goal {
        Goal::AtMost(most) if value <= most => format!("<= {most} ok"),
        Goal::AtMost(most) => format!("> {most} MISSED"),
        Goal::None => String::new(),
    }
}

/// Whole numbers without a point, others to four digits behind it.
fn number(value: f64) -> Value {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        Value::Number(Number::from(rounded as i64))
    } else {
        Number::from_f64(rounded).map_or(Value::Null, Value::Number)
    }
}

/// Nanoseconds, in the unit that keeps them short.
fn span(nanos: f64) -> String {
    match nanos {
        nanos if nanos < 1e4 => format!("{} ns", short(nanos)),
        nanos if nanos < 1e7 => format!("{:.1} us", nanos / 1e3),
        nanos => format!("{:.1} ms", nanos / 1e6),
    }
}

/// As many digits as mean something.
fn short(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 => format!("{value:.0}"),
        value if value.abs() >= 1e3 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_as_it_was_measured_and_printed_rounded() {
        let check = |value, verdict: &str, printed: &str| {
            assert_eq!(judge(value, Goal::AtMost(2.05)), verdict);
            assert_eq!(number(value).to_string(), printed);
        };
        check(0.0, "<= 2.05 ok", "0");
        check(2.05, "<= 2.05 ok", "2.05");
        check(2.050_04, "> 2.05 MISSED", "2.05");
        check(256.0, "> 2.05 MISSED", "256");
        check(f64::NAN, "> 2.05 MISSED", "null");
        assert_eq!(judge(1.0, Goal::None), "");
    }
}
