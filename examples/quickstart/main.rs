//! The main job, end to end: the same few hundred calls against a provider that enforces its limits, first as sample code does it
//! (a plain client that sleeps and retries on 429), then with Tollgate in front of the same client.
//!
//! Without flags it needs no key and no server: it starts a simulated Llama API with its published limits and compressed time.

mod args;
mod books;
mod gated;
mod naive;
mod progress;
mod provider;
mod report;
mod usage;
mod utilization;
mod wire;
mod work;

use std::error::Error;

use args::Args;
use clap::Parser as _;
use provider::Target;
use report::{Report, Summary};

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    // One thread, so that calls are made in the order of the work; the simulated provider has a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Exporters block while they connect and while they flush, so they live outside of the runtime.
    let telemetry = args.otlp.as_deref().map(books::Telemetry::to).transpose()?;
    let report = runtime.block_on(run(&args, telemetry.as_ref()))?;
    if let Some(telemetry) = telemetry {
        telemetry.shutdown()?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn run(args: &Args, telemetry: Option<&books::Telemetry>) -> Result<Report, Box<dyn Error>> {
    let mut naive: Option<Summary> = None;
    if !args.skip_naive {
        let target = Target::start(args)?;
        let work = work::from_markdown(args, &target)?;
        target.introduce(&work, args);
        naive = Some(naive::run(&target, &work, args).await?);
    }
    // A provider of its own, so that neither run inherits the other's quota. A real one keeps its books: the second run has to
    // wait for what the first one used.
    let target = Target::start(args)?;
    let work = work::from_markdown(args, &target)?;
    if args.skip_naive {
        target.introduce(&work, args);
    }
    let tollgate = gated::run(&target, &work, args, telemetry).await?;
    Ok(Report { naive, tollgate })
}
