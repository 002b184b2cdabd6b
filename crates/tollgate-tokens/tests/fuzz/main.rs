//! The functions that the fuzz targets call, over their seeds and over variations of those: what fuzzing searches for must not be found
//! in the nearest neighbourhood.

mod checks;
mod generated;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

type Check = fn(&[u8]);

/// Each target, by the name of its folder of seeds.
const TARGETS: [(&str, Check); 6] = [
    ("body", checks::check_body),
    ("events", checks::check_events),
    ("frames", checks::check_frames),
    ("head", checks::check_head),
    ("retry_after", checks::check_retry_after),
    ("catalog", checks::check_catalog),
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 2, "{target} has seeds");
    files
        .iter()
        .map(|file| fs::read(file).expect("a seed"))
        .collect()
}

#[test]
fn every_seed_passes_its_check() {
    for (target, check) in TARGETS {
        seeds(target).iter().for_each(|seed| check(seed));
    }
}

#[test]
fn every_target_has_a_check_and_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("the targets")
        .map(|file| {
            file.expect("a file")
                .path()
                .file_stem()
                .expect("a name")
                .to_owned()
        })
        .collect();
    names.sort();
    let mut known: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names, known);
}

proptest! {
    #[test]
    fn seeds_with_a_few_edits_pass_too(
        at in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 0..6),
    ) {
        for (target, check) in TARGETS {
            let seeds = seeds(target);
            let mut data = seeds[at.index(seeds.len())].clone();
            for (place, edit, byte) in &edits {
                let place = place.index(data.len().max(1)).min(data.len());
                match edit {
                    0 if place < data.len() => data[place] = *byte,
                    1 => data.insert(place, *byte),
                    2 => data.truncate(place),
                    // A span of the seed, once more.
                    _ => {
                        let span = data[place..data.len().min(place + usize::from(*byte))].to_vec();
                        data.extend_from_slice(&span);
                    }
                }
            }
            check(&data);
        }
    }
}
