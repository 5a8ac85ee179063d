"""Options of oslo.config as the catalog has them: types with every constraint, defaults, old spellings.

Runs on every Python from 2.7 to 3.14 with nothing but the environment of the service.
"""
import json
import os
import re
import sys

from dump_environment import CORES, HOME, HOST, IPV4, IPV6, PY2, USER, say

HOST_DEPENDENT = u"<host-dependent>"
TEXT = type(u"")
NUMBERS = (int, long) if PY2 else (int,)  # noqa: F821


def text_of(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return TEXT(value)


def group_name(group):
    """As oslo.config normalises it (`_normalize_group_name`): lower case, but for exactly DEFAULT."""
    if group is None:
        return u"DEFAULT"
    name = text_of(getattr(group, "name", group))
    return name if name == u"DEFAULT" else name.lower()


def class_of(thing):
    kind = thing if isinstance(thing, type) else type(thing)
    if kind.__name__ in ("function", "builtin_function_or_method"):
        kind = thing
    if kind.__name__ == "partial":
        return class_of(thing.func)
    module = getattr(kind, "__module__", None) or "builtins"
    if module == "__builtin__":
        module = "builtins"
    name = getattr(kind, "__qualname__", None) or kind.__name__
    # Python 2 knows no qualified names; the last part is what both have.
    return text_of("%s.%s" % (module, name.split(".")[-1]))


def put(table, **fields):
    for key, value in fields.items():
        if value is not None and value is not False:
            table[key] = value
    return table


def bound(value):
    """A bound as a 64-bit number; one that is beyond them bounds nothing that can be written."""
    # neutron divides one, which gives a float; cinder's workers are as many as there are cores.
    fits = value is not None and -2 ** 63 <= value < 2 ** 63 and value != CORES
    return int(value) if fits else None


def integers(choices):
    return [int(c) for c in choices] if choices else None


def ip_version(checker):
    name = getattr(checker, "__name__", "")
    return 4 if "ipv4" in name else 6 if "ipv6" in name else None


def of_type(kind):
    """An OptType of a type of oslo_config.types, of a plain Python type, or of whatever is called."""
    from oslo_config import types
    if kind in (str, TEXT):
        return {"is": "string"}
    if kind in NUMBERS:
        return {"is": "integer"}
    if kind is float:
        return {"is": "float"}
    if kind is bool:
        return {"is": "boolean"}
    name = type(kind).__name__ if type(kind).__module__ == "oslo_config.types" else None
    if name in ("String", "MultiString"):
        choices = None
        if kind.choices is not None:
            choices = [None if c is None else text_of(c) for c in kind.choices]
        regex = kind.regex
        if regex is not None:
            pattern = text_of(regex.pattern)
            flags = regex.flags & ~re.UNICODE & ~(re.IGNORECASE if kind.ignore_case else 0)
            letters = "".join(c for c, f in (("i", re.I), ("m", re.M), ("s", re.S), ("x", re.X)) if flags & f)
            # Flags that the pattern states itself are among its flags too.
            if letters and not pattern.startswith(u"(?"):
                pattern = u"(?%s)%s" % (letters, pattern)
            regex = pattern
        return put({"is": "string"}, choices=choices, quotes=bool(kind.quotes), regex=regex,
                   ignore_case=bool(kind.ignore_case), max_length=kind.max_length or None)
    if name == "Boolean":
        return {"is": "boolean"}
    if name == "Float" or (name == "Number" and kind.num_type is float):
        return put({"is": "float"}, min=kind.min, max=kind.max)
    if name in ("Integer", "Number", "Port"):
        least, most = bound(kind.min), bound(kind.max)
        if name == "Port":
            least, most = (None if least == 0 else least), (None if most == 65535 else most)
        return put({"is": "port" if name == "Port" else "integer"}, min=least, max=most,
                   choices=integers(kind.choices))
    if name == "List":
        return put({"is": "list", "item": of_type(kind.item_type)}, bounds=bool(kind.bounds))
    if name == "Dict":
        separator = getattr(kind, "key_value_separator", ":")
        key = getattr(kind, "key_type", None)
        key = None if key is None or of_type(key) == {"is": "string"} else of_type(key)
        return put({"is": "dict", "value": of_type(kind.value_type)}, key=key, bounds=bool(kind.bounds),
                   separator=None if separator == ":" else text_of(separator))
    if name == "Range":
        return put({"is": "range"}, min=bound(kind.min), max=bound(kind.max), inclusive=bool(kind.inclusive))
    if name == "IPAddress":
        return put({"is": "ip_address"}, version=ip_version(kind.version_checker))
    if name == "URI":
        return put({"is": "uri"}, schemes=[text_of(s) for s in kind.schemes] if kind.schemes else None,
                   max_length=kind.max_length or None)
    if name == "Hostname":
        return {"is": "hostname"}
    if name in ("HostAddress", "HostDomain"):
        return put({"is": "host_address" if name == "HostAddress" else "host_domain"},
                   version=ip_version(kind.ip_address.version_checker))
    if isinstance(kind, types.Boolean):
        return {"is": "boolean"}
    return {"is": "other", "class": class_of(kind)}


class Unwritable(Exception):
    pass


def plain(value):
    """A value as JSON has it."""
    if value is None or isinstance(value, (bool, TEXT)):
        return value
    if isinstance(value, NUMBERS):
        return value if -2 ** 63 <= value < 2 ** 64 else text_of(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else text_of(value)
    if isinstance(value, (str, bytes)):
        return text_of(value)
    if isinstance(value, dict):
        return dict((text_of(k), plain(v)) for k, v in value.items())
    if isinstance(value, (set, frozenset)):
        return sorted((plain(v) for v in value), key=json.dumps)
    if isinstance(value, (list, tuple)) or hasattr(value, "__iter__"):
        return [plain(v) for v in value]
    text = text_of(value)
    if " at 0x" in text:
        raise Unwritable(text)
    return text


def default_of(opt, kind, default):
    """The default as the option's type reads it: some projects give a number as text, or text as a number."""
    if default is None:
        return None
    if isinstance(default, (str, TEXT)):
        if "$" in default or kind["is"] in ("string", "other", "uri", "hostname", "host_address", "host_domain",
                                            "ip_address"):
            return plain(default)
        try:
            return plain(opt.type(default))
        except Exception:
            return plain(default)
    if getattr(opt, "multi", False):
        return plain(default)
    value = plain(default)
    if kind["is"] == "string" and not isinstance(value, (list, dict)):
        return TEXT(value)
    if kind["is"] == "boolean" and not isinstance(value, bool):
        try:
            return bool(opt.type(value))
        except Exception:
            return value
    return value


class Machine(object):
    """Finds what is only true of this machine in defaults."""

    def __init__(self):
        paths = set([HOME, os.getcwd()])
        for directory in sys.path + [sys.prefix, getattr(sys, "base_prefix", sys.prefix), sys.exec_prefix]:
            if directory and directory not in ("/", "/usr"):
                paths.update([directory, os.path.realpath(directory)])
        self.texts = sorted(paths) + [HOST, USER, IPV4, IPV6]

    def shows_in(self, value):
        if isinstance(value, bool) or value is None:
            return False
        if isinstance(value, TEXT):
            return any(text in value for text in self.texts) or str(CORES) in value
        if isinstance(value, dict):
            return any(self.shows_in(k) or self.shows_in(v) for k, v in value.items())
        if isinstance(value, list):
            return any(self.shows_in(v) for v in value)
        # Some take half of the cores, some twice as many.
        return value >= CORES // 4 and value % CORES in (0, CORES // 2, CORES // 4, 1, CORES - 1) and value < 10 * CORES


class Asked(object):
    """In the place of the files: keeps what oslo.config asks for."""
    names = ()

    def _get_value(self, names, **_):
        self.names = names
        raise KeyError


def aliases_of(opt, group):
    """The old spellings in the order in which oslo.config looks for them, asked of its own lookup.

    That one fills in an absent group or name; a hyphenated name is looked for as it is, and with underscores.
    """
    asked = Asked()
    try:
        opt._get_from_namespace(asked, None if group == u"DEFAULT" else group)
    except KeyError:
        pass
    found, own = [], (group, text_of(opt.dest))
    for old_group, old_name in asked.names:
        spelling = (group_name(old_group), text_of(old_name))
        if spelling != own and spelling not in found:
            found.append(spelling)
    return [{"group": old_group, "name": old_name} for old_group, old_name in found]


def of_opt(opt, group, machine):
    kind = of_type(opt.type)
    entry = {"group": group, "name": text_of(opt.dest), "in": 1, "type": kind}
    try:
        default = default_of(opt, kind, opt.default)
    except Unwritable as error:
        say("default of %s.%s: %s" % (group, opt.dest, error))
        default, entry["machine_default"] = HOST_DEPENDENT, True
    if machine.shows_in(default):
        sample = getattr(opt, "sample_default", None)
        try:
            default = HOST_DEPENDENT if sample is None else plain(sample)
        except Unwritable:
            default = HOST_DEPENDENT
        if machine.shows_in(default):
            default = HOST_DEPENDENT
        entry["machine_default"] = True
    if default is not None:
        entry["default"] = default
    registered = text_of(opt.name)
    if registered.replace("-", "_") != entry["name"]:
        entry["registered_name"] = registered
    put(entry, multi=bool(getattr(opt, "multi", False)), secret=bool(opt.secret), required=bool(opt.required),
        mutable=bool(getattr(opt, "mutable", False)), aliases=aliases_of(opt, group) or None)
    if opt.deprecated_for_removal:
        since = getattr(opt, "deprecated_since", None)
        entry["removal"] = put({}, since=text_of(since) if since else None)
    return entry


def is_for_files(opt):
    # Subcommands, positional arguments and the names of the files themselves exist on command lines only.
    named = type(opt).__name__ in ("SubCommandOpt", "_ConfigFileOpt", "_ConfigDirOpt")
    return not named and not getattr(opt, "positional", False)
