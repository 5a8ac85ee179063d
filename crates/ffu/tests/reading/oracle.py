"""What the real oslo.config makes of files: one case a line in, one answer a line out. Python 2.7 and 3.6 to 3.13.

A case is {"files": [hex, ...], "options": [option as in the catalog, ...], "env": {name: text}}; an answer
{"parse": null or {"file", "line", "message"}, "sections": [[[group, key, [value, ...]], ...] a file],
 "values": [["ok", value] or ["error", kind], ...]}.
"""
import binascii
import json
import os
import shutil
import sys
import tempfile
import traceback

from oslo_config import cfg, types

OLD = sys.version_info[0] == 2


def native(value):
    """Python 2 programs write their defaults as bytes."""
    if not OLD:
        return value
    if isinstance(value, type(u"")):
        return value.encode("utf-8")
    if isinstance(value, list):
        return [native(item) for item in value]
    if isinstance(value, dict):
        return dict((native(key), native(item)) for key, item in value.items())
    return value


def kind(spec):
    spec = dict(spec)
    name = spec.pop("is")
    if name == "list":
        return types.List(kind(spec["item"]), bounds=spec.get("bounds", False))
    if name == "dict":
        more = {"key_value_separator": str(spec["separator"])} if "separator" in spec else {}
        return types.Dict(kind(spec["value"]), bounds=spec.get("bounds", False), **more)
    if name == "other":
        return lambda value: value
    classes = {
        "string": "String", "boolean": "Boolean", "integer": "Integer", "float": "Float", "port": "Port",
        "range": "Range", "ip_address": "IPAddress", "uri": "URI", "hostname": "Hostname",
        "host_address": "HostAddress", "host_domain": "HostDomain",
    }
    if name == "range":
        spec.setdefault("inclusive", False)
    return getattr(types, classes[name])(**dict((str(key), native(value)) for key, value in spec.items()))


def option(spec):
    old = [
        cfg.DeprecatedOpt(native(alias["name"]), group=native(alias["group"]) if alias["group"] != spec["group"] else None)
        for alias in spec.get("aliases", [])
    ]
    name = native(spec["name"])
    arguments = {"default": native(spec.get("default")), "deprecated_opts": old}
    if "registered_name" in spec:
        name, arguments["dest"] = native(spec["registered_name"]), name
    if spec.get("multi"):
        return cfg.MultiOpt(name, item_type=kind(spec["type"]), **arguments)
    return cfg.Opt(name, type=kind(spec["type"]), **arguments)


def text(value):
    if isinstance(value, bytes) and not isinstance(value, type(u"")):
        return value.decode("utf-8", "replace")
    return value


def shown(value):
    if value is None:
        return ["none"]
    if isinstance(value, bool):
        return ["bool", value]
    if isinstance(value, float):
        return ["float", repr(value)]
    if type(value).__name__ in ("int", "long"):
        return ["int", "%d" % value]
    if isinstance(value, (bytes, type(u""))):
        return ["text", text(value)]
    if isinstance(value, (list, tuple)):
        return ["list", [shown(item) for item in value]]
    if isinstance(value, dict):
        return ["dict", sorted([text(key), shown(item)] for key, item in value.items())]
    if type(value).__name__ in ("range", "xrange"):
        return ["range", ["%d" % value[0], "%d" % value[-1]] if value else []]
    return ["strange", repr(value)]


def failure(error):
    if isinstance(error, cfg.NoSuchOptError):
        return "option"
    if isinstance(error, cfg.NoSuchGroupError):
        return "group"
    if isinstance(error, cfg.TemplateSubstitutionError):
        return "whole group"
    if isinstance(error, RuntimeError):
        return "depth"
    return "value"


def answer(case, directory):
    paths = []
    for number, content in enumerate(case["files"]):
        paths.append(os.path.join(directory, "%d.conf" % number))
        with open(paths[-1], "wb") as file:
            file.write(binascii.unhexlify(content))
    conf = cfg.ConfigOpts()
    wanted = []
    for spec in case["options"]:
        group = None if spec["group"] == "DEFAULT" else native(spec["group"])
        conf.register_opt(option(spec), group=group)
        wanted.append((group, native(spec["name"])))
    env = dict((native(name), native(value)) for name, value in case["env"].items())
    os.environ.update(env)
    try:
        return read(conf, paths, wanted)
    finally:
        for name in env:
            os.environ.pop(name, None)


class Positioned(cfg.ConfigParser):
    """Nothing but the parser: what it raises, with the line that oslo.config puts into words only."""


def parsed(path):
    sections, normalized = {}, {}
    parser = Positioned(path, sections)
    parser._add_normalized(normalized)
    parser.parse()
    return sections, normalized


def read(conf, paths, wanted):
    files = []
    for number, path in enumerate(paths):
        try:
            normalized = parsed(path)[1]
        except cfg.iniparser.ParseError as error:
            return {"parse": {"file": number, "line": error.lineno, "message": error.msg}}
        except UnicodeError:
            return {"parse": {"file": number, "line": 0, "message": "unicode"}}
        files.append(sorted(
            [text(group), text(key), [text(value) for value in values]]
            for group, keys in normalized.items() for key, values in keys.items()
        ))
    conf(args=[], default_config_files=paths, default_config_dirs=[])
    values = []
    for group, name in wanted:
        try:
            value = conf._get(name, conf._get_group(group) if group else None)
            values.append(["ok", shown(value)])
        except Exception as error:  # every kind is an answer
            values.append(["error", failure(error)])
    return {"parse": None, "sections": files, "values": values}


def main():
    directory = tempfile.mkdtemp()
    try:
        while True:
            line = sys.stdin.readline()
            if not line:
                break
            try:
                made = answer(json.loads(line), directory)
            except Exception:  # the program that asks shows it
                made = {"parse": {"file": -1, "line": 0, "message": traceback.format_exc()}}
            sys.stdout.write(json.dumps(made) + "\n")
            sys.stdout.flush()
    finally:
        shutil.rmtree(directory)


main()
