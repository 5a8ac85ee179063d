#!/usr/bin/env python3
"""The table of `make bench-window`: bench/window.py WORK SERIES …"""
import json
import os
import sys

work, chain = sys.argv[1], sys.argv[2:]


def seconds(name):
    """Window and hops of a way, in seconds."""
    path = os.path.join(work, name + ".json")
    if name == "hand":
        path = os.path.join(work, "hand.log")
        if not os.path.exists(path):
            return None
        found = dict(line.split()[:2] for line in open(path) if line.split()[:1] in (["window"], ["hops"]))
        return float(found["window"]), float(found["hops"])
    if not os.path.exists(path):
        return None
    report = json.load(open(path))
    phases = {phase["phase"]: phase["wall_ms"] / 1000 for phase in report["phases"]}
    return report["window_ms"] / 1000, phases["hops"]


hand = seconds("hand")
print("%s → %s, %d hops\n" % (chain[0], chain[-1], len(chain) - 1))
print("| | window s | hops s | window, by hand = 1 | hops, by hand = 1 |\n| --- | ---: | ---: | ---: | ---: |")
for name, title in (("hand", "by hand"), ("cold", "ffu run --cold"), ("warm", "ffu run")):
    found = seconds(name)
    if not found:
        continue
    ratios = ["%.1f× shorter" % (theirs / ours) for theirs, ours in zip(hand, found)] if hand and name != "hand" else ["", ""]
    print("| %s | %.1f | %.1f | %s | %s |" % (title, *found, *ratios))
floor_file = os.path.join(work, "floor")
warm = seconds("warm")
if os.path.exists(floor_file):
    floor = float(open(floor_file).read())
    print("| floor: its statements over one connection | | %.1f | | |" % floor)
    if warm:
        print("\nThe hops of ffu run are %.2f times the floor." % (warm[1] / floor))
memory = os.path.join(work, "warm.memory")
if os.path.exists(memory):
    print("\nMemory of ffu run at most: %s MiB by PSS, %s of it in no file." % tuple(open(memory).read().split()))
report = os.path.join(work, "warm.report")
if os.path.exists(report):
    print("\n```\n%s```" % open(report).read().split("\ninvariant (rows)")[0])
