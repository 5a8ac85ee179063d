"""Measures a lab of every size; see growth.sh. Phases are those of `ffu report`; the replay is timed by
a clock outside ffu."""

import datetime
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from memory import Memory

BUDGET_MIB = 2048
work, picture = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
source, target, sizes = sys.argv[3], sys.argv[4], [int(size) for size in sys.argv[5:]]
ffu, lab, second = os.environ["FFU"], work / "lab", work / "second"
client = f"--defaults-file={lab}/mariadb/client.cnf"
# For the questions that the projects' own commands ask.
slow = lab / "slow.log"
# The log is for the replay; a buffer pool for small databases would measure the disk.
options = ("log-bin=binlog", "binlog-format=MIXED", "sync-binlog=0", "innodb-buffer-pool-size=1G", "innodb-log-file-size=512M")


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(command)} ended with {done.returncode}")
    return done.stdout


def sql(text):
    return run("mariadb", client, "-N", "-e", text)


def instances():
    return int(sql("SELECT COUNT(*) FROM nova.instances"))


def nova_bytes():
    return int(sql("SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('nova', 'nova_api')"))


def fill(wanted):
    """Deleted instances until there are about so many: `ffu lab fill` is told bytes, and what one takes shows by and by."""
    each = 6000
    for _ in range(12):
        there, bytes_there = instances(), nova_bytes()
        if there >= 0.9 * wanted:
            return there
        run(ffu, "lab", "fill", str(bytes_there + int((wanted - there) * each)), "--dir", str(lab))
        more = instances() - there
        each = max(1000, (nova_bytes() - bytes_there) / more) if more > 1000 else each * 1.3
    sys.exit(f"the lab cannot be filled up to {wanted} instances")


def ran(plan):
    """Runs a plan; gives the most memory that lay in no file, in MiB, and the most processes."""
    with open(work / "run.log", "wb") as out:
        child = subprocess.Popen([ffu, "run", plan, "--yes"], stdout=out, stderr=subprocess.STDOUT)
        memory = Memory(child.pid, lab)
        memory.start()
        code = child.wait()
        memory.end()
    if code:
        sys.exit(f"{(work / 'run.log').read_text()[-3000:]}\nffu run ended with {code}")
    return memory.anonymous / 1024, memory.most


def purge():
    sql(f"PURGE BINARY LOGS TO '{sql('SHOW MASTER STATUS').split()[0]}'")


class Purger(threading.Thread):
    """Keeps the binary log short while rows and copies of them are written, which would double what they take of the disk, until
    the log is of interest: the freeze begins, or `end` is called."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()

    def run(self):
        known = set(work.glob("state/**/journal.jsonl"))
        while not self.over.wait(2):
            new = set(work.glob("state/**/journal.jsonl")) - known
            if any('"step":"freeze.' in path.read_text() for path in new):
                return
            purge()

    def end(self):
        self.over.set()
        self.join()


def events():
    journal = max(work.glob("state/**/journal.jsonl"), key=lambda path: path.stat().st_mtime)
    return [json.loads(line) for line in journal.read_text().splitlines()]


def moment(event):
    return datetime.datetime.fromisoformat(event["at"][:19])


def questions():
    """Seconds that the server took for what the projects' commands only asked during the hops, all together: queries of ten
    milliseconds and more, by the services' accounts: those of ffu's own gates and counts are among them."""
    hops = [moment(event).replace(tzinfo=datetime.timezone.utc).timestamp()
            for event in events() if event["event"] in ("intent", "outcome") and event["step"].startswith("hops.")]
    total = 0.0
    for entry in slow.read_text("utf-8", "replace").split("# User@Host: ")[1:]:
        asked, took = re.search(r"SET timestamp=(\d+);\s*SELECT", entry), re.search(r"Query_time: ([\d.]+)", entry)
        if asked and min(hops) <= int(asked[1]) <= max(hops) + 1 and not entry.startswith("root["):
            total += float(took[1])
    return total


def statements():
    """What the hops did, as statements: the binary log from after the checkpoint's last write, which is the last one into a
    copy's schema, to the end of the last hop."""
    at = [(event["step"], moment(event)) for event in events() if event["event"] == "outcome"]
    second_more = datetime.timedelta(seconds=1)
    begun = max(when for step, when in at if step == "checkpoint")
    hops = [when for step, when in at if step.startswith("hops.")]
    ended = max(hops) + second_more
    sql("FLUSH BINARY LOGS")
    names = [str(lab / "mariadb/data" / line.split()[0]) for line in sql("SHOW BINARY LOGS").splitlines()][:-1]
    utc = {**os.environ, "TZ": "UTC"}
    first, position = 0, None
    for index, name in enumerate(names):
        text = subprocess.run(["mariadb-binlog", f"--start-datetime={begun}", f"--stop-datetime={min(hops) + second_more}", name],
                              stdout=subprocess.PIPE, check=True, env=utc).stdout.decode("utf-8", "replace")
        end = None
        for line in text.splitlines():
            header = re.match(r"#\d{6} .* end_log_pos (\d+)", line)
            if header:
                end = int(header[1])
            elif end and "`ffu_" in line:
                first, position = index, end
    since = f"--start-position={position}" if position else f"--start-datetime={begun}"
    with open(work / "replay.sql", "wb") as out:
        subprocess.run(["mariadb-binlog", "--disable-log-bin", since, f"--stop-datetime={ended}", *names[first:]],
                       stdout=out, check=True, env=utc)


def snapshot():
    """A copy of the server's files: it stands still meanwhile, so that they are those of one moment. Gives the command line of a
    server for it."""
    pid = int((lab / "mariadb/pid").read_text())
    command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode().split("\0")
    shutil.rmtree(second, ignore_errors=True)
    (second / "tmp").mkdir(parents=True)
    os.kill(pid, signal.SIGSTOP)
    try:
        shutil.copytree(lab / "mariadb/data", second / "data", ignore=shutil.ignore_patterns("binlog.*"))
    finally:
        os.kill(pid, signal.SIGCONT)
    kept = [part.replace(f"{lab}/mariadb", str(second)) for part in command
            if not part.startswith(("--port", "--bind-address", "--log-bin", "--binlog", "--sync-binlog", "--init-file"))]
    return [*kept, "--skip-networking", "--skip-log-bin"]


def replay(command):
    """Seconds that the statements take over one connection on the server of a snapshot."""
    with open(second / "out.log", "wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    reach = [client, f"--socket={second}/s.sock", "--protocol=socket"]
    try:
        for _ in range(600):
            if subprocess.run(["mariadb-admin", *reach, "ping"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                break
            if server.poll() is not None:
                sys.exit(f"{(second / 'out.log').read_text()[-2000:]}\nthe second server ended")
            time.sleep(0.2)
        return timed(reach)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(second)


def timed(reach):
    """Seconds that the statements take on the server at `reach`, with its tables read before."""
    names = run("mariadb", *reach, "-N", "-e", "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES "
                "WHERE TABLE_SCHEMA IN ('nova', 'nova_api') AND TABLE_TYPE = 'BASE TABLE'").split()
    run("mariadb", *reach, "-N", "-e", f"CHECKSUM TABLE {', '.join(names)}")
    begun = time.monotonic()
    with open(work / "replay.sql", "rb") as text:
        subprocess.run(["mariadb", *reach, "--binary-mode"], stdin=text, check=True)
    return time.monotonic() - begun


def measure(size, last):
    """The last size is replayed on the lab's own server, which no other size needs: a million instances are 18 GB, and their
    files would be there three times."""
    purger = Purger()
    purger.start()
    rows = fill(size)
    server = None if last else snapshot()
    mib = nova_bytes() >> 20
    cloud, plan = str(work / "cloud.toml"), str(work / "plan.json")
    run(ffu, "discover", "--from", f"plain:{lab}", "--admin-option-file", f"{lab}/mariadb/client.cnf", "-o", cloud)
    run(ffu, "plan", "--cloud", cloud, "--to", target, "--checkpoint", "copy", "--configuration", "accept-loss", "-o", plan)
    slow.unlink(missing_ok=True)
    sql(f"SET GLOBAL slow_query_log_file = '{slow}', GLOBAL long_query_time = 0.01, GLOBAL slow_query_log = 1")
    memory, processes = ran(plan)
    purger.end()
    report = json.loads(run(ffu, "--json", "report").splitlines()[-1])
    phases = {phase["phase"]: phase["wall_ms"] / 1000 for phase in report["phases"]}
    sql("SET GLOBAL slow_query_log = 0")
    asked = questions()
    statements()
    run(ffu, "rollback", "--yes")
    row = dict(
        instances=rows, mib=mib, window=report["window_ms"] / 1000, ddl=timed([client]) if last else replay(server), checkpoint=phases["checkpoint"],
        hops=phases["hops"], questions=asked, memory=memory, processes=processes,
    )
    row["share"] = row["window"] - row["ddl"] - row["questions"]
    return row


def curve(rows):
    """The curves as SVG: seconds over instances, both by powers of ten."""
    width, height, left, right, top, bottom = 720, 420, 60, 200, 24, 48
    lines = (("window", "window", "#b3261e"), ("share", "ffu: window less both below", "#1a5fb4"),
             ("checkpoint", "of it the checkpoint", "#888888"), ("ddl", "the statements alone", "#26733b"), ("questions", "the commands' questions", "#9c5a00"))
    values = [max(row[key], 0.1) for row in rows for key, _, _ in lines]
    y0, y1 = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    x0, x1 = math.log10(rows[0]["instances"]), math.log10(rows[-1]["instances"])

    def x(value):
        return left + (math.log10(value) - x0) / ((x1 - x0) or 1) * (width - left - right)

    def y(value):
        return height - bottom - (math.log10(max(value, 0.1)) - y0) / ((y1 - y0) or 1) * (height - top - bottom)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<title>Window against instances, {source} to {target}</title>',
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>']
    for power in range(y0, y1 + 1):
        at = y(10.0 ** power)
        out.append(f'<line x1="{left}" y1="{at:.1f}" x2="{width - right}" y2="{at:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0 ** power:g} s</text>')
    for row in rows:
        at = x(row["instances"])
        out.append(f'<line x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{height - bottom}" stroke="#eeeeee"/>')
        out.append(f'<text x="{at:.1f}" y="{height - bottom + 18}" text-anchor="middle">{row["instances"]}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 10}" text-anchor="middle">instances</text>')
    labels = []
    for key, title, colour in lines:
        points = " ".join(f'{x(row["instances"]):.1f},{y(row[key]):.1f}' for row in rows)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3" fill="{colour}"/>' for p in points.split()]
        labels.append([y(rows[-1][key]) + 4, title, colour])
    labels.sort()
    for above, label in zip(labels, labels[1:]):
        label[0] = max(label[0], above[0] + 15)
    out += [f'<text x="{width - right + 10}" y="{at:.1f}" fill="{colour}">{title}</text>' for at, title, colour in labels]
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text("\n".join(out) + "\n</svg>\n")


print(f"{source} → {target}\n")
print("| instances | nova's MiB | window s | its checkpoint s | its hops s | the statements alone s | the commands' questions s | the rest s | "
      "peak memory MiB | processes |")
print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
run(ffu, "lab", "up", "--at", source, "--dir", str(lab), "--size", "20", *(f"--server-option={option}" for option in options))
rows = []
for size in sizes:
    rows.append(measure(size, size == sizes[-1]))
    curve(rows)
    print("| {instances} | {mib} | {window:.1f} | {checkpoint:.1f} | {hops:.1f} | {ddl:.1f} | {questions:.1f} | {share:.1f} | {memory:.0f} | {processes} |"
          .format(**rows[-1]), flush=True)
first, last = rows[0], rows[-1]
print(f"\nfrom {first['instances']} to {last['instances']} instances: statements times {last['ddl'] / first['ddl']:.1f}, window times "
      f"{last['window'] / first['window']:.1f}, ffu's share times {last['share'] / first['share']:.2f}")
print(f"peak memory {max(row['memory'] for row in rows):.0f} MiB of {BUDGET_MIB} MiB")
print(f"the curve is in {picture}")
