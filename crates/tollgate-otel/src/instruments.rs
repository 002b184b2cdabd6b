//! Everything that is measured, by name: every metric with its unit, meaning, bucket boundaries and attributes.

use crate::metric::{Kind, Metric};

/// The schema of the `gen_ai.*` names: the last version of the semantic conventions that defines them itself.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";

/// Keys of attributes.
pub(crate) mod key {
    pub(crate) const OPERATION: &str = "gen_ai.operation.name";
    pub(crate) const PROVIDER: &str = "gen_ai.provider.name";
    pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
    pub(crate) const RESPONSE_MODEL: &str = "gen_ai.response.model";
    pub(crate) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    pub(crate) const TOKEN_TYPE: &str = "gen_ai.token.type";
    pub(crate) const SERVER_ADDRESS: &str = "server.address";
    pub(crate) const SERVER_PORT: &str = "server.port";
    pub(crate) const STATUS: &str = "http.response.status_code";
    pub(crate) const RESEND: &str = "http.request.resend_count";
    pub(crate) const ERROR: &str = "error.type";
    pub(crate) const RESULT: &str = "tollgate.rate_limiting.result";
    pub(crate) const POLICY: &str = "tollgate.rate_limiting.policy";
    pub(crate) const RESOURCE: &str = "tollgate.rate_limiting.resource";
    pub(crate) const PARTITION: &str = "tollgate.rate_limiting.partition";
    pub(crate) const SOURCE: &str = "tollgate.settlement.source";
    pub(crate) const SCOPE: &str = "tollgate.throttle.scope";
    pub(crate) const NEEDED: &str = "tollgate.needed";
    pub(crate) const REMAINING: &str = "tollgate.remaining";
    pub(crate) const CAPACITY: &str = "tollgate.capacity";
    pub(crate) const RETRY_AT: &str = "tollgate.retry_at_unix_s";
    pub(crate) const QUEUE_WAIT: &str = "tollgate.queue_wait_s";
    pub(crate) const PAUSE: &str = "tollgate.pause_s";
    pub(crate) const PACE: &str = "tollgate.pace";
    pub(crate) const RETRY_DELAY: &str = "tollgate.retry_delay_s";

    /// What a call is, in the order of export.
    pub(crate) const OF_CALL: [&str; 5] = [
        OPERATION,
        PROVIDER,
        REQUEST_MODEL,
        SERVER_ADDRESS,
        SERVER_PORT,
    ];
}

/// Advised by the GenAI semantic conventions 1.41.0 for client durations.
const CALL_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// Advised by the GenAI semantic conventions 1.41.0 for token counts.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// From a bucket's refill to an hour: most quotas are per minute, so one minute is a boundary, and two, and five.
const QUEUE_SECONDS: &[f64] = &[
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0,
];

pub(crate) const TOKEN_USAGE: Metric = Metric::new(
    "gen_ai.client.token.usage",
    Kind::Histogram,
    "{token}",
    "Tokens of a call as the response reports them; cached ones are part of the input, reasoning of the output.",
)
.with(&[key::RESPONSE_MODEL, key::TOKEN_TYPE])
.within(TOKENS);

pub(crate) const OPERATION_DURATION: Metric = Metric::new(
    "gen_ai.client.operation.duration",
    Kind::Histogram,
    "s",
    "From the first send of a call, over all its attempts, to the end of its response. Calls that were never sent have none.",
)
.with(&[key::RESPONSE_MODEL, key::ERROR])
.within(CALL_SECONDS);

pub(crate) const REQUESTS: Metric = Metric::new(
    "tollgate.rate_limiting.requests",
    Kind::Counter,
    "{request}",
    "Requests for a permit, by result: acquired, rejected, timeout, canceled. A rejection names its reason and the policy in the way.",
)
.with(&[key::RESULT, key::ERROR, key::POLICY]);

pub(crate) const QUEUED_REQUESTS: Metric = Metric::new(
    "tollgate.rate_limiting.queued_requests",
    Kind::UpDownCounter,
    "{request}",
    "Requests for a permit that wait now.",
);

pub(crate) const TIME_IN_QUEUE: Metric = Metric::new(
    "tollgate.rate_limiting.request.time_in_queue",
    Kind::Histogram,
    "s",
    "How long requests for a permit waited. Those that did not have to wait are not counted.",
)
.with(&[key::RESULT])
.within(QUEUE_SECONDS);

pub(crate) const REQUEST_LIMIT: Metric = Metric::of_policy(
    "tollgate.rate_limiting.request.limit",
    "{request}",
    "Limit of a policy that counts calls or calls in flight, as lowered by the provider's news.",
);

pub(crate) const REQUEST_REMAINING: Metric = Metric::of_policy(
    "tollgate.rate_limiting.request.remaining",
    "{request}",
    "Calls that such a policy could admit now if it is not paused.",
);

pub(crate) const TOKEN_LIMIT: Metric = Metric::of_policy(
    "tollgate.rate_limiting.token.limit",
    "{token}",
    "Limit of a policy that counts tokens, as lowered by the provider's news.",
);

pub(crate) const TOKEN_REMAINING: Metric = Metric::of_policy(
    "tollgate.rate_limiting.token.remaining",
    "{token}",
    "Tokens that such a policy could grant now if it is not paused.",
);

pub(crate) const COST_LIMIT: Metric = Metric::of_policy(
    "tollgate.rate_limiting.cost.limit",
    "{USD}",
    "Limit of a policy that counts money: a budget.",
);

pub(crate) const COST_REMAINING: Metric = Metric::of_policy(
    "tollgate.rate_limiting.cost.remaining",
    "{USD}",
    "What is left of such a budget.",
);

pub(crate) const UTILIZATION: Metric = Metric::of_policy(
    "tollgate.rate_limiting.utilization",
    "1",
    "Share of a policy's limit that is used or held by calls in flight; above 1 in debt.",
);

pub(crate) const THROTTLES: Metric = Metric::new(
    "tollgate.throttles",
    Kind::Counter,
    "{response}",
    "Responses by which the provider refused an attempt because a quota is exhausted.",
)
.with(&[key::STATUS, key::SCOPE]);

pub(crate) const RETRIES: Metric = Metric::new(
    "tollgate.retries",
    Kind::Counter,
    "{retry}",
    "Further attempts of a call, by cause.",
)
.with(&[key::ERROR]);

pub(crate) const COST: Metric = Metric::new(
    "tollgate.cost",
    Kind::Counter,
    "{USD}",
    "Cost of calls whose price is known.",
)
.with(&[key::RESPONSE_MODEL]);

pub(crate) const SETTLEMENTS: Metric = Metric::new(
    "tollgate.settlements",
    Kind::Counter,
    "{settlement}",
    "Reservations that ended, by where the used amounts come from: reported, estimated, rejected, kept, released.",
)
.with(&[key::SOURCE]);

pub(crate) const RESERVED: Metric = Metric::new(
    "tollgate.settlement.reserved",
    Kind::Counter,
    "{token}",
    "Tokens that had been reserved by the reservations that ended.",
)
.with(&[key::SOURCE, key::TOKEN_TYPE]);

pub(crate) const USED: Metric = Metric::new(
    "tollgate.settlement.used",
    Kind::Counter,
    "{token}",
    "Tokens that these reservations were charged in the end; divided by the reserved ones it says how well calls are estimated.",
)
.with(&[key::SOURCE, key::TOKEN_TYPE]);

pub(crate) const PAUSES: Metric = Metric::new(
    "tollgate.pauses",
    Kind::Counter,
    "{pause}",
    "Pauses of a call's policies after the provider said so; without a resource, of all of them.",
)
.with(&[key::RESOURCE]);

pub(crate) const TIGHTENINGS: Metric = Metric::new(
    "tollgate.tightenings",
    Kind::Counter,
    "{tightening}",
    "Responses that showed the provider's count ahead of ours, or its limit lower, so that the books were tightened.",
)
.with(&[key::RESOURCE]);

/// Every metric that this crate exports, in the order of docs/TELEMETRY.md.
pub const METRICS: &[Metric] = &[
    TOKEN_USAGE,
    OPERATION_DURATION,
    REQUESTS,
    QUEUED_REQUESTS,
    TIME_IN_QUEUE,
    REQUEST_LIMIT,
    REQUEST_REMAINING,
    TOKEN_LIMIT,
    TOKEN_REMAINING,
    COST_LIMIT,
    COST_REMAINING,
    UTILIZATION,
    THROTTLES,
    RETRIES,
    COST,
    SETTLEMENTS,
    RESERVED,
    USED,
    PAUSES,
    TIGHTENINGS,
];
