//! Who used what: totals of a usage journal per model, tenant and day, as tables or as CSV.

mod demo;
mod print;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tollgate::journal::{By, Query, Reader};
use tollgate::limits::Tick;

/// Adds up the calls in a usage journal.
#[derive(Debug, Parser)]
struct Args {
    /// The journal's file.
    #[arg(long)]
    journal: PathBuf,
    /// What to group by: team, tenant, provider, model, operation, day, month; several joined by commas. Give it several times for
    /// several tables. Default: a table per model, one per tenant and one per day; as CSV one by day, tenant and model.
    #[arg(long, value_parser = grouping)]
    by: Vec<Grouping>,
    /// The first day, such as 2026-11-01. Default: all.
    #[arg(long)]
    since: Option<Date>,
    /// The last day, itself included.
    #[arg(long)]
    until: Option<Date>,
    /// The time zone in which days begin, such as Europe/Berlin.
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// Print comma-separated values with a head line.
    #[arg(long)]
    csv: bool,
    /// First make some calls to a simulated provider, and record them in the journal.
    #[arg(long)]
    demo: bool,
}

/// What one table is grouped by.
#[derive(Clone, Debug)]
struct Grouping(Vec<By>);

fn grouping(text: &str) -> Result<Grouping, String> {
    let by = text.split(',').map(|word| {
        By::ALL
            .into_iter()
            .find(|by| by.as_str() == word.trim())
            .ok_or_else(|| {
                let known = By::ALL.map(By::as_str).join(", ");
                format!("`{word}` is none of {known}")
            })
    });
    by.collect::<Result<_, _>>().map(Grouping)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if args.demo {
        demo::run(&args.journal)?;
    }
    let reader = Reader::open(&args.journal)?;
    let zone = TimeZone::get(&args.time_zone)?;
    let midnight = |day: Date| -> Result<Tick, Box<dyn Error>> {
        let at = day.to_zoned(zone.clone())?.timestamp().as_millisecond();
        let at = u64::try_from(at).map_err(|_| format!("{day} is before 1970"))?;
        Ok(Tick::after_origin(Duration::from_millis(at)))
    };
    let mut query = Query::new().time_zone(&args.time_zone)?;
    if let Some(day) = args.since {
        query = query.since(midnight(day)?);
    }
    if let Some(day) = args.until {
        query = query.until(midnight(day.tomorrow()?)?);
    }
    if args.csv {
        let by = match &args.by[..] {
            [] => vec![By::Day, By::Tenant, By::Model],
            [one] => one.0.clone(),
            _ => return Err("--csv prints one table: join what to group by with commas".into()),
        };
        let rows = reader.totals(&query.by(by.iter().copied()))?;
        print!("{}", print::csv(&by, &rows));
        return Ok(());
    }
    let groupings = match args.by.is_empty() {
        true => [By::Model, By::Tenant, By::Day]
            .map(|by| Grouping(vec![by]))
            .into(),
        false => args.by,
    };
    let mut tables = Vec::new();
    for Grouping(by) in groupings {
        let rows = reader.totals(&query.clone().by(by.iter().copied()))?;
        tables.push(print::table(&by, &rows));
    }
    print!("{}", tables.join("\n"));
    Ok(())
}
