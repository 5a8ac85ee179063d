//! The memory of a process that waits rests in a file: its commands find it as it was, and where that cannot be it stays in memory.

#[path = "support/action.rs"]
mod action;
#[path = "support/resting.rs"]
mod resting;
mod support;
#[path = "support/world.rs"]
mod world;

use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_hopenv::{Programs, Rest, SeriesWarmth, WarmPool};
use ffu_hosts::{Exit, StopFlag};
use ffu_model::warm::WARM_MEMORY;

use resting::{in_build, in_directory, on_disk};
use support::series;
use world::World;

/// Sixty mebibytes in small objects and large ones, of which a command reads everything, changes a part, and has some grow where they are.
const REMEMBERS: &str = "import hashlib, random\nmade = random.Random(7)\nsmall = dict((n, str(made.random())) for n in range(200000))\n\
    large = [bytearray(made.getrandbits(8) for _ in range(256)) * 4096 for _ in range(30)]\n\
    grown = bytearray(b'x' * (1 << 20))\nlisted = list(range(200000))\n\
    def digest():\n    found = hashlib.sha256()\n    for key in sorted(small):\n        found.update(small[key].encode())\n    \
    for held in large:\n        found.update(held)\n    return found.hexdigest()\n\
    def main():\n    before = digest()\n    for n in range(0, 200000, 7):\n        small[n] += 'x'\n    large[3][:9] = b'overwrite'\n    \
    more = [str(n) for n in range(300000)]\n    grown.extend(b'y' * (64 << 20))\n    listed.extend(range(3000000))\n    \
    print(before, digest(), len(more), sum(map(len, more)), hashlib.sha256(grown).hexdigest(), sum(listed))\n    return 5\n";

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
    let rest = Utf8PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("resting-{}", std::process::id()));
    fs::create_dir(&rest).unwrap();
    let pool = world.pool(WARM_MEMORY, in_directory(&rest), &["remembers"]);
    let found = settled(&pool);
    if on_disk(&found) {
        assert_eq!(found.stays, None);
        assert!(found.rests > 60 << 20 && found.memory < found.rests / 2, "{found:?}");
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
    let pool = world.pool(WARM_MEMORY, in_directory(Utf8Path::new("/proc")), &["remembers"]);
    let found = settled(&pool);
    let why = found.stays.clone().unwrap_or_default();
    assert!(why.starts_with("/proc is on no file system"), "{found:?}");
    assert!(found.rests == 0 && found.memory > 60 << 20, "{found:?}");
    runs_as_plain(&world, &pool, "remembers");
    drop(pool);
    let pool = world.pool(WARM_MEMORY, in_build(), &["bounded"]);
    let found = settled(&pool);
    if on_disk(&found) {
        let why = found.stays.clone().unwrap_or_default();
        // A part rests already: what programs share, which was imported before the bound.
        assert!(why.contains("File too large") && found.memory > 60 << 20, "{found:?}");
    }
    runs_as_plain(&world, &pool, "bounded");
    drop(pool);
    let all = in_build().map(|rest| Rest {
        reserve: u64::MAX,
        ..rest
    });
    let pool = world.pool(WARM_MEMORY, all, &["remembers"]);
    let found = settled(&pool);
    assert!(found.rests == 0 && found.stays.is_some(), "{found:?}");
}

/// A program that registers a command of its own with the configuration that all programs of a process share.
const REGISTERS: &str = "from oslo_config import cfg\nclass SubCommandOpt(object):\n    pass\ncfg.CONF._cli_opts.append({'opt': SubCommandOpt()})\n\
    def main():\n    return 3\n";

#[test]
fn a_program_that_cannot_share_a_process_has_its_own_if_that_may_rest() {
    let world = World::new(&[("first", REGISTERS), ("second", REGISTERS)]);
    let configuration = world.environment.site_packages().join("oslo_config");
    fs::create_dir(&configuration).unwrap();
    fs::write(configuration.join("__init__.py"), "").unwrap();
    fs::write(
        configuration.join("cfg.py"),
        "class Conf(object):\n    _cli_opts = []\nCONF = Conf()\n",
    )
    .unwrap();
    let processes = |rest: Option<Rest>| {
        let pool = WarmPool::new(WARM_MEMORY, rest).unwrap();
        let wanted = Programs {
            project: "both".to_owned(),
            programs: vec!["first".to_owned(), "second".to_owned()],
        };
        pool.warm(world.place.store.open(&series()).unwrap(), vec![wanted]);
        let found = settled(&pool);
        assert!(found.cold.is_empty(), "{found:?}");
        (pool.pids(&series()).len(), on_disk(&found))
    };
    // The interpreter, what projects share, and the first program.
    let (without, _) = processes(None);
    assert_eq!(without, 3);
    let (with, is_seen) = processes(in_build());
    if is_seen {
        assert_eq!(with, 4);
    }
}
