//! The calls as sample code makes them: a plain client that sleeps a fixed time and tries again on 429.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tollgate::tokens::Usage;

use crate::args::Args;
use crate::progress::Progress;
use crate::provider::Target;
use crate::report::{Finished, Summary};
use crate::work::Work;
use crate::{usage, wire};

/// What the sample code of the providers' tutorials sleeps after a 429, in the provider's time.
const SLEEP: Duration = Duration::from_secs(10);
/// It would try for ever; this many tries are enough to see.
const MOST_TRIES: u32 = 1_000;

#[expect(clippy::disallowed_methods, reason = "a program times its own run")]
pub(crate) async fn run(
    target: &Target,
    work: &[Work],
    args: &Args,
) -> Result<Summary, Box<dyn Error>> {
    let client = reqwest::Client::new();
    let start = Instant::now();
    let progress = Arc::new(Progress::new("naive", work.len(), start));
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
            request.build()?,
            client.clone(),
            target.lasts(SLEEP),
            Finished {
                index,
                model: work.model.clone(),
                cap: work.cap,
                ..Finished::default()
            },
            start,
            progress.clone(),
        ));
        tokio::task::yield_now().await;
    }
    let mut finished = tokio::select! {
        finished = calls.join_all() => finished,
        () = progress.show() => Vec::new(),
    };
    finished.sort_by_key(|call| call.index);
    progress.finish();
    let wall = start.elapsed();
    Summary::new(target, &finished, wall, None)
}

async fn call(
    request: reqwest::Request,
    client: reqwest::Client,
    sleep: Duration,
    mut finished: Finished,
    start: Instant,
    progress: Arc<Progress>,
) -> Finished {
    for _ in 0..MOST_TRIES {
        let Some(request) = request.try_clone() else {
            break;
        };
        finished.waited = start.elapsed();
        finished.attempts += 1;
        let Ok(response) = client.execute(request).await else {
            break;
        };
        if response.status() == http::StatusCode::TOO_MANY_REQUESTS {
            finished.throttled += 1;
            progress
                .refused
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(sleep).await;
            continue;
        }
        finished.succeeded = response.status().is_success();
        if let Ok(body) = response.bytes().await {
            finished.usage = usage::read(&body).map(|(input, output)| Usage::new(input, output));
        }
        break;
    }
    progress
        .done
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    finished
}
