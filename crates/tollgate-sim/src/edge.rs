//! The HTTP edge: from a request to the enforcer, and from its decision to an answer.

mod frames;
mod key;
mod read;
mod running;
mod shared;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::builder::{Faults, Setup};
use crate::preset::Model;
use crate::provider::Refusal;
use crate::reply::{Pace, Text, hash, mix};
use crate::wire::{Answer, Ask, Dialect, Problem};
use frames::Frames;
use key::team_of;
use read::read_body;
use running::{Running, stream};
pub(crate) use shared::Shared;
use shared::{Admitted, Arrived};

/// All paths of the provider.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let chat = |State(shared): State<Arc<Shared>>, request: Request| {
        let dialect = if is_llama_host(request.headers()) {
            Dialect::MetaLlama
        } else {
            shared.setup.preset.chat
        };
        answer(shared, dialect, request)
    };
    let speaking = |dialect| {
        post(move |State(shared): State<Arc<Shared>>, request: Request| {
            answer(shared, dialect, request)
        })
    };
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/compat/v1/chat/completions", speaking(Dialect::OpenAi))
        .route("/llama/v1/chat/completions", speaking(Dialect::MetaLlama))
        .route("/v1/messages", speaking(Dialect::Anthropic))
        .route("/generate", speaking(Dialect::Generic))
        .route("/v1/process", speaking(Dialect::Generic))
        .route(
            "/admin/books",
            get(|State(shared): State<Arc<Shared>>| async move { Json(shared.books()) }),
        )
        .route(
            "/admin/calls",
            get(|State(shared): State<Arc<Shared>>| async move { Json(shared.calls()) }),
        )
        .route(
            "/admin/limits",
            get(|State(shared): State<Arc<Shared>>| async move { Json(shared.limits()) }),
        )
        .with_state(shared)
}

fn is_llama_host(headers: &HeaderMap) -> bool {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    host.split(':').next() == Some("api.llama.com")
}

/// Answers one call, however it goes.
async fn answer(shared: Arc<Shared>, dialect: Dialect, request: Request) -> Response {
    let number = shared.received();
    serve(&shared, dialect, number, request)
        .await
        .unwrap_or_else(|refused| {
            if refused.problem.is_clients() {
                shared.rejected();
            }
            let (status, body) =
                refused
                    .problem
                    .render(dialect, &shared.setup, &shared.clock, number);
            let mut response = (status, Json(body)).into_response();
            extend(&mut response, refused.headers);
            response
        })
}

/// A call that gets no answer of a model.
struct Refused {
    problem: Problem,
    headers: Vec<(&'static str, String)>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            headers: Vec::new(),
        }
    }
}

/// A call that was understood.
struct Call {
    team: String,
    model: Model,
    ask: Ask,
    /// Output tokens it asks room for, of all choices.
    cap: u64,
    /// Most output tokens of each choice.
    longest: u64,
    /// What its answer is drawn from: the same for the same body and seed.
    draw: u64,
}

/// The life of one call: understand, admit, produce, book.
async fn serve(
    shared: &Arc<Shared>,
    dialect: Dialect,
    number: u64,
    request: Request,
) -> Result<Response, Refused> {
    let call = understand(&shared.setup, dialect, request).await?;
    let Shared { setup, clock, .. } = shared.as_ref();
    let Arrived {
        decision,
        standings,
        now,
        draw,
    } = shared.arrive(&call.team, &call.model, call.ask.input, call.cap);
    let mut headers = dialect.identity(setup, &call.team, number);
    headers.extend(dialect.limits(setup, clock, now, &standings));
    let ticket = match decision {
        Admitted::Yes(ticket) => ticket,
        Admitted::No(refusal) => {
            headers.extend(retry_headers(shared, dialect, &refusal));
            let problem = Problem::Throttled {
                refusal,
                team: call.team,
                model: call.model.name,
            };
            return Err(Refused { problem, headers });
        }
    };
    let reserved = call.ask.input.saturating_add(call.cap);
    let mut running = Running::new(
        Arc::clone(shared),
        ticket,
        &call.team,
        &call.model.name,
        call.ask.input,
        reserved,
    );
    let fate = Fate::draw(&setup.faults, draw);
    match fate {
        Fate::Fails => {
            running.fail();
            return Err(Refused {
                problem: Problem::Failed,
                headers,
            });
        }
        Fate::Hangs => std::future::pending::<()>().await,
        Fate::Goes | Fate::Cut => {}
    }

    let answer = Answer {
        dialect,
        number,
        created: clock.wall(now).as_secs(),
        model: call.model.name,
        input: call.ask.input,
        // xAI sends the usage chunk whether it was asked for or not.
        usage_chunk: call.ask.include_usage || setup.preset.xai,
        texts: (0..call.ask.choices)
            .map(|choice| Text::write(mix(call.draw ^ choice), call.longest))
            .collect(),
    };
    let pace = Pace::draw(&setup.latency, call.draw);
    let mut response = if call.ask.stream {
        let (frames, sender) = Frames::channel();
        tokio::spawn(stream(running, answer, pace, fate == Fate::Cut, sender));
        ([(CONTENT_TYPE, "text/event-stream")], Body::new(frames)).into_response()
    } else {
        running.produce_all(&answer, pace).await;
        Json(answer.json()).into_response()
    };
    extend(&mut response, headers);
    Ok(response)
}

/// Reads a request and finds whose it is, what it asks and which model it means.
async fn understand(setup: &Setup, dialect: Dialect, request: Request) -> Result<Call, Problem> {
    if !setup.dialects.contains(&dialect) {
        return Err(Problem::NotServed);
    }
    let (parts, body) = request.into_parts();
    let team = team_of(&parts.headers, &setup.keys).ok_or(Problem::NoKey)?;
    let body = read_body(body, setup.max_body).await?;
    let ask = dialect.read(&body).map_err(Problem::Malformed)?;
    let model = setup.preset.model(ask.model.as_deref());
    let model =
        model.ok_or_else(|| Problem::UnknownModel(ask.model.clone().unwrap_or_default()))?;
    let too_long = Problem::PromptTooLong {
        input: ask.input,
        context: model.context,
    };
    let room = model.context.checked_sub(ask.input).ok_or(too_long)?;
    let cap = ask
        .cap
        .unwrap_or(model.uncapped)
        .saturating_mul(ask.choices);
    let longest = ask
        .cap
        .unwrap_or(u64::MAX)
        .min(model.max_output)
        .min(room / ask.choices);
    let draw = hash(setup.seed, &body);
    Ok(Call {
        team,
        model,
        ask,
        cap,
        longest,
        draw,
    })
}

/// What the faults have in store for an admitted call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Goes,
    Fails,
    Hangs,
    /// Breaks off in the middle, if it is a stream.
    Cut,
}

impl Fate {
    fn draw(faults: &Faults, draw: u64) -> Self {
        let hit = |salt: u64, per_mille: u32| mix(draw ^ salt) % 1_000 < u64::from(per_mille);
        if hit(1, faults.error_500_per_mille) {
            Self::Fails
        } else if hit(2, faults.hang_per_mille) {
            Self::Hangs
        } else if hit(3, faults.cut_streams_per_mille) {
            Self::Cut
        } else {
            Self::Goes
        }
    }
}

fn retry_headers(
    shared: &Shared,
    dialect: Dialect,
    refusal: &Refusal,
) -> Vec<(&'static str, String)> {
    match refusal.retry_after_ns {
        Some(wait) if shared.setup.faults.retry_after => {
            dialect.retry_after(&shared.setup, shared.clock.real(wait))
        }
        _ => Vec::new(),
    }
}

fn extend(response: &mut Response, headers: Vec<(&'static str, String)>) {
    for (name, value) in headers {
        // A team's name can hold bytes that no header can: it then goes without.
        if let Ok(value) = HeaderValue::try_from(value) {
            response
                .headers_mut()
                .append(HeaderName::from_static(name), value);
        }
    }
}
