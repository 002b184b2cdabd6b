//! The same calls with Tollgate in front of the same client.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tollgate::tokens::Usage;
use tollgate::{Builder, Report, Tollgate};

use crate::args::Args;
use crate::books::{Books, Telemetry};
use crate::progress::Progress;
use crate::provider::Target;
use crate::report::{Finished, Summary};
use crate::work::Work;
use crate::{usage, wire};

#[expect(clippy::disallowed_methods, reason = "a program times its own run")]
pub(crate) async fn run(
    target: &Target,
    work: &[Work],
    args: &Args,
    telemetry: Option<&Telemetry>,
) -> Result<Summary, Box<dyn Error>> {
    let books = Arc::new(Books::default());
    let mut builder = configure(target, args)?.recorder(books.clone());
    if let Some(telemetry) = telemetry {
        builder = builder.recorder(telemetry.recorder());
    }
    let tollgate = builder.build()?;
    for warning in tollgate.warnings() {
        eprintln!("warning: {warning}");
    }
    if let Some(telemetry) = telemetry {
        telemetry.observe(&tollgate);
    }

    // This line is all that differs from the naive client.
    let client = tollgate.wrap(reqwest::Client::new());

    let start = Instant::now();
    let progress = Arc::new(Progress::new("tollgate", work.len(), start));
    let mut calls = JoinSet::new();
    for (index, work) in work.iter().enumerate() {
        let mut request =
            client
                .post(target.endpoint())
                .json(&wire::body(target, work, args.stream));
        for (name, value) in wire::headers(target) {
            request = request.header(name, value);
        }
        calls.spawn(call(
            request,
            Finished {
                index,
                model: work.model.clone(),
                cap: work.cap,
                ..Finished::default()
            },
            progress.clone(),
        ));
        tokio::task::yield_now().await;
    }
    let mut finished = tokio::select! {
        finished = calls.join_all() => finished,
        () = progress.show() => Vec::new(),
    };
    progress.refused.store(books.throttled(), Ordering::Relaxed);
    finished.sort_by_key(|call| call.index);
    progress.finish();
    let wall = start.elapsed();
    Summary::new(target, &finished, wall, Some(&books))
}

/// The provider's published limits, or the user's own.
fn configure(target: &Target, args: &Args) -> Result<Builder, Box<dyn Error>> {
    if let Some(path) = &args.config {
        return Ok(Tollgate::from_file(path)?);
    }
    let builder = Tollgate::builder().catalog(target.catalog.clone());
    Ok(match target.compressed_limits()? {
        Some(limits) => builder.limits(&target.name, limits),
        None => builder.provider(&target.name),
    })
}

async fn call(
    request: reqwest_middleware::RequestBuilder,
    mut finished: Finished,
    progress: Arc<Progress>,
) -> Finished {
    match request.send().await {
        Ok(response) => {
            finished.succeeded = response.status().is_success();
            if let Some(report) = response.extensions().get::<Report>() {
                finished.attempts = report.attempts();
                finished.waited = report.waited();
            }
            if let Ok(body) = response.bytes().await {
                finished.usage =
                    usage::read(&body).map(|(input, output)| Usage::new(input, output));
            }
        }
        Err(error) => eprintln!("a call failed: {error}"),
    }
    progress.done.fetch_add(1, Ordering::Relaxed);
    finished
}
