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
        failed = [f"{event['step']}: {event['detail']}" for event in outcomes() if event["result"] == "failed"]
        sys.exit("\n".join([done.stdout, *failed, f"{' '.join(command)} ended with {done.returncode}"]))
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


def outcomes():
    """How every step of the last run went."""
    journals = sorted(work.glob("state/**/journal.jsonl"), key=lambda path: path.stat().st_mtime)
    events = [json.loads(line) for line in journals[-1].read_text().splitlines()] if journals else []
    return [event for event in events if event["event"] == "outcome"]


def steps():
    """Seconds of every step of the last run that ended well."""
    return {event["step"]: event["duration_ms"] / 1000 for event in outcomes() if event["result"] in ("succeeded", "warned")}


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
    early, inside, back = (took[step] for step in ("prepare.checkpoint", "checkpoint", "rollback.databases"))
    # As if every table were written between the copy and the freeze: --paranoid reads all of them in the window.
    run(ffu, "run", plan, "--yes", "--paranoid")
    run(ffu, "rollback", "--yes")
    whole = steps()["checkpoint"]
    row = dict(mib=total >> 20, dump=dumped, load=loaded, inside=inside, back=back, whole=whole)
    print(
        f"| {row['mib']} | {tables} | {dumped:.1f} | {f'{loaded:.1f}' if loaded else ''} | {early:.1f} | {inside:.2f} | {whole:.1f} | {back:.2f} | "
        f"{dumped / inside:.1f} | {f'{loaded / back:.0f}' if loaded else ''} |",
        flush=True,
    )
    return row


print("| MiB | tables | dump and gzip s | load s | copy before the freeze s | checkpoint in the window s | with every table read s | back s | checkpoint, times shorter | "
      "back, times faster |")
print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
rows = []
for at, size in enumerate(sizes):
    ends = ("first" in loads and at == 0) or ("last" in loads and at == len(sizes) - 1) or "all" in loads
    rows.append(measure(size, ends))
first, last = rows[0], rows[-1]
print(f"\nfrom {first['mib']} to {last['mib']} MiB (data times {last['mib'] / first['mib']:.1f}): the way back times {last['back'] / first['back']:.2f}")
print(f"checkpoint in the window: {last['dump'] / last['inside']:.1f} times shorter than the dump (goal 5), "
      f"{last['dump'] / last['whole']:.1f} times with every table read")
if last["load"]:
    print(f"way back: {last['load'] / last['back']:.0f} times faster than loading it (goal 200)")
