"""Measures `ffu watch` and fping on the same targets; see watch.sh. fping is given what lets it keep up: no pause between two
packets or one that spreads them over the period, whichever sends more (then: takes less CPU), and the priority that ffu's agent
takes for itself."""

import json
import os
import pathlib
import subprocess
import sys
import time

from memory import Memory

PERIOD_MS, TIMEOUT_MS, NICE, FPING_MOST = 100, 1000, -10, 600
work, ffu, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def measured(command):
    """Runs it to its end: output, CPU seconds of it and all that it waited for, peak memory."""
    # The output goes to a file: a pipe that is full would hold it up.
    with open(work / "output", "w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=work)
        memory = Memory(process.pid)
        memory.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        memory.end()
        output.seek(0)
        return output.read(), usage.ru_utime + usage.ru_stime, memory.peak / 1024, process.returncode


def addresses(count):
    return [f"127.{1 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}" for n in range(count)]


def watch(count):
    targets, record = work / "targets.toml", work / f"record-{count}"
    text = f"interval_ms = {PERIOD_MS}\ntimeout_ms = {TIMEOUT_MS}\n[budgets]\nbaseline_s = 5\n"
    text += "".join(f'[[targets]]\nname = "t{n}"\naddress = "{address}"\n' for n, address in enumerate(addresses(count)))
    targets.write_text(text)
    command = [os.path.abspath(ffu), "--json", "watch", "--targets", targets, "--record", record, "--for", f"{seconds}s"]
    output, cpu, peak, code = measured(command)
    if code not in (0, 4):
        sys.exit(output)
    figures = json.loads(output.splitlines()[-1])["figures"]
    for remark in figures["remarks"]:
        print(f"  ffu says: {remark}", file=sys.stderr)
    totals = figures["totals"]
    return {"sent": totals["probes"], "lost": totals["lost"], "outages": totals["outages"], "cpu": cpu, "peak": peak}


def fping(count, pause):
    """fping 5.1 ends with an error at 65,536 probes in 10 s: more targets need more of it, here all under one shell."""
    lines, files = addresses(count), []
    for first in range(0, count, FPING_MOST):
        files.append(work / f"hosts-{first}")
        files[-1].write_text("\n".join(lines[first : first + FPING_MOST]) + "\n")
    one = f"timeout -s INT {seconds} fping -l -q -p {PERIOD_MS} -t {TIMEOUT_MS} -i {pause} -f"
    script = "".join(f"{one} {file} > {file}.out 2>&1 & " for file in files) + "wait"
    _, cpu, peak, _ = measured(["nice", "-n", str(NICE), "sh", "-c", script])
    output = "".join(pathlib.Path(f"{file}.out").read_text() for file in files)
    sent = lost = outages = 0
    for line in output.splitlines():
        if "xmt/rcv" in line:
            xmt, rcv = line.split("= ")[1].split("/")[:2]
            sent, lost = sent + int(xmt), lost + int(xmt) - int(rcv)
            # The last one may still be on its way.
            outages += int(xmt) - int(rcv) > 1
    if not sent:
        sys.exit(f"fping sent nothing:\n{output}")
    return {"sent": sent, "lost": lost, "outages": outages, "cpu": cpu, "peak": peak, "options": f"-i {pause}, {len(files)} of it"}


def row(name, count, one):
    due = count * seconds * 1000 // PERIOD_MS
    return (
        f"| {count:,} | {name} | {one['cpu'] / seconds:.3f} | {one['peak']:.1f} | {100 * one['sent'] / due:.1f} % "
        f"| {1e6 * one['cpu'] / one['sent']:.2f} | {one['lost']:,} | {one['outages']:,} |"
    )


load = os.getloadavg()[0]
print(f"{os.cpu_count()} cores, load average at the beginning {load:.2f}, {seconds} s each, one probe every {PERIOD_MS} ms and target\n")
print("| targets | | CPU s a second | peak memory MiB | sent of those due | CPU µs a probe | lost | outages, or targets with loss |")
print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
ratios = []
for size in (int(size) for size in sys.argv[4:]):
    ours = watch(size)
    theirs = [fping(size, pause) for pause in ("0", f"{PERIOD_MS / min(size, FPING_MOST):.3f}")]
    best = max(theirs, key=lambda one: (round(one["sent"] / max(each["sent"] for each in theirs), 1), -one["cpu"] / one["sent"]))
    print(row("ffu watch", size, ours))
    print(row(f"fping {best['options']}", size, best), flush=True)
    each = best["cpu"] / best["sent"] / (ours["cpu"] / ours["sent"])
    ratios.append(
        f"{size:,} targets: fping takes {best['cpu'] / ours['cpu']:.2f} times the CPU ({each:.2f} times a probe) and "
        f"{best['peak'] / ours['peak']:.2f} times the memory of ffu watch."
    )
print("\n" + "\n".join(ratios))
