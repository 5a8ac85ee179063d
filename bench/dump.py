"""Dumps and loads one lab by several tools; see dump.sh. Everything is timed by a clock outside of the tools, but ffu's steps, which
are taken from its journal."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

work, target = pathlib.Path(sys.argv[1]), sys.argv[2]
ffu, lab, lanes, rounds = os.environ["FFU"], work / "lab", int(os.environ.get("LANES", "2")), int(os.environ.get("ROUNDS", "2"))
client = f"--defaults-file={lab}/mariadb/client.cnf"
out = work / "dumps"
# As ffu calls it, see crates/ffu-db/src/client.rs.
dump = (
    f"mariadb-dump {client} --single-transaction --quick --triggers --hex-blob --default-character-set=utf8mb4 --skip-lock-tables "
    "--skip-add-locks --skip-disable-keys --no-tablespaces --max-allowed-packet=1G --net-buffer-length=1M"
)
load = f"mariadb {client} --binary-mode --init-command='SET foreign_key_checks = 0, unique_checks = 0'"


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}\n{' '.join(command)} ended with {done.returncode}")
    return done.stdout


def shell(text):
    run("bash", "-euo", "pipefail", "-c", text)


def sql(text):
    return run("mariadb", client, "-N", "-e", text)


schemas = [
    line.split()[0]
    for line in sql(
        "SELECT TABLE_SCHEMA, SUM(DATA_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN "
        "('mysql', 'sys', 'information_schema', 'performance_schema') GROUP BY 1 ORDER BY 2 DESC"
    ).splitlines()
]
large = [
    tuple(line.split())
    for line in sql(
        f"SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE DATA_LENGTH >= {64 << 20} AND TABLE_SCHEMA <> 'mysql' "
        "ORDER BY DATA_LENGTH DESC"
    ).splitlines()
]


def pieces():
    """Large tables by themselves, then what is left of each database."""
    for schema, table in large:
        yield schema, f"{schema}.{table}", f"{schema} {table}"
    for schema in schemas:
        rest = " ".join(f"--ignore-table={s}.{t}" for s, t in large if s == schema)
        yield schema, schema, f"--routines --events {rest} {schema}"


def side_by_side(commands, width):
    with concurrent.futures.ThreadPoolExecutor(width) as pool:
        list(pool.map(shell, commands))


def by_client(width, pack, unpack, parts):
    def save():
        side_by_side([f"{dump} {what} | {pack} >{out}/{name}" for _, name, what in parts], width)

    def back():
        for schema in schemas:
            sql(f"CREATE DATABASE load_{schema}")
        side_by_side([f"{unpack} <{out}/{name} | {load} load_{schema}" for schema, name, _ in parts], width)

    return save, back


def by_mydumper():
    def save():
        names = "|".join(schemas)
        run("mydumper", client, "-t", str(lanes), "-c", "-G", "-E", "-R", "--trx-consistency-only", "--regex", rf"^({names})\.", "-o", str(out))

    def back():
        for schema in schemas:
            run("myloader", client, "-t", str(lanes), "-d", str(out), "-s", schema, "-B", f"load_{schema}", "-o")

    return save, back


def timed(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


whole = [(schema, schema, f"--routines --events {schema}") for schema in schemas]
tools = {
    "mariadb-dump, gzip, one by one": by_client(1, "gzip", "zcat", whole),
    "mariadb-dump, zstd, one by one": by_client(1, "zstd -q -3", "zstd -dcq", whole),
    f"mariadb-dump, zstd, {lanes} lanes of databases and large tables": by_client(lanes, "zstd -q -3", "zstd -dcq", list(pieces())),
    f"mydumper and myloader, {lanes} threads": by_mydumper(),
}
size = int(sql("SELECT SUM(DATA_LENGTH + INDEX_LENGTH) >> 20 FROM information_schema.TABLES"))
took = {name: [] for name in tools}
for _ in range(rounds):
    for name, (save, back) in tools.items():
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        saved = timed(save)
        mib = sum(file.stat().st_size for file in out.iterdir()) >> 20
        loaded = timed(back)
        for schema in schemas:
            sql(f"DROP DATABASE IF EXISTS load_{schema}")
        took[name].append((saved, loaded, mib))
shutil.rmtree(out)
print(f"{size} MiB in {len(schemas)} databases, {len(large)} tables of 64 MiB at least; medians of {rounds} rounds, one tool after the other in each\n")
print("| tool | dump s | MiB | load s | both s |\n| :--- | ---: | ---: | ---: | ---: |")
for name, times in took.items():
    saved, loaded, mib = (statistics.median(column) for column in zip(*times))
    print(f"| {name} | {saved:.1f} | {mib:.0f} | {loaded:.1f} | {saved + loaded:.1f} |", flush=True)


def steps():
    journal = max(work.glob("state/**/journal.jsonl"), key=lambda path: path.stat().st_mtime)
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    return {e["step"]: e["duration_ms"] / 1000 for e in events if e["event"] == "outcome" and e["result"] in ("succeeded", "warned")}


print("\n| ffu --checkpoint dump | fingerprints, dump, load into scratch schemas, fingerprints s | load and fingerprints on the way back s |")
print("| :--- | ---: | ---: |")
cloud, plan, key = (str(work / name) for name in ("cloud.toml", "plan.json", "key"))
run(ffu, "dump-key", key)
for name, more in {"in the clear": [], "encrypted": ["--dump-key", key]}.items():
    run(ffu, "discover", "--from", f"plain:{lab}", "--admin-option-file", f"{lab}/mariadb/client.cnf", "-o", cloud)
    run(ffu, "plan", "--cloud", cloud, "--to", target, "--checkpoint", "dump", "--parallel", str(lanes), "-o", plan, *more)
    run(ffu, "run", plan, "--yes")
    run(ffu, "rollback", "--yes")
    done = steps()
    print(f"| {name} | {done['checkpoint']:.1f} | {done['rollback.databases']:.1f} |", flush=True)
