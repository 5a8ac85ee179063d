"""The environment a dump is made in: what is installed, and what must not show of the machine.

Runs on every Python from 2.7 to 3.14 with nothing but that environment.
"""
import contextlib
import glob
import io
import os
import re
import sys
import traceback

# Stand-ins for what is only true of one machine; a default that has one of them in it is host-dependent. They are
# put in place before any package is imported.
HOST = "ffu-dumped-host"
HOME = "/ffu-dumped-home"
USER = "ffu-dumped-user"
IPV4 = "192.0.2.97"
IPV6 = "2001:db8::97"
CORES = 9973
PY2 = sys.version_info[0] == 2


def say(text):
    sys.stderr.write("dump: %s\n" % text)


def disguise():
    os.environ.update(HOME=HOME, USER=USER, LOGNAME=USER, LC_ALL="C.UTF-8")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "VIRTUAL_ENV"):
        os.environ.pop(name, None)
    for name in [n for n in os.environ if n.startswith("OS_")]:
        del os.environ[name]
    import multiprocessing
    import platform
    import socket
    socket.gethostname = lambda: HOST
    socket.getfqdn = lambda name="": HOST
    platform.node = lambda: HOST
    multiprocessing.cpu_count = lambda: CORES
    if hasattr(os, "cpu_count"):
        os.cpu_count = lambda: CORES
    if hasattr(os, "process_cpu_count"):
        os.process_cpu_count = lambda: CORES
    try:
        from oslo_utils import netutils
        netutils.get_my_ipv4 = lambda: IPV4
        netutils.get_my_ipv6 = lambda: IPV6
    except (ImportError, AttributeError):
        pass


def stand_in_class(name):
    """A class that can be raised, inherited from, and whose instances are decorators; so is every name in it."""
    return StandInClass(str(name), (Exception,), {"__call__": lambda self, function: function})


class StandInClass(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in_class(name)


class StandIn(type(sys)):
    """A module in the place of one that is not there: what modules do with theirs while they are imported works."""
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        inner = sys.modules.get("%s.%s" % (self.__name__, name))
        return inner if inner is not None else stand_in_class(name)


def stand_in(names):
    """What some releases import without requiring it, or in an order that their own dependencies do not stand."""
    try:
        # setuptools puts an older copy of this one in its way once it is imported.
        import importlib_metadata  # noqa: F401
    except Exception:
        pass
    for name in map(str, names):
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = StandIn(name)
            say("a stand-in for %s" % name)

def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions():
    """{canonical name: (version, {group: {name: target}})} of what is installed; the first on the path counts."""
    found = {}
    for directory in sys.path:
        try:
            entries = sorted(os.listdir(directory or "."))
        except OSError:
            continue
        for entry in entries:
            match = re.match(r"(.+?)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info$", entry)
            if not match:
                continue
            # The directory's name escapes the version of some packages; their metadata does not.
            name, version = canonical(match.group(1)), match.group(2)
            base = os.path.join(directory, entry)
            for file in ("METADATA", "PKG-INFO"):
                try:
                    with io.open(os.path.join(base, file), encoding="utf-8", errors="replace") as text:
                        stated = re.search(r"^Version: *(\S+)", text.read(), re.M)
                        version = stated.group(1) if stated else version
                    break
                except (IOError, OSError):
                    continue
            points, section = {}, None
            try:
                with io.open(os.path.join(base, "entry_points.txt"), encoding="utf-8") as text:
                    for line in text:
                        line = line.strip()
                        if line.startswith("["):
                            section = points.setdefault(line.strip("[]"), {})
                        elif line and not line.startswith("#") and section is not None and "=" in line:
                            key, target = line.split("=", 1)
                            section[key.strip()] = target.split("[")[0].strip()
            except (IOError, OSError):
                pass
            found.setdefault(name, (version, points))
    return found


def entry_points(installed, group):
    found = {}
    for name in sorted(installed):
        for key, target in installed[name][1].get(group, {}).items():
            found.setdefault(key, target)
    return found


def load(target):
    module, _, attributes = target.partition(":")
    loaded = __import__(module.strip(), fromlist=["_"])
    for attribute in attributes.strip().split("."):
        loaded = getattr(loaded, attribute)
    return loaded

def is_gone(target):
    """Whether an entry point names a module or function that its package no longer has (neutron's xenapi, Xena)."""
    module, _, attribute = target.partition(":")
    path = sys.path
    for part in module.strip().split("."):
        found = None
        for directory in path:
            base = os.path.join(directory, part)
            if os.path.isdir(base):
                found = [base]
                break
            if glob.glob(base + ".py") or glob.glob(base + ".*.so") or glob.glob(base + ".so"):
                found = []
                break
        if found is None:
            return True
        path = found
    try:
        loaded = __import__(module.strip(), fromlist=["_"])
    except Exception:
        return False
    return not hasattr(loaded, attribute.strip().split(".")[0])


@contextlib.contextmanager
def failing(namespace, target):
    """Half of a catalog would make options look removed: rather none."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        sys.exit("dump: the namespace %s (%s) cannot be listed" % (namespace, target))
