"""How much memory a process and all its children take: sampled twice a second, services of the cloud left out.

As a command, `bench/memory.py LAB FILE COMMAND …` runs the command and leaves two numbers in FILE: the most MiB by PSS, and the most of it that lies
in no file."""

import pathlib
import subprocess
import sys
import threading


class Memory(threading.Thread):
    """`peak` and `anonymous` are in KiB, `most` is a number of processes."""

    def __init__(self, pid, lab=None):
        super().__init__(daemon=True)
        self.pid, self.lab = pid, lab and pathlib.Path(lab)
        self.peak, self.anonymous, self.most, self.over = 0, 0, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            tree = self.tree()
            sizes = [size(pid) for pid in tree]
            self.peak = max(self.peak, sum(pss for pss, _ in sizes))
            self.anonymous = max(self.anonymous, sum(anonymous for _, anonymous in sizes))
            self.most = max(self.most, len(tree))

    def end(self):
        self.over.set()
        self.join()

    def tree(self):
        services, children = set(), {}
        for file in self.lab.glob("services/run/*.pid") if self.lab else ():
            try:
                services.update(file.read_text().split()[:1])
            except OSError:
                continue  # it was stopped just now
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            children.setdefault(parent, []).append(path.name)
        found, left = [], [str(self.pid)]
        while left:
            one = left.pop()
            if one not in services:
                found.append(one)
                left += children.get(one, [])
        return found


def size(pid):
    """KiB by PSS, and those of it that lie in no file."""
    try:
        lines = [line.split() for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    except OSError:
        return 0, 0  # it is gone
    found = {words[0]: int(words[1]) for words in lines if words[0].startswith("Pss")}
    return found.get("Pss:", 0), found.get("Pss_Anon:", 0) + found.get("Pss_Shmem:", 0)


if __name__ == "__main__":
    child = subprocess.Popen(sys.argv[3:])
    memory = Memory(child.pid, sys.argv[1])
    memory.start()
    code = child.wait()
    memory.end()
    pathlib.Path(sys.argv[2]).write_text(f"{memory.peak >> 10} {memory.anonymous >> 10}\n")
    sys.exit(code)
