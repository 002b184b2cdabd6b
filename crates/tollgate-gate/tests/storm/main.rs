//! Thousands of callers in one seeded storm: cancellations, deadlines that fall on admissions, pauses, news, clocks that jump.
//!
//! Each seed is a world of its own, on tokio's paused clock and one thread, so that the same seed is the same run. A failure names
//! its seed; `STORM_SEED=17 cargo nextest run -p tollgate-gate storm` runs that one alone, `STORM_SEEDS=1000` more than usual.

mod books;
mod caller;
mod world;

use std::env;

use tokio::runtime::Builder;

/// Seeds of a usual run.
const SEEDS: u64 = 24;

#[test]
fn a_storm_never_goes_over_a_quota_loses_nothing_and_answers_everybody() {
    let number = |name| env::var(name).ok().map(|value| value.parse().expect(name));
    let seeds = match number("STORM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("STORM_SEEDS").unwrap_or(SEEDS),
    };
    let mut seen = books::Seen::default();
    for seed in seeds.clone() {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (faults, of_seed) = runtime.block_on(world::run(seed));
        let shown = &faults[..faults.len().min(5)];
        assert!(
            faults.is_empty(),
            "STORM_SEED={seed}: {} faults, the first: {shown:#?}",
            faults.len()
        );
        seen.add(&of_seed);
    }
    // A storm in which something never happens proves nothing about it.
    if seeds.count() as u64 >= SEEDS {
        assert!(seen.everything(), "{seen:?}");
    }
}
