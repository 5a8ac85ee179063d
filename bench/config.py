#!/usr/bin/env python3
"""`ffu config` against oslo-config-validator, in one run on one machine: CPU seconds, files per second, memory, growth.

    bench/config.py FFU ENVIRONMENT SERIES WORK

FFU is a release build, ENVIRONMENT the hop environment of SERIES, WORK a directory for scratch files.
"""
import json
import os
import resource
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RUNS = 40
PEER_RUNS = 5
FILES = 10_000


def measure(argv, okay=(0,)):
    """CPU seconds and peak memory in MiB of one command."""
    with open(os.devnull, "wb") as nothing:
        child = subprocess.Popen(argv, stdout=nothing, stderr=subprocess.PIPE)
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in okay:
        sys.exit("%s ended with %s: %s" % (" ".join(argv), child.returncode, said.decode()[-2000:]))
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def peer(environment, service, path):
    services = json.load(open(os.path.join(HERE, "..", "scripts", "catalogs.d", "services.json")))
    argv = [os.path.join(environment, "bin", "oslo-config-validator")]
    for namespace in installed(environment, services[service]["namespaces"]):
        argv += ["--namespace", namespace]
    # It exits with 1 where it finds anything.
    return measure(argv + ["--input-file", path], okay=(0, 1))


def installed(environment, namespaces):
    """Those of the namespaces that the environment's packages have."""
    ask = (
        "import sys, importlib.metadata as m;"
        "have = {e.name for e in m.entry_points(group='oslo.config.opts')};"
        "print('\\n'.join(n for n in sys.argv[1:] if n in have))"
    )
    argv = [os.path.join(environment, "bin", "python"), "-c", ask] + namespaces
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()


def main():
    ffu, environment, series, work = sys.argv[1:]
    print("## One file, CPU seconds (means: ffu of %d runs, the peer of %d)\n" % (RUNS, PEER_RUNS))
    print("| file | oslo-config-validator | ffu config check | ratio | memory MiB, peer | ffu |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for service in ("nova", "cinder"):
        path = os.path.join(HERE, "config", service + ".conf")
        peers = [peer(environment, service, path) for _ in range(PEER_RUNS)]
        theirs, their_memory = sum(cpu for cpu, _ in peers) / PEER_RUNS, max(memory for _, memory in peers)
        runs = [measure([ffu, "config", "check", "--series", series, path], okay=(0, 9)) for _ in range(RUNS)]
        ours, our_memory = sum(cpu for cpu, _ in runs) / RUNS, max(memory for _, memory in runs)
        print("| %s.conf | %.2f | %.4f | %.0f | %.0f | %.0f |"
              % (service, theirs, ours, theirs / ours, their_memory, our_memory), flush=True)

    print("\n## %d files in one call (`ffu config migrate --from train --to %s -o DIR TREE`)\n" % (FILES, series))
    tree, out = os.path.join(work, "tree"), os.path.join(work, "out")
    for at in range(FILES):
        service = "nova" if at % 2 else "cinder"
        directory = os.path.join(tree, "host%05d" % at, service)
        os.makedirs(directory)
        shutil.copy(os.path.join(HERE, "config", service + ".conf"), directory)
    cpu, memory = measure([ffu, "--json", "config", "migrate", "--from", "train", "--to", series, "-o", out, tree],
                          okay=(0, 8, 9))
    written = sum(len(names) for _, _, names in os.walk(out))
    print("%d files written, %.1f CPU seconds, %.0f files per CPU second, peak memory %.0f MiB"
          % (written, cpu, written / cpu, memory), flush=True)
    if written != FILES:
        sys.exit("%d files were expected" % FILES)

    print("\n## Growth with the size of one file (`ffu config check`)\n")
    print("| MiB | CPU seconds | per MiB | peak memory MiB |\n| ---: | ---: | ---: | ---: |")
    start, _ = measure([ffu, "config", "check", "--series", series, os.path.join(HERE, "config", "nova.conf")], (0, 9))
    for mib in (1, 2, 4, 8, 16, 32):
        path = os.path.join(work, "nova.conf")
        with open(path, "w") as file:
            file.write("[DEFAULT]\n")
            line, size = 0, 0
            while size < mib << 20:
                size += file.write("# a remark of some length about the line below, number %d\ndebug = false\n\n" % line)
                line += 1
        cpu, memory = measure([ffu, "config", "check", "--series", series, path], okay=(0, 9))
        print("| %d | %.3f | %.4f | %.0f |" % (mib, cpu, max(cpu - start, 0) / mib, memory), flush=True)


main()
