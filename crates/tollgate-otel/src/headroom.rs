//! `Headroom`: gauges of every policy's limit, remaining units and utilization, read when metrics are collected.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tollgate_gate::{Status, Unit};

use crate::instruments::{
    COST_LIMIT, COST_REMAINING, REQUEST_LIMIT, REQUEST_REMAINING, TOKEN_LIMIT, TOKEN_REMAINING,
    UTILIZATION, key,
};
use crate::metric::Metric;

/// The gates whose policies are shown.
///
/// The provider owns the gauges' callbacks for as long as it lives and has no way to take one back, so they are registered once and
/// hold no gate: a gate that is gone disappears from the next collection.
#[derive(Default)]
pub(crate) struct Headroom {
    sources: Mutex<Vec<Source>>,
    reading: Mutex<Reading>,
    partitions: AtomicBool,
    registered: OnceLock<()>,
}

/// The state of one gate's policies; `None` once the gate is gone.
pub(crate) type Source = Box<dyn Fn() -> Option<Vec<Status>> + Send + Sync>;

/// One look at all gates, which every gauge of a collection uses once.
#[derive(Default)]
struct Reading {
    policies: Arc<[Policy]>,
    /// One bit per gauge.
    used_by: u8,
}

/// What the gauges say of one policy.
struct Policy {
    attributes: Vec<KeyValue>,
    unit: Unit,
    limit: u64,
    remaining: u64,
    used: u64,
}

impl Headroom {
    pub(crate) fn show_partitions(&self) {
        self.partitions.store(true, Ordering::Relaxed);
    }

    /// Shows the policies of one more source. The first registers the gauges with `meter`.
    pub(crate) fn show(self: &Arc<Self>, meter: &Meter, source: Source) {
        lock(&self.sources).push(source);
        self.registered.get_or_init(|| self.register(meter));
    }

    fn register(self: &Arc<Self>, meter: &Meter) {
        let calls: Units = &[Unit::Requests, Unit::Concurrency];
        let tokens: Units = &[Unit::InputTokens, Unit::OutputTokens, Unit::TotalTokens];
        self.amounts(meter, 0, REQUEST_LIMIT, calls, |policy| policy.limit);
        self.amounts(meter, 1, REQUEST_REMAINING, calls, |policy| {
            policy.remaining
        });
        self.amounts(meter, 2, TOKEN_LIMIT, tokens, |policy| policy.limit);
        self.amounts(meter, 3, TOKEN_REMAINING, tokens, |policy| policy.remaining);
        self.fractions(meter, 4, COST_LIMIT, &[Unit::Cost], |policy| {
            dollars(policy.limit)
        });
        self.fractions(meter, 5, COST_REMAINING, &[Unit::Cost], |policy| {
            dollars(policy.remaining)
        });
        self.fractions(meter, 6, UTILIZATION, &Unit::ALL, |policy| {
            utilization(policy.used, policy.limit)
        });
    }

    fn amounts(
        self: &Arc<Self>,
        meter: &Meter,
        gauge: u8,
        metric: Metric,
        units: Units,
        value: fn(&Policy) -> u64,
    ) {
        let headroom = self.clone();
        meter
            .u64_observable_gauge(metric.name)
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .with_callback(move |observer| {
                headroom.each(gauge, units, |policy| {
                    observer.observe(value(policy), &policy.attributes)
                });
            })
            .build();
    }

    fn fractions(
        self: &Arc<Self>,
        meter: &Meter,
        gauge: u8,
        metric: Metric,
        units: Units,
        value: fn(&Policy) -> f64,
    ) {
        let headroom = self.clone();
        meter
            .f64_observable_gauge(metric.name)
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .with_callback(move |observer| {
                headroom.each(gauge, units, |policy| {
                    observer.observe(value(policy), &policy.attributes)
                });
            })
            .build();
    }

    fn each(&self, gauge: u8, units: Units, observe: impl Fn(&Policy)) {
        let policies = self.read(gauge);
        policies
            .iter()
            .filter(|policy| units.contains(&policy.unit))
            .for_each(observe);
    }

    /// The reading of this collection. The API does not say where a collection begins, but each calls each gauge once: the gauge
    /// that has used the reading already opens the next. So the gates are asked once, and limit, remaining and utilization are of
    /// one instant. With several readers a reading is at most one period of its reader old.
    fn read(&self, gauge: u8) -> Arc<[Policy]> {
        let bit = 1 << gauge;
        let mut reading = lock(&self.reading);
        if reading.used_by == 0 || reading.used_by & bit != 0 {
            *reading = Reading {
                policies: self.look(),
                used_by: 0,
            };
        }
        reading.used_by |= bit;
        reading.policies.clone()
    }

    fn look(&self) -> Arc<[Policy]> {
        let mut fullest = BTreeMap::new();
        lock(&self.sources).retain(|source| {
            // A panic here would end the reader's thread, and with it every metric of the program until it restarts.
            let Ok(statuses) = catch_unwind(AssertUnwindSafe(source)) else {
                return true;
            };
            let alive = statuses.is_some();
            for status in statuses.into_iter().flatten() {
                self.keep_fullest(&mut fullest, status);
            }
            alive
        });
        fullest
            .into_iter()
            .map(|(name, status)| Policy::new(name, &status))
            .collect()
    }

    /// Several statuses of one name, such as partitions that are not shown apart, are told as the fullest of them: that is the one
    /// that makes calls wait.
    fn keep_fullest(&self, fullest: &mut BTreeMap<Name, Status>, status: Status) {
        let partition = self
            .partitions
            .load(Ordering::Relaxed)
            .then(|| status.partition.join("/"));
        let name = Name {
            policy: status.policy.clone(),
            unit: status.unit,
            partition,
        };
        let fuller = fullest
            .get(&name)
            .is_none_or(|other| is_fuller(&status, other));
        if fuller {
            fullest.insert(name, status);
        }
    }
}

/// What tells one point of a gauge from another.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    policy: Arc<str>,
    unit: Unit,
    partition: Option<String>,
}

impl Policy {
    fn new(name: Name, status: &Status) -> Self {
        let mut attributes = vec![
            KeyValue::new(key::POLICY, name.policy),
            KeyValue::new(key::RESOURCE, name.unit.as_str()),
        ];
        if let Some(partition) = name.partition.filter(|partition| !partition.is_empty()) {
            attributes.push(KeyValue::new(key::PARTITION, Arc::<str>::from(partition)));
        }
        Self {
            attributes,
            unit: status.unit,
            limit: status.limit,
            remaining: status.remaining(),
            used: taken(status),
        }
    }
}

type Units = &'static [Unit];

/// Units used and held by calls in flight.
const fn taken(status: &Status) -> u64 {
    status.used.saturating_add(status.held)
}

/// Compares the shares without dividing: a/b > c/d where a*d > c*b.
fn is_fuller(one: &Status, other: &Status) -> bool {
    let share = |a: &Status, b: &Status| u128::from(taken(a)) * u128::from(b.limit);
    share(one, other) > share(other, one)
}

/// A limit of zero is used up whatever is taken. Exact below 2^53; a limit is at most 10^15.
fn utilization(used: u64, limit: u64) -> f64 {
    if limit == 0 {
        1.0
    } else {
        used as f64 / limit as f64
    }
}

/// Nano-US-dollars as dollars; exact to the nano-dollar below 2^53 of them, that is 9 million dollars.
pub(crate) fn dollars(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A list that a panic elsewhere left behind is whole: it is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
    use tollgate_gate::{Amounts, Call, Gate, Labels, Plan, Policy as GatePolicy, Quota};

    use super::*;

    /// Two calls in flight of at most three.
    fn two_of_three() -> Vec<Status> {
        let slots = GatePolicy::new("slots", Quota::slots(3).unwrap());
        let gate = Gate::new(Plan::new([slots]).unwrap());
        let call = Call::new(Labels::new(), Amounts::call(1, 1));
        let _permits = [
            gate.try_acquire(&call).unwrap(),
            gate.try_acquire(&call).unwrap(),
        ];
        let states = gate.snapshot().into_iter();
        states.map(|state| state.status).collect()
    }

    fn provider() -> (SdkMeterProvider, InMemoryMetricExporter) {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        (
            SdkMeterProvider::builder().with_reader(reader).build(),
            exporter,
        )
    }

    fn utilizations(provider: &SdkMeterProvider, exporter: &InMemoryMetricExporter) -> Vec<f64> {
        exporter.reset();
        provider.force_flush().unwrap();
        let mut values = Vec::new();
        for resource in exporter.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
                if let AggregatedMetrics::F64(MetricData::Gauge(gauge)) = metric.data()
                    && metric.name() == UTILIZATION.name
                {
                    values.extend(gauge.data_points().map(|point| point.value()));
                }
            }
        }
        values
    }

    #[test]
    fn each_collection_asks_each_gate_once_whatever_the_number_of_gauges_and_gates() {
        let headroom = Arc::new(Headroom::default());
        let (provider, exporter) = provider();
        let asked = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
        for counter in asked.clone() {
            let source = move || {
                counter.fetch_add(1, Ordering::Relaxed);
                Some(two_of_three())
            };
            headroom.show(&provider.meter("test"), Box::new(source));
        }
        for collections in 1..=3 {
            assert_eq!(utilizations(&provider, &exporter), [2.0 / 3.0]);
            assert_eq!(
                asked.each_ref().map(|asked| asked.load(Ordering::Relaxed)),
                [collections; 2]
            );
        }
    }

    #[test]
    fn a_gate_that_panics_costs_its_own_points_and_no_others() {
        let headroom = Arc::new(Headroom::default());
        let (provider, exporter) = provider();
        let meter = provider.meter("test");
        headroom.show(
            &meter,
            Box::new(|| panic!("a source that fails on purpose")),
        );
        headroom.show(&meter, Box::new(|| Some(two_of_three())));
        for _ in 0..2 {
            assert_eq!(utilizations(&provider, &exporter), [2.0 / 3.0]);
        }
    }

    #[test]
    fn a_gate_that_is_gone_is_forgotten() {
        let headroom = Arc::new(Headroom::default());
        let (provider, exporter) = provider();
        headroom.show(&provider.meter("test"), Box::new(|| None));
        assert_eq!(utilizations(&provider, &exporter), [0.0; 0]);
        assert!(lock(&headroom.sources).is_empty());
    }

    #[test]
    fn a_share_is_used_by_limit_and_a_limit_of_zero_is_used_up() {
        let check = |used, limit, expected: f64| {
            assert!(
                utilization(used, limit).total_cmp(&expected).is_eq(),
                "{used} of {limit}"
            );
        };
        check(0, 10, 0.0);
        check(8, 10, 0.8);
        check(15, 10, 1.5);
        check(0, 0, 1.0);
    }
}
