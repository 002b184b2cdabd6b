//! Runs a simulated provider until Ctrl-C: `cargo run -p tollgate-sim -- --preset llama-api --port 8080`.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use tollgate_sim::{Books, Faults, Provider, Server};

/// A simulated LLM provider that enforces its quotas over real HTTP.
#[derive(Debug, Parser)]
struct Flags {
    /// The provider to play: llama-api, grok-2, claude-opus-4, openai, llama-3 or unlimited.
    #[arg(long, default_value = "llama-api")]
    preset: String,
    /// The port on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// How much faster its time runs, 1 to 10000: a minute of it lasts 60 / SPEED seconds.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    speed: u32,
    /// What lengths, texts and faults are drawn from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Of 1000 streams, how many are cut in the middle.
    #[arg(long, default_value_t = 0, value_name = "PER_MILLE")]
    cut_streams: u32,
    /// Of 1000 calls, how many are answered with 500.
    #[arg(long, default_value_t = 0, value_name = "PER_MILLE")]
    errors: u32,
    /// Of 1000 calls, how many are never answered.
    #[arg(long, default_value_t = 0, value_name = "PER_MILLE")]
    hang: u32,
    /// Do not say in a 429 when to come back.
    #[arg(long)]
    no_retry_after: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    let faults = Faults {
        cut_streams_per_mille: flags.cut_streams,
        error_500_per_mille: flags.errors,
        hang_per_mille: flags.hang,
        retry_after: !flags.no_retry_after,
    };
    let builder = Provider::preset(&flags.preset)?
        .port(flags.port)
        .speed(flags.speed)
        .seed(flags.seed)
        .faults(faults);
    let server = builder.start()?;
    println!(
        "{} plays {}: {}",
        server.url(),
        flags.preset,
        server.limits().join("; ")
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(watch(&server))?;
    println!("{}", line(&server.books()));
    server.shutdown();
    Ok(())
}

/// Prints the counters each second in which they change, until Ctrl-C.
async fn watch(server: &Server) -> std::io::Result<()> {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut last = Books::default();
    loop {
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => return pressed,
            _ = seconds.tick() => {}
        }
        let books = server.books();
        if books != last {
            println!("{}", line(&books));
            last = books;
        }
    }
}

fn line(books: &Books) -> String {
    format!(
        "{} calls, {} refused with 429, {} running, {} aborted, {} cut, {} failed; {} input and {} output tokens",
        books.calls,
        books.throttled,
        books.in_flight,
        books.aborted,
        books.cut,
        books.failed,
        books.input_tokens,
        books.output_tokens
    )
}
