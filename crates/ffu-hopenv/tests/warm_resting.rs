//! The memory of a process that waits rests in a file: its commands find it as it was, and where that cannot be it stays in memory.

#[path = "support/action.rs"]
mod action;
mod support;
#[path = "support/world.rs"]
mod world;

use std::fs;
use std::time::Duration;

use camino::Utf8Path;
use ffu_hopenv::{SeriesWarmth, WarmPool};
use ffu_hosts::{Exit, StopFlag};
use ffu_model::warm::WARM_MEMORY;

use support::series;
use world::World;

/// Sixty mebibytes in small objects and large ones, of which a command reads everything, and changes a part.
const REMEMBERS: &str = "import hashlib, random\nmade = random.Random(7)\nsmall = dict((n, str(made.random())) for n in range(200000))\n\
    large = [bytearray(made.getrandbits(8) for _ in range(256)) * 4096 for _ in range(30)]\n\
    def digest():\n    found = hashlib.sha256()\n    for key in sorted(small):\n        found.update(small[key].encode())\n    \
    for held in large:\n        found.update(held)\n    return found.hexdigest()\n\
    def main():\n    before = digest()\n    for n in range(0, 200000, 7):\n        small[n] += 'x'\n    large[3][:9] = b'overwrite'\n    \
    more = [str(n) for n in range(300000)]\n    print(before, digest(), len(more), sum(map(len, more)))\n    return 5\n";

/// As above, in a process that may not write files of more than eight mebibytes.
fn bounded() -> String {
    format!("import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))\n{REMEMBERS}")
}

const LONG: Duration = Duration::from_secs(60);

fn settled(pool: &WarmPool) -> SeriesWarmth {
    pool.settle(&series(), LONG, &StopFlag::new()).unwrap()
}

/// Several commands out of one process, and each as the plain one.
fn runs_as_plain(world: &World, pool: &WarmPool, program: &str) {
    let (plain, expected) = world.run(None, program, "x", LONG).unwrap();
    assert_eq!(plain.finished.exit, Exit::Code(5), "{expected}");
    for _ in 0..3 {
        let (ran, printed) = world.run(Some(pool), program, "x", LONG).unwrap();
        assert_eq!(ran.cold, None);
        assert_eq!((ran.finished.exit, printed), (Exit::Code(5), expected.clone()));
    }
}

#[test]
fn commands_find_the_memory_as_it_was() {
    let world = World::new(&[("remembers", REMEMBERS)]);
    let rest = Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("resting-{}", std::process::id()));
    fs::create_dir(&rest).unwrap();
    let pool = world.pool(WARM_MEMORY, Some(&rest), &["remembers"]);
    let found = settled(&pool);
    match &found.stays {
        None => assert!(found.rests > 60 << 20 && found.memory < 30 << 20, "{found:?}"),
        // Where the build's directory is in memory, the next test is all there is to see.
        Some(why) => assert!(why.contains("is in memory itself"), "{found:?}"),
    }
    runs_as_plain(&world, &pool, "remembers");
    // Nothing that somebody would have to remove.
    assert_eq!(fs::read_dir(&rest).unwrap().count(), 0);
    fs::remove_dir(&rest).unwrap();
    // After the directory, too: the file has no name.
    runs_as_plain(&world, &pool, "remembers");
}

#[test]
fn what_cannot_rest_stays_in_memory_and_says_why() {
    let bounded = bounded();
    let world = World::new(&[("bounded", &bounded), ("remembers", REMEMBERS)]);
    let pool = world.pool(WARM_MEMORY, Some(Utf8Path::new("/dev/shm")), &["remembers"]);
    let found = settled(&pool);
    assert_eq!(found.stays.as_deref(), Some("/dev/shm is in memory itself"));
    assert!(found.rests == 0 && found.memory > 60 << 20, "{found:?}");
    runs_as_plain(&world, &pool, "remembers");
    drop(pool);
    let pool = world.pool(
        WARM_MEMORY,
        Some(Utf8Path::new(env!("CARGO_TARGET_TMPDIR"))),
        &["bounded"],
    );
    let found = settled(&pool);
    let why = found.stays.clone().unwrap_or_default();
    if !why.contains("is in memory itself") {
        // What was written before the file became too large rests, the others are where they were.
        assert!(why.contains("after ") && found.memory > 30 << 20, "{found:?}");
    }
    runs_as_plain(&world, &pool, "bounded");
}
