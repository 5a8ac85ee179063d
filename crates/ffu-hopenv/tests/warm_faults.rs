//! A fork is in everything what the plain process is, and whatever goes wrong with the warm processes leads to the plain
//! one, once: programs of the test's own in a real environment.

#[path = "support/action.rs"]
mod action;
mod support;
#[path = "support/world.rs"]
mod world;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use ffu_hopenv::{Cold, Programs, ProjectCommand, RunError, WarmPool};
use ffu_hosts::{Exit, StopFlag};
use ffu_model::warm::WARM_MEMORY;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use action::action;
use support::series;
use world::{World, wait_for};

/// What each program imports, and does.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "tells",
        "import atexit, os, signal, sys\nsys.stderr.write('imported\\n')\nkept = sys.argv[1:], sys.argv[:]\n\
         def main():\n    atexit.register(lambda: sys.stdout.write('at exit\\n'))\n    mask = os.umask(0)\n    os.umask(mask)\n    \
         here = sys.modules['__main__']\n    \
         print(kept, sys.argv, type(sys.argv), sys.path[0], sys.executable, here.__name__, here.__file__, here.__loader__.path, sorted(vars(here)))\n    \
         print(sorted(os.environ.items()), os.getcwd(), mask, os.getpgrp() == os.getpid(), os.getpriority(0, 0))\n    \
         print([str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)])\n    \
         print([os.readlink('/proc/self/fd/' + n) for n in '012'], repr(sys.stdin.read()), sys.stdout.encoding)\n    \
         print(open('/proc/self/comm').read(), os.access('/proc/self/fd/0', os.W_OK), sys.flags, sys.stdout.write_through)\n    \
         if sys.argv[-1] == 'raises':\n        raise ValueError('as asked')\n    return eval(sys.argv[-1])\n",
    ),
    (
        "works",
        "import os, sys, time\ndef main():\n    fd = os.open(sys.argv[-1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n    \
         os.write(fd, b'begun\\n')\n    time.sleep(1.5)\n    os.write(fd, b'done\\n')\n    return 7\n",
    ),
    (
        "stays",
        "import signal, time\ndef main():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(60)\n",
    ),
    (
        "threads",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1,), daemon=True).start()\ndef main():\n    return 3\n",
    ),
    (
        "connects",
        "import socket\nheld = socket.socketpair()\ndef main():\n    return 3\n",
    ),
    (
        "ends",
        "import atexit, enum, gzip, os, sys, tempfile, threading, time, weakref\nclass Held(object):\n    pass\nheld = []\n\
         class Code(enum.IntEnum):\n    WARNING = 1\n\
         class Connection(object):\n    def __del__(self):\n        os.write(1, b'torn down\\n')\n\
         Connection.__module__ = 'pymysql.connections'\n\
         def late():\n    time.sleep(0.3)\n    print('a thread that nobody waited for')\n\
         def main():\n    where, how = sys.argv[-1].split()\n    kept = Held()\n    held.append(kept)\n    \
         weakref.finalize(kept, print, 'finalized')\n    held.append(Connection())\n    \
         file = open(where, 'w')\n    held.append(file)\n    file.write('never closed')\n    \
         if how == 'temporary':\n        held.append(tempfile.NamedTemporaryFile(dir=os.path.dirname(where)))\n    \
         if how == 'packed':\n        held.append(gzip.open(where + '.gz', 'wt'))\n        held[-1].write('never closed')\n    \
         atexit.register(lambda: print('first registered'))\n    atexit.register(lambda: 1 // 0)\n    \
         atexit.register(lambda: sys.stdout.write('half a line'))\n    threading.Thread(target=late).start()\n    \
         if how == 'closes':\n        sys.stdout.close()\n    \
         if how == 'raises':\n        raise ValueError('as asked')\n    \
         return {'code': 3, 'none': None, 'large': 259, 'text': 'words', 'true': True,\n            'check': Code.WARNING}.get(how)\n",
    ),
    (
        "heavy",
        "held = bytearray(b'x') * (500 << 20)\ndef main():\n    return 3\n",
    ),
    ("fails", "raise ImportError('not here')\n"),
    ("leaves", "import sys\nsys.exit('not today')\n"),
];

/// Waits until the program `works` has begun, and kills warm processes.
fn kill_when_begun(world: &World, pids: &[i32]) {
    let effect = world.effect();
    wait_for("the command to begin", || {
        fs::read_to_string(&effect).is_ok_and(|text| text.contains("begun"))
    });
    end(pids);
}

fn end(pids: &[i32]) {
    assert!(!pids.is_empty());
    for &pid in pids {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Gone, or dead and not reaped by whoever it fell to.
fn is_gone(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "))
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_fork_ends_as_the_plain_process_does() {
    let world = World::new(PROGRAMS);
    let pool = world.pool(WARM_MEMORY, None, &["ends"]);
    // Where a function was in memory.
    let places = regex::Regex::new(" at 0x[0-9a-f]+").unwrap();
    let packed = Utf8PathBuf::from(format!("{}.gz", world.effect()));
    // Which of them end without being taken apart: then a destructor that does no more than the kernel is not run.
    for (how, quick) in [
        ("code", true),
        ("none", true),
        ("large", true),
        ("raises", true),
        ("true", true),
        // Of oslo.upgradecheck.
        ("check", true),
        ("text", false),
        ("closes", false),
        ("temporary", false),
        ("packed", false),
    ] {
        let argument = format!("{} {how}", world.effect());
        let ends = |pool: Option<&WarmPool>| {
            let _ = fs::remove_file(world.effect());
            let _ = fs::remove_file(&packed);
            let (ran, text) = world.run(pool, "ends", &argument, LONG).unwrap();
            let text = places.replace_all(&text, "").into_owned();
            let torn = text.contains("torn down");
            let text = text.replace("torn down\n", "");
            let written = fs::read_to_string(world.effect()).unwrap();
            // The time of its making is in it.
            let packed = fs::read(&packed).map_or(Vec::new(), |bytes| bytes[8..].to_vec());
            let names = fs::read_dir(&world.place.root)
                .unwrap()
                .flatten()
                .map(|file| file.file_name());
            let left = names.filter(|name| name.to_string_lossy().starts_with("tmp")).count();
            (
                ran.cold.is_none(),
                torn,
                (ran.finished.exit, text, written, packed, left),
            )
        };
        let ((_, plain_torn, plain), (warm, torn, fork)) = (ends(None), ends(Some(&pool)));
        assert!(warm, "{how}");
        assert_eq!(fork, plain, "{how}");
        assert_eq!((plain_torn, torn), (true, !quick), "{how}");
        assert_eq!((plain.2.as_str(), plain.4), ("never closed", 0));
        assert_eq!(plain.3.len() > 20, how == "packed");
    }
}

#[test]
fn a_fork_is_what_the_plain_process_is() {
    let world = World::new(PROGRAMS);
    let pool = world.pool(WARM_MEMORY, None, &["tells", "stays"]);
    for argument in [
        "0",
        "5",
        "None",
        "'in words'",
        "raises",
        "sys.exit()",
        "256 + 9",
        "os.kill(os.getpid(), 9)",
    ] {
        let (plain, text) = world.run(None, "tells", argument, LONG).unwrap();
        let (warm, same) = world.run(Some(&pool), "tells", argument, LONG).unwrap();
        assert_eq!(warm.cold, None);
        assert_eq!(warm.finished.exit, plain.finished.exit, "{argument}");
        assert_eq!(same, text, "{argument}");
        assert!(text.starts_with("imported\n"), "{text}");
    }
    let short = Duration::from_millis(700);
    for pool in [None, Some(&pool)] {
        let begun = Instant::now();
        let (ran, _) = world.run(pool, "stays", "0", short).unwrap();
        assert_eq!((ran.finished.exit, ran.cold), (Exit::TimedOut, None));
        assert!(
            begun.elapsed() > short + Duration::from_secs(4),
            "the grace was not kept"
        );
    }
    let pids = pool.pids(&series());
    pool.retire(&series());
    wait_for("the warm processes to end", || pids.iter().all(|&pid| is_gone(pid)));
    let (ran, _) = world.run(Some(&pool), "tells", "0", LONG).unwrap();
    assert!(matches!(ran.cold, Some(Cold::Retired { .. })), "{:?}", ran.cold);
}

#[test]
fn what_cannot_be_warm_is_run_plain_and_said() {
    let world = World::new(PROGRAMS);
    let pool = world.pool(WARM_MEMORY, None, &["threads", "connects", "fails", "leaves", "other"]);
    for (program, exit, why) in [
        ("threads", 3, "2 threads"),
        ("connects", 3, "socket:"),
        ("fails", 1, "not here"),
        ("leaves", 1, "not today"),
        ("other", 4, "another interpreter"),
    ] {
        let (ran, text) = world.run(Some(&pool), program, "0", LONG).unwrap();
        assert_eq!(ran.finished.exit, Exit::Code(exit), "{program}: {text}");
        let cold = ran.cold.unwrap();
        assert!(cold.to_string().contains(why), "{program}: {cold}");
    }
    assert_eq!(pool.series()[0].cold.len(), 5);
    let (ran, _) = world.run(Some(&pool), "tells", "0", LONG).unwrap();
    assert!(matches!(ran.cold, Some(Cold::NotAsked { .. })));
    pool.retire(&series());
    let (ran, _) = world.run(Some(&pool), "threads", "0", LONG).unwrap();
    assert!(ran.cold.is_some());
    assert!(pool.pids(&series()).is_empty());
}

#[test]
fn an_interpreter_that_is_none_is_said() {
    let world = World::new(PROGRAMS);
    let python = world.environment.directory().join("bin/python");
    fs::remove_file(&python).unwrap();
    let pool = world.pool(WARM_MEMORY, None, &["other"]);
    let cold = pool.series()[0].cold[0].to_string();
    assert!(cold.contains("could not be started"), "{cold}");
    World::script(&python, "#!/bin/sh\necho garbage; exit 0\n");
    let pool = world.pool(WARM_MEMORY, None, &["other"]);
    let (ran, _) = world.run(Some(&pool), "other", "0", LONG).unwrap();
    assert_eq!(ran.finished.exit, Exit::Code(4));
    assert!(matches!(ran.cold, Some(Cold::Gone { .. })), "{:?}", ran.cold);
}

#[test]
fn a_budget_that_is_too_small_warms_nothing() {
    let world = World::new(PROGRAMS);
    let pool = world.pool(300 << 20, None, &["tells"]);
    assert!(pool.series()[0].waits_for_room);
    let (ran, _) = world.run(Some(&pool), "tells", "0", LONG).unwrap();
    assert_eq!(ran.finished.exit, Exit::Code(0));
    let cold = ran.cold.unwrap().to_string();
    assert!(cold.contains("of the budget of 300 MiB"), "{cold}");
}

#[test]
fn a_series_heavier_than_thought_makes_room_and_waits_for_it() {
    let world = World::new(PROGRAMS);
    let pool = world.pool(720 << 20, None, &["heavy"]);
    let seen = || pool.series().swap_remove(0);
    let deadline = std::time::Instant::now() + LONG;
    while !seen().waits_for_room && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = seen();
    assert!(after.waits_for_room && after.warmed_in.is_some(), "{after:?}");
    assert_eq!((after.memory, after.cold.len()), (0, 0));
    // Alone in the pool it will never have the room: then the command runs plain.
    let (ran, _) = world.run(Some(&pool), "heavy", "", LONG).unwrap();
    assert_eq!(ran.finished.exit, Exit::Code(3));
    let cold = ran.cold.unwrap().to_string();
    assert!(cold.contains("of the budget of 720 MiB"), "{cold}");
}

#[test]
fn killed_while_they_wait_they_are_replaced_by_a_plain_process() {
    let world = World::new(PROGRAMS);
    let pool = world.pool(WARM_MEMORY, None, &["works"]);
    let pids = pool.pids(&series());
    assert_eq!(pids.len(), 3, "the interpreter, what is common, the project");
    end(&pids);
    let (ran, _) = world.run(Some(&pool), "works", world.effect().as_str(), LONG).unwrap();
    assert_eq!(ran.finished.exit, Exit::Code(7));
    assert!(matches!(ran.cold, Some(Cold::Gone { .. })), "{:?}", ran.cold);
    assert_eq!(fs::read_to_string(world.effect()).unwrap(), "begun\ndone\n");
}

#[test]
fn killed_while_a_command_runs_they_take_nothing_with_them() {
    let world = World::new(PROGRAMS);
    let pool = world.pool(WARM_MEMORY, None, &["works"]);
    let pids = pool.pids(&series());
    let (ran, _) = std::thread::scope(|scope| {
        scope.spawn(|| kill_when_begun(&world, &pids));
        world.run(Some(&pool), "works", world.effect().as_str(), LONG).unwrap()
    });
    assert_eq!((ran.finished.exit, ran.cold), (Exit::Code(7), None));
    assert_eq!(fs::read_to_string(world.effect()).unwrap(), "begun\ndone\n");
}

#[test]
fn an_end_that_nobody_saw_is_no_end() {
    let world = World::new(PROGRAMS);
    let pool = world.pool(WARM_MEMORY, None, &["works"]);
    let pids = pool.pids(&series());
    let lock = world.place.root.join("works.lock");
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            kill_when_begun(&world, &pids);
            end(&ffu_hosts::holders(&lock));
        });
        world
            .run(Some(&pool), "works", world.effect().as_str(), LONG)
            .unwrap_err()
    });
    assert!(matches!(error, RunError::EndUnknown { .. }), "{error}");
    assert!(error.to_string().contains("`ffu resume`"), "{error}");
    assert_eq!(
        fs::read_to_string(world.effect()).unwrap(),
        "begun\n",
        "it must not be run again"
    );
}

/// The process of the next test that is killed: it waits for a command until then.
#[test]
#[ignore = "run by the test below"]
fn ffu_that_will_be_killed() {
    let Ok(root) = std::env::var("FFU_WARM_TEST") else {
        return;
    };
    let root = Utf8PathBuf::from(root);
    let store = ffu_hopenv::EnvStore::new(&root);
    let pool = WarmPool::new(WARM_MEMORY, None).unwrap();
    let wanted = vec![Programs {
        project: "works".into(),
        programs: vec!["works".into()],
    }];
    pool.warm(store.open(&series()).unwrap(), wanted);
    pool.settle(&series(), LONG, &StopFlag::new());
    let pids: Vec<String> = pool.pids(&series()).iter().map(ToString::to_string).collect();
    fs::write(root.join("pids"), pids.join(" ")).unwrap();
    let (action, lock) = (
        action(&series(), "works", "works", &[root.join("effect").as_str()]),
        root.join("works.lock"),
    );
    let command = ProjectCommand {
        action: &action,
        config_files: &[],
        overlay_file: None,
        output_dir: &root,
        name: "works",
        timeout: LONG,
        lock_file: Some(&lock),
        secrets: &[],
    };
    let _ = pool.run(&store.open(&series()).unwrap(), &command, &StopFlag::new());
}

#[test]
fn they_die_with_ffu_and_the_command_does_not() {
    let world = World::new(PROGRAMS);
    let mut ffu = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ffu_that_will_be_killed", "--ignored", "--test-threads=1"])
        .env("FFU_WARM_TEST", &world.place.root)
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let effect = world.effect();
    wait_for("the command to begin", || {
        effect.exists() || ffu.try_wait().unwrap().is_some()
    });
    let pids: Vec<i32> = fs::read_to_string(world.place.root.join("pids"))
        .unwrap()
        .split(' ')
        .map(|pid| pid.parse().unwrap())
        .collect();
    ffu.kill().unwrap();
    ffu.wait().unwrap();
    let lock = world.place.root.join("works.lock");
    assert!(ffu_hosts::still_running(&lock).unwrap(), "the command died with ffu");
    wait_for("the warm processes to end", || pids.iter().all(|&pid| is_gone(pid)));
    wait_for("the command to end", || !ffu_hosts::still_running(&lock).unwrap());
    assert_eq!(fs::read_to_string(&effect).unwrap(), "begun\ndone\n");
}
