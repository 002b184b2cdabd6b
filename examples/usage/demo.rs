//! Some calls to a simulated provider on the loopback address, recorded in the journal as they settle.

use std::error::Error;
use std::path::Path;

use serde_json::json;
use tokio::task::JoinSet;
use tollgate::journal::{Journal, Query};
use tollgate::tokens::{Catalog, PolicySpec, UnknownPrice};
use tollgate::{CallOptions, Settings, Tollgate};
use tollgate_sim::{Latency, Provider};

/// Prices of the day, so that there is something to add up; the last model has none.
const CATALOG: &str = r#"
[provider.house]
dialect = "openai"
[provider.house.models."llama-4-maverick"]
price = { input = "0.20", output = "0.60" }
[provider.house.models."llama-3.3-8b"]
price = { input = "0.05", output = "0.08" }
[provider.house.models."llama-next"]
"#;

const BUDGET: &str = r#"
name = "daily budget"
unit = "cost_usd"
limit = "25.00"
window = "day"
"#;

const TENANTS: [&str; 3] = ["search", "ads", "mail"];
const MODELS: [&str; 3] = ["llama-4-maverick", "llama-3.3-8b", "llama-next"];

const CALLS: usize = 60;

pub(crate) fn run(journal: &Path) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(calls(journal))
}

async fn calls(path: &Path) -> Result<(), Box<dyn Error>> {
    let provider = Provider::preset("unlimited")?
        .speed(100)
        .latency(Latency::default())
        .start()?;
    let mut catalog = Catalog::builtin();
    catalog.merge(CATALOG)?;
    let tollgate = Tollgate::builder()
        .catalog(catalog)
        .provider("house")
        .policy(toml::from_str::<PolicySpec>(BUDGET)?)
        .settings(Settings::default().unknown_price(UnknownPrice::Ignore))
        .journal(path)
        .build()?;
    let client = tollgate.wrap(reqwest::Client::new());
    let journal = tollgate.journal().ok_or("the gate keeps no journal")?;
    let before = tokens(journal)?;

    let mut calls = JoinSet::new();
    for i in 0..CALLS {
        let body = json!({
            "model": MODELS[i % MODELS.len()],
            "max_completion_tokens": 100 + i,
            "stream": i % 4 == 0,
            "stream_options": { "include_usage": true },
            "messages": [{ "role": "user", "content": "How many calls did I make? ".repeat(i + 1) }],
        });
        let options = CallOptions::new()
            .tenant(TENANTS[i / 7 % TENANTS.len()])
            .label("team", "demo");
        let call = client
            .post(format!("{}/v1/chat/completions", provider.url()))
            .bearer_auth("sk-demo")
            .with_extension(options)
            .json(&body)
            .send();
        calls.spawn(async move { call.await?.bytes().await.map_err(Into::into) });
    }
    let answers: Vec<Result<_, reqwest_middleware::Error>> = calls.join_all().await;
    answers.into_iter().collect::<Result<Vec<_>, _>>()?;

    journal.flush().await?;
    let books = provider.books();
    let (billed, recorded) = (
        books.input_tokens + books.output_tokens,
        tokens(journal)? - before,
    );
    eprintln!(
        "{} calls recorded, {recorded} tokens; the provider billed {billed}",
        journal.acknowledged()
    );
    if recorded != billed {
        return Err("the journal and the provider's books differ".into());
    }
    Ok(())
}

/// All tokens that are in the journal.
fn tokens(journal: &Journal) -> Result<u64, Box<dyn Error>> {
    let rows = journal.reader()?.totals(&Query::new())?;
    let tokens = rows.iter().map(|row| row.totals.tokens);
    Ok(tokens.map(|tokens| tokens.input + tokens.output).sum())
}
