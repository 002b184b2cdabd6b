//! `Report`: what an experiment prints, as a table for people or as one line of JSON.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// The outcome of one experiment.
#[derive(Debug)]
pub struct Report {
    experiment: &'static str,
    seed: u64,
    rows: Value,
    tables: Vec<Table>,
    broken: Vec<String>,
}

impl Report {
    /// An experiment's rows, as data and as a table.
    #[must_use]
    pub fn new(experiment: &'static str, seed: u64, rows: &impl Serialize, table: Table) -> Self {
        Self {
            experiment,
            seed,
            rows: serde_json::to_value(rows).unwrap_or(Value::Null),
            tables: vec![table],
            broken: Vec::new(),
        }
    }

    /// Adds a table of other columns.
    #[must_use]
    pub fn also(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    /// Adds what should have held and did not.
    #[must_use]
    pub fn broken(mut self, promises: Vec<String>) -> Self {
        self.broken.extend(promises);
        self
    }

    /// Whether everything that the experiment must show was shown.
    #[must_use]
    pub fn held(&self) -> bool {
        self.broken.is_empty()
    }

    /// One line: `experiment`, `seed`, `rows`, and under `broken` what did not hold.
    #[must_use]
    pub fn json(&self) -> String {
        let Self {
            experiment,
            seed,
            rows,
            broken,
            ..
        } = self;
        json!({ "experiment": experiment, "seed": seed, "rows": rows, "broken": broken })
            .to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            writeln!(f, "{table}\n")?;
        }
        write!(f, "seed {}", self.seed)?;
        for promise in &self.broken {
            write!(f, "\nDOES NOT HOLD: {promise}")?;
        }
        Ok(())
    }
}

/// Lines of cells under a head; every column as wide as its widest cell.
#[derive(Debug, Default)]
pub struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self {
            lines: vec![head.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a line.
    pub fn line<const N: usize>(&mut self, cells: [String; N]) {
        self.lines.push(cells.to_vec());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (i, line) in self.lines.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            let mut text = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                // Numbers end under each other, words begin so.
                if cell.starts_with(|c: char| c.is_ascii_digit()) && cell.parse::<f64>().is_ok() {
                    text.push_str(&format!("{cell:>width$}  "));
                } else {
                    text.push_str(&format!("{cell:<width$}  "));
                }
            }
            write!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["name", "n"]);
        table.line(["a".into(), "1".into()]);
        table.line(["long name".into(), "1000".into()]);
        assert_eq!(
            table.to_string(),
            "name       n\na             1\nlong name  1000"
        );
    }

    #[test]
    fn a_promise_that_does_not_hold_is_in_both_forms() {
        let report = Report::new("x", 7, &[1], Table::default());
        assert!(report.held());
        let report = report.broken(vec!["no 429s".into()]);
        assert!(!report.held());
        assert!(report.to_string().ends_with("DOES NOT HOLD: no 429s"));
        assert_eq!(
            report.json(),
            r#"{"broken":["no 429s"],"experiment":"x","rows":[1],"seed":7}"#
        );
    }
}
