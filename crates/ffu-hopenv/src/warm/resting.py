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
# What proc(5) calls the flags of a mapping that behaves as memory from a file would. Not among them: wiped or missing in forks, locked, growing
# downwards, of huge pages only, of a device, a shadow stack, watched by somebody.
ORDINARY = set(['rd', 'wr', 'ex', 'mr', 'mw', 'me', 'ac', 'nr', 'dd', 'dw', 'hg', 'nh', 'mg', 'sd'])
# Bytes that the file is said to have: a mapping that grows in place must not grow beyond its end. They take no room.
APPARENT = 1 << 36
# With many small runs the kernel's list of mappings would become long; it has an end, at 65,530 by default.
MOST_RUNS = 5000


class Lost(Exception):
    """What was written is not on the disk, and may not be what is read."""


class Mapping(object):
    """A piece of memory, as proc(5) has it under smaps."""

    def __init__(self, words):
        self.begin, self.end = [int(word, 16) for word in words[0].split('-')]
        self.rights = words[1]
        self.name = words[5] if len(words) > 5 else ''
        # Changed since it was read from its file, in memory or swapped out.
        self.changed = 0
        self.flags = set()

    def may_rest(self):
        """Private memory of the process itself, or of one of these files."""
        own = not self.name or self.name == '[heap]' or self.name.startswith('[anon') or '/ffu-resting-' in self.name
        return own and self.rights == 'rw-p' and self.flags <= ORDINARY

    def is_library(self):
        """As it is in its file, wholly."""
        return self.name.startswith('/') and self.rights in ('r-xp', 'r--p') and not self.changed and self.flags <= ORDINARY


def mappings():
    found = []
    with open('/proc/self/smaps') as lines:
        for line in lines:
            # A name may have blanks.
            words = line.rstrip('\n').split(None, 5)
            if not words[0].endswith(':'):
                found.append(Mapping(words))
            elif words[0] in ('Anonymous:', 'Swap:'):
                found[-1].changed += int(words[1])
            elif words[0] == 'VmFlags:':
                found[-1].flags = set(line.split()[1:])
    return found


def dirty_runs(found):
    """Begin and end of the pages that are in no file yet. What lies near enough between them is saved with them."""
    page = os.sysconf('SC_PAGE_SIZE')
    runs = []
    with open('/proc/self/pagemap', 'rb') as pagemap:
        for begin, end in [(one.begin, one.end) for one in found if one.may_rest()]:
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
    """Bytes that rest now. The process must have one thread only, and end where this raises Lost."""
    name = os.path.join(directory, 'ffu-resting-%d-%d' % (os.getpid(), int(time.time() * 1000000)))
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.unlink(name)
        os.ftruncate(fd, APPARENT)
        found = mappings()
        runs = dirty_runs(found)
        if len(runs) > MOST_RUNS:
            raise EnvironmentError(errno.E2BIG, '%d pieces of memory' % len(runs))
        flat = [edge for run in runs for edge in run]
        edges = (libc.ctypes.c_size_t * len(flat))(*flat)
        for one in found:
            if one.is_library():
                # The kernel has it in its cache, for all that use it: 4 is MADV_DONTNEED.
                libc.lib.madvise(libc.ctypes.c_void_p(one.begin), libc.ctypes.c_size_t(one.end - one.begin), 4)
        library.ffu_rest.restype = libc.ctypes.c_int64
        rests = library.ffu_rest(fd, edges, libc.ctypes.c_size_t(len(runs)))
        if rests < sum(end - begin for begin, end in runs):
            raise EnvironmentError(libc.ctypes.get_errno(), 'after %d MiB' % (rests >> 20))
        return rests
    finally:
        try:
            # Now, and not when the window has begun; and a disk that does not keep it is noticed before a command is forked.
            os.fdatasync(fd)
        except EnvironmentError as error:
            raise Lost('%s' % error)
        finally:
            os.close(fd)
