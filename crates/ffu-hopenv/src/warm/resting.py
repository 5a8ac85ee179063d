# How a process of crate::warm that waits lets its memory rest in a file. Stands before server.py.
#
# What was imported is a hundred megabytes that nobody looks at until the series is needed. It is written to a file, which has no
# name any more, and mapped privately from there, in place: to the process nothing has changed, but the kernel may drop the
# pages, and forks copy no more page tables than they touch. Nothing of it is secret: no configuration was read.
import errno
import os
import time

import _struct

# Runs of pages that are nearer to each other are one.
NEAR = 16
# Mappings that behave otherwise than memory from a file would: wiped or missing in forks, locked, huge, of a device.
OTHERWISE = set(['wf', 'dc', 'lo', 'ht', 'io', 'pf'])
# With many small runs the kernel's list of mappings would become long; it has an end, at 65,530 by default.
MOST_RUNS = 5000


def mappings():
    """Begin and end of what may rest: private memory of the process itself, or of one of these files."""
    begin = end = None
    with open('/proc/self/smaps') as lines:
        for line in lines:
            words = line.split()
            if not words[0].endswith(':'):
                name = words[5] if len(words) > 5 else ''
                own = not name or name == '[heap]' or name.startswith('[anon') or '/ffu-resting-' in name
                begin = None
                if words[1] == 'rw-p' and own:
                    begin, end = [int(word, 16) for word in words[0].split('-')]
            elif words[0] == 'VmFlags:' and begin is not None and not OTHERWISE.intersection(words[1:]):
                yield begin, end


def dirty_runs():
    """Begin and end of the pages that are in no file yet. What lies near enough between them is saved with them."""
    page = os.sysconf('SC_PAGE_SIZE')
    runs = []
    with open('/proc/self/pagemap', 'rb') as pagemap:
        for begin, end in list(mappings()):
            pagemap.seek(begin // page * 8)
            data = pagemap.read((end - begin) // page * 8)
            last = None
            for at, entry in enumerate(_struct.unpack('%dQ' % (len(data) // 8), data)):
                # Present and of no file, or swapped out.
                if not (entry >> 63 and not entry >> 61 & 1 or entry >> 62 & 1):
                    continue
                if last is not None and at - last <= NEAR:
                    runs[-1][1] = begin + (at + 1) * page
                else:
                    runs.append([begin + at * page, begin + (at + 1) * page])
                last = at
    return runs


def rest(libc, library, directory):
    """Bytes that rest now. The process must have one thread only."""
    name = os.path.join(directory, 'ffu-resting-%d-%d' % (os.getpid(), int(time.time() * 1000000)))
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.unlink(name)
        runs = dirty_runs()
        if len(runs) > MOST_RUNS:
            raise EnvironmentError(errno.E2BIG, '%d pieces of memory' % len(runs))
        flat = [edge for run in runs for edge in run]
        edges = (libc.ctypes.c_size_t * len(flat))(*flat)
        library.ffu_rest.restype = libc.ctypes.c_int64
        rests = library.ffu_rest(fd, edges, libc.ctypes.c_size_t(len(runs)))
        if rests < sum(end - begin for begin, end in runs):
            raise EnvironmentError(errno.ENOSPC, 'after %d MiB' % (rests >> 20))
        if hasattr(libc.lib, 'sync_file_range'):
            # To the disk from now on, not when the window has begun: 2 is SYNC_FILE_RANGE_WRITE, which does not wait.
            libc.lib.sync_file_range(fd, libc.ctypes.c_int64(0), libc.ctypes.c_int64(0), 2)
        return rests
    finally:
        os.close(fd)
