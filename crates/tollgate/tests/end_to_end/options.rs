//! What travels beside a call: its options on the way in, its report on the way out, and whatever else a user puts there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Extensions, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tokio::task::JoinSet;
use tollgate::gate::{Priority, Unit};
use tollgate::tokens::PolicySpec;
use tollgate::{CallOptions, Report};
use tower::{ServiceBuilder, ServiceExt as _};

use crate::support::{
    Client, What, Wire, gate_over, limits, poll_until, provider, read_limits, refused, whole,
};

/// Something of the user's own in the extensions of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TraceId(u64);

/// Something that an inner layer puts into the extensions of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(&'static str);

/// The user's own middleware, nearer to the client than the gate.
#[derive(Debug, Default)]
struct Inner {
    seen: Arc<Mutex<Vec<TraceId>>>,
}

#[async_trait]
impl Middleware for Inner {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let id = extensions.get::<TraceId>().cloned();
        self.seen.lock().expect("a lock").extend(id);
        extensions.insert(Stamp("left in the call's extensions"));
        let mut response = next.run(request, extensions).await?;
        response
            .extensions_mut()
            .insert(Stamp("left in the response's extensions"));
        Ok(response)
    }
}

#[tokio::test]
async fn reqwest_keeps_url_and_extensions_on_both_ways() {
    let server = provider().start().expect("a server");
    let (tollgate, _) = gate_over("meta-llama", limits(10, 100_000));
    let inner = Inner::default();
    let seen = inner.seen.clone();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(tollgate.middleware())
        .with(inner)
        .build();

    for stream in [false, true] {
        let Wire { url, headers, body } = Wire::llama(&server, "sim-1", "Toll?", 20, stream);
        let url = format!("{url}?beta=1");
        let mut extensions = Extensions::new();
        extensions.insert(TraceId(7));
        let request = headers
            .into_iter()
            .fold(client.post(&url).body(body), |request, (name, value)| {
                request.header(name, value)
            });
        let request = request.build().expect("a request");
        let response = client.execute_with_extensions(request, &mut extensions);
        let response = response.await.expect("an answer");

        assert_eq!(response.status(), 200);
        assert_eq!(response.url().as_str(), url);
        let report = response.extensions().get::<Report>().expect("a report");
        assert_eq!((report.attempts(), report.waited()), (1, Duration::ZERO));
        let stamp = response.extensions().get::<Stamp>();
        assert_eq!(stamp, Some(&Stamp("left in the response's extensions")));
        let stamp = extensions.get::<Stamp>();
        assert_eq!(stamp, Some(&Stamp("left in the call's extensions")));
        assert_eq!(extensions.get(), Some(&TraceId(7)));
        assert!(!response.bytes().await.expect("a body").is_empty());
    }
    assert_eq!(*seen.lock().expect("a lock"), [TraceId(7), TraceId(7)]);
}

#[tokio::test]
async fn tower_keeps_extensions_on_both_ways() {
    let server = provider().start().expect("a server");
    let (tollgate, _) = gate_over("meta-llama", limits(10, 100_000));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let client = ServiceBuilder::new()
        .layer(tollgate.layer())
        .map_request(move |request: Request<Full<Bytes>>| {
            let id = request.extensions().get::<TraceId>().cloned();
            noted.lock().expect("a lock").extend(id);
            request
        })
        .map_response(|mut response: http::Response<_>| {
            response.extensions_mut().insert(Stamp("inner"));
            response
        })
        .service(client);

    let Wire { url, headers, body } = Wire::llama(&server, "sim-1", "Toll?", 20, true);
    let request = headers.into_iter().fold(
        Request::post(&url).extension(TraceId(7)),
        |request, (name, value)| request.header(name, value),
    );
    let request = request.body(Full::new(body)).expect("a request");
    let response = client.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    let extensions = response.extensions();
    assert_eq!(extensions.get::<Report>().map(Report::attempts), Some(1));
    assert_eq!(extensions.get(), Some(&Stamp("inner")));
    assert_eq!(*seen.lock().expect("a lock"), [TraceId(7)]);
}

#[tokio::test]
async fn the_callers_estimate_is_what_is_reserved() {
    let server = provider().start().expect("a server");
    let (tollgate, log) = gate_over("meta-llama", limits(10, 100_000));
    for (client, model) in Client::both(&tollgate)
        .iter()
        .zip(["by-reqwest", "by-tower"])
    {
        let wire = Wire::llama(&server, model, "Toll?", 20, false);
        let options = CallOptions::new().estimate(1_234, 567);
        whole(client, &wire, options).await.expect("an answer");
        let admitted = log.of(model).into_iter().find_map(|what| match what {
            What::Admitted { reserved, .. } => Some(reserved),
            _ => None,
        });
        let reserved = admitted.expect("an admission");
        let units = [Unit::InputTokens, Unit::OutputTokens, Unit::TotalTokens];
        assert_eq!(units.map(|unit| reserved.get(unit)), [1_234, 567, 1_801]);
    }
}

/// One call per tenant in half a minute, which no test waits for.
fn one_per_tenant() -> Vec<PolicySpec> {
    read_limits(
        r#"limits = [{ name = "fair", unit = "requests", limit = 1, window = "30s", per = ["tenant"] }]"#,
    )
}

#[tokio::test]
async fn tenants_have_a_share_each_and_a_call_waits_no_longer_than_it_says() {
    let server = provider().start().expect("a server");
    let (tollgate, log) = gate_over("meta-llama", one_per_tenant());
    for (client, tenants) in Client::both(&tollgate)
        .iter()
        .zip([["ada", "ben"], ["cleo", "dan"]])
    {
        for tenant in tenants {
            let wire = Wire::llama(&server, tenant, "Toll?", 20, false);
            let options = || CallOptions::new().tenant(tenant).within(Duration::ZERO);
            let first = whole(client, &wire, options()).await.expect("an answer");
            assert_eq!((first.status, first.report.waited()), (200, Duration::ZERO));

            let error = whole(client, &wire, options()).await.expect_err("too late");
            let refused = refused(&error);
            assert_eq!(refused.reason(), "deadline", "{refused}");
            let binding = refused.binding().expect("a policy in the way");
            assert_eq!(
                (&*binding.policy, binding.needed, binding.remaining),
                ("meta-llama/fair", 1, 0)
            );
            let after = refused.retry_after().expect("an instant");
            let window = Duration::from_secs(30);
            // The default margin is a tenth of a second.
            assert!(after > window / 2 && after <= window + Duration::from_millis(100));
            assert!(!refused.is_permanent());
            assert!(log.has(tenant, |what| matches!(
                what,
                What::Admitted { tenant: Some(seen), .. } if seen == tenant
            )));
        }
    }
    // Four tenants were served, and what was refused never reached the provider.
    assert_eq!(server.books().requests_received, 4);
    assert_eq!(tollgate.gate().snapshot().len(), 4);
    assert_eq!(tollgate.gate().open_reservations(), 0);
}

#[tokio::test]
async fn calls_of_high_priority_go_first() {
    let server = provider().start().expect("a server");
    let limits = read_limits(
        r#"limits = [{ name = "one", unit = "requests", limit = 1, window = "200ms", margin = "50ms" }]"#,
    );
    let (tollgate, log) = gate_over("meta-llama", limits);
    let [by_reqwest, by_tower] = Client::both(&tollgate);
    let wire = |model: &str| Wire::llama(&server, model, "Toll?", 20, false);
    whole(&by_reqwest, &wire("first"), CallOptions::new())
        .await
        .expect("an answer");

    let asked = [
        (&by_tower, "low", Priority::Low),
        (&by_reqwest, "normal", Priority::Normal),
        (&by_tower, "high", Priority::High),
        (&by_reqwest, "higher", Priority::High),
    ];
    let mut waiting = Vec::new();
    for (client, model, priority) in asked {
        let wire = wire(model);
        let client = client.clone();
        let mut call =
            Box::pin(
                async move { whole(&client, &wire, CallOptions::new().priority(priority)).await },
            );
        let queued = || log.has(model, |what| matches!(what, What::Queued(_)));
        let over = poll_until(&mut call, queued).await;
        assert!(over.is_none() && queued(), "{model} did not wait");
        waiting.push(call);
    }
    // All of them run, whichever comes first.
    let mut running = JoinSet::new();
    for call in waiting {
        running.spawn(call);
    }
    for answer in running.join_all().await {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    let order: Vec<String> = server.calls().into_iter().map(|call| call.model).collect();
    assert_eq!(order, ["first", "high", "higher", "normal", "low"]);
}
