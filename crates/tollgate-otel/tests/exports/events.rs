//! Events as a gate and its driver record them.

use std::time::Duration;

use tollgate_gate::{
    Amounts, Binding, Eased, Event, Finished, Labels, Recorder, Refusal, Settlement, Source, Tick,
    Tightened, Tokens, Unit,
};
use tollgate_otel::OtelRecorder;

/// A call of two sends and more, in which everything happens that can.
pub(crate) fn one_of_each_event(recorder: &OtelRecorder, labels: &Labels) {
    let (binding, reserved, waited) = (binding(), Amounts::call(500, 100), Duration::from_secs(2));
    let (binding, reserved) = (Some(&binding), &reserved);
    let settlement = &Settlement {
        reserved: *reserved,
        used: Amounts::call(500, 80),
    };
    let end = Finished {
        error: Some("content_filter"),
        ..finished(labels)
    };
    let at = Tick::from_nanos(1_700_000_000_500_000_000);
    let learned = &Tightened {
        policy: "tpm".into(),
        unit: Unit::TotalTokens,
        limit: 10_000,
        pace: 9_400,
    };
    let eased = &Eased {
        policy: "tpm".into(),
        unit: Unit::TotalTokens,
        limit: 10_000,
        pace: Some(9_400),
        ahead: Duration::from_secs(2),
    };
    let events = [
        Event::Queued {
            labels,
            binding,
            until: Some(at),
        },
        Event::Admitted {
            labels,
            reserved,
            waited,
            queued: true,
        },
        Event::Queued {
            labels,
            binding,
            until: None,
        },
        Event::Refused {
            labels,
            reason: Refusal::Deadline,
            binding,
            until: Some(Tick::from_nanos(60_000_000_000)),
            waited,
            queued: true,
        },
        Event::Queued {
            labels,
            binding: None,
            until: None,
        },
        Event::Abandoned { labels, waited },
        Event::Throttled {
            labels,
            status: 429,
            scope: "tokens",
        },
        Event::Paused {
            labels,
            unit: Some(Unit::TotalTokens),
            span: Duration::from_millis(1_500),
            until: Tick::from_nanos(1_500_000_000),
            policies: &[],
        },
        Event::Tightened {
            labels,
            unit: Unit::TotalTokens,
        },
        Event::Learned { labels, learned },
        Event::Eased { labels, eased },
        Event::Retried {
            labels,
            resend: 1,
            delay: Duration::from_millis(250),
            cause: "429",
        },
        Event::Settled {
            labels,
            settlement,
            source: Source::Reported,
        },
        Event::Finished(&end),
    ];
    events.iter().for_each(|event| recorder.record(event));
}

/// The end of a call that went well.
pub(crate) fn finished(labels: &Labels) -> Finished<'_> {
    Finished {
        labels,
        response_model: Some("llama-3-70b"),
        finish_reason: Some("stop"),
        tokens: Some(TOKENS),
        cost: Some(1_500_000),
        duration: Duration::from_millis(1_250),
        attempts: 1,
        status: Some(200),
        error: None,
        at: Tick::from_nanos(1_250_000_000),
        waited: Duration::ZERO,
        settled: None,
    }
}

/// A policy in the way.
pub(crate) fn binding() -> Binding {
    Binding {
        policy: "tpm".into(),
        unit: Unit::TotalTokens,
        needed: 600,
        used: 0,
        remaining: 200,
        capacity: 10_000,
        paused_until: None,
    }
}

const TOKENS: Tokens = Tokens {
    input: 1_200,
    output: 300,
    cache_read: 1_000,
    cache_write: 0,
    reasoning: 50,
};
