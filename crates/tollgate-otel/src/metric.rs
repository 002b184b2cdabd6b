//! `Metric`: the name, kind, unit, meaning and attributes of one metric, and the instrument made from it.

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use crate::instruments::key;

/// A metric that this crate exports.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// The kind of its instrument.
    pub kind: Kind,
    /// Its unit, in UCUM notation.
    pub unit: &'static str,
    /// What it says; the description that is exported with it.
    pub meaning: &'static str,
    /// The advised bucket boundaries of a histogram, in its unit; a view of the program overrides them.
    pub boundaries: &'static [f64],
    /// Whether its points carry what the call is.
    labelled: bool,
    /// Further attributes.
    own: &'static [&'static str],
}

/// The kind of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// A distribution.
    Histogram,
    /// A value read when metrics are collected.
    Gauge,
}

impl Kind {
    /// The kind's name in OpenTelemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "Counter",
            Self::UpDownCounter => "UpDownCounter",
            Self::Histogram => "Histogram",
            Self::Gauge => "Gauge",
        }
    }
}

impl Metric {
    /// The keys of its attributes, in the order of export. A point lacks those that are not known or do not apply.
    pub fn attributes(&self) -> impl Iterator<Item = &'static str> {
        let labels = if self.labelled {
            &key::OF_CALL[..]
        } else {
            &[]
        };
        labels.iter().chain(self.own).copied()
    }

    pub(crate) const fn new(
        name: &'static str,
        kind: Kind,
        unit: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            unit,
            meaning,
            boundaries: &[],
            labelled: true,
            own: &[],
        }
    }

    /// A gauge of one policy; not about a call, so without its labels.
    pub(crate) const fn of_policy(
        name: &'static str,
        unit: &'static str,
        meaning: &'static str,
    ) -> Self {
        let own = &[key::POLICY, key::RESOURCE, key::PARTITION];
        Self {
            name,
            kind: Kind::Gauge,
            unit,
            meaning,
            boundaries: &[],
            labelled: false,
            own,
        }
    }

    pub(crate) const fn with(mut self, own: &'static [&'static str]) -> Self {
        self.own = own;
        self
    }

    pub(crate) const fn within(mut self, boundaries: &'static [f64]) -> Self {
        self.boundaries = boundaries;
        self
    }

    pub(crate) fn counter(&self, meter: &Meter) -> Counter<u64> {
        meter
            .u64_counter(self.name)
            .with_unit(self.unit)
            .with_description(self.meaning)
            .build()
    }

    pub(crate) fn counter_f64(&self, meter: &Meter) -> Counter<f64> {
        meter
            .f64_counter(self.name)
            .with_unit(self.unit)
            .with_description(self.meaning)
            .build()
    }

    pub(crate) fn up_down_counter(&self, meter: &Meter) -> UpDownCounter<i64> {
        meter
            .i64_up_down_counter(self.name)
            .with_unit(self.unit)
            .with_description(self.meaning)
            .build()
    }

    pub(crate) fn histogram(&self, meter: &Meter) -> Histogram<u64> {
        let builder = meter
            .u64_histogram(self.name)
            .with_unit(self.unit)
            .with_description(self.meaning);
        builder.with_boundaries(self.boundaries.to_vec()).build()
    }

    pub(crate) fn histogram_f64(&self, meter: &Meter) -> Histogram<f64> {
        let builder = meter
            .f64_histogram(self.name)
            .with_unit(self.unit)
            .with_description(self.meaning);
        builder.with_boundaries(self.boundaries.to_vec()).build()
    }
}
