"""Measures one lab at several sizes; see rollback.sh. Everything is timed by a clock outside ffu but for the steps of a run,
which are taken from its journal."""

import json
import os
import pathlib
import subprocess
import sys
import time

work, source, target, sizes = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
ffu, lab, loads = os.environ["FFU"], work / "lab", os.environ.get("LOADS", "first last").split()
client = f"--defaults-file={lab}/mariadb/client.cnf"


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(command)} ended with {done.returncode}")
    return done.stdout


def sql(text, schema="mysql"):
    return run("mariadb", client, "-N", schema, "-e", text)


def schemas():
    names = sql("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA").split()
    return [n for n in names if n not in ("mysql", "sys", "information_schema", "performance_schema")]


def shell(text):
    begun = time.monotonic()
    subprocess.run(["bash", "-euo", "pipefail", "-c", text], check=True)
    return time.monotonic() - begun


def dump_and_load(load):
    names = schemas()
    took = sum(
        shell(f"mariadb-dump {client} --single-transaction --quick --triggers --routines {n} | gzip >{work}/{n}.sql.gz")
        for n in names
    )
    loaded = None
    if load:
        for n in names:
            sql(f"DROP DATABASE IF EXISTS load_{n}; CREATE DATABASE load_{n}")
        loaded = sum(shell(f"zcat {work}/{n}.sql.gz | mariadb {client} load_{n}") for n in names)
        for n in names:
            sql(f"DROP DATABASE load_{n}")
    for n in names:
        (work / f"{n}.sql.gz").unlink()
    return took, loaded


def steps():
    """Seconds of every step of the last run that ended well."""
    journals = sorted(work.glob("state/**/journal.jsonl"), key=lambda path: path.stat().st_mtime)
    found = {}
    for line in journals[-1].read_text().splitlines():
        event = json.loads(line)
        kind = event.get("kind", event)
        kind = kind if isinstance(kind, dict) else event
        if "duration_ms" in kind and kind.get("result") in ("succeeded", "warned"):
            found[kind["step"]] = (kind["duration_ms"] / 1000, kind.get("figures", {}), kind.get("detail", ""))
    return found


def measure(size, load):
    run(ffu, "lab", "fill", size, "--dir", str(lab))
    total, tables = map(int, sql(
        "SELECT SUM(DATA_LENGTH + INDEX_LENGTH), COUNT(*) FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE = 'InnoDB' "
        "AND TABLE_SCHEMA NOT IN ('mysql', 'sys')"
    ).split())
    dumped, loaded = dump_and_load(load)
    cloud, plan = str(work / "cloud.toml"), str(work / "plan.json")
    run(ffu, "discover", "--from", f"plain:{lab}", "--admin-option-file", f"{lab}/mariadb/client.cnf", "-o", cloud)
    run(ffu, "plan", "--cloud", cloud, "--to", target, "--checkpoint", "copy", "-o", plan)
    run(ffu, "run", plan, "--yes")
    run(ffu, "rollback", "--yes")
    took = steps()
    early, inside = took["prepare.checkpoint"][0], took["checkpoint"][0]
    back = next(value for name, value in took.items() if name.startswith("rollback") and "database" in name)
    row = dict(size=size, mib=total >> 20, tables=tables, dump=dumped, load=loaded, early=early, inside=inside, back=back[0],
               late_rows=took["checkpoint"][1].get("late_rows"))
    print(
        f"{size:>6} {row['mib']:6} MiB {tables:4} tables  dump|gzip {dumped:7.1f} s  load {loaded or float('nan'):7.1f} s | "
        f"copy before the freeze {early:6.1f} s  checkpoint in the window {inside:6.2f} s  back {back[0]:6.2f} s | "
        f"window {dumped / inside:5.1f} times shorter, back {(loaded or float('nan')) / back[0]:6.1f} times faster",
        flush=True,
    )
    return row


rows = []
for at, size in enumerate(sizes):
    ends = ("first" in loads and at == 0) or ("last" in loads and at == len(sizes) - 1) or "all" in loads
    rows.append(measure(size, ends))
first, last = rows[0], rows[-1]
print(f"from {first['size']} to {last['size']}: data times {last['mib'] / first['mib']:.1f}, way back times {last['back'] / first['back']:.2f}")
print(json.dumps(rows))
