#!/usr/bin/env python
"""Dumps the options and policy rules of one service of one series, as JSON, from the packages of this interpreter.

    PYTHON dump.py SERVICE SERIES > dump.json

Runs in the environment of the service, so on every Python from 2.7 to 3.14 and with nothing but that environment.
`Opt` objects are read as they are registered, before anything is rendered: oslo.config's own generator leaves out
ignore_case, regex, max_length, item types and bounds, and hyphenated deprecated names. Help texts and reasons are not
taken. What it says besides (options defined twice, namespaces that fail) goes to standard error.

The format is that of `ServiceOptions` in crates/ffu-catalog/src/options/types.rs, with one series.
"""
from __future__ import print_function

import copy
import io
import json
import os
import sys

# The packages of the service come first: nothing beside this file may be taken for one of them.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path = [HERE] + [p for p in sys.path if os.path.abspath(p or ".") != HERE]

from dump_environment import (canonical, disguise, distributions, entry_points, failing, is_gone, load, say,  # noqa: E402
                              stand_in)
from dump_values import Machine, TEXT, group_name, is_for_files, of_opt, put, text_of  # noqa: E402

sys.path.remove(HERE)


class Options(object):
    """All options of the service. The namespaces are in the order of its own sample; the first definition counts."""

    def __init__(self, machine):
        self.machine, self.found, self.twice = machine, {}, []

    def add(self, opt, group, where):
        if not is_for_files(opt):
            return
        entry = of_opt(opt, group_name(group), self.machine)
        key = (entry["group"], entry["name"])
        known = self.found.setdefault(key, entry)
        if known is not entry and known != entry:
            for old in entry.get("aliases", []):
                if old not in known.setdefault("aliases", []):
                    known["aliases"].append(old)
            if not known.get("aliases"):
                known.pop("aliases", None)
            different = sorted(k for k in set(known) | set(entry)
                               if k != "aliases" and known.get(k) != entry.get(k))
            if different:
                self.twice.append("%s.%s (%s) in %s" % (key[0], key[1], " ".join(different), where))

    def add_listed(self, namespace, listed):
        if hasattr(listed, "items"):
            listed = listed.items()
        for group, opts in listed:
            if hasattr(opts, "name") and hasattr(opts, "dest"):
                opts = [opts]
            for opt in opts:
                self.add(opt, group, namespace)

    def add_registered(self, conf):
        """What modules registered when they were imported and no entry point lists."""
        before = set(self.found)
        registered = [(None, info) for info in conf._opts.values()]
        for name, group in list(conf._groups.items()):
            registered += [(name, info) for info in group._opts.values()]
        for group, info in registered:
            opt = info["opt"]
            if "default" in info and is_for_files(opt):
                # set_default: ironic gives the clients of other services their own.
                opt = copy.copy(opt)
                opt.default = info["default"]
            self.add(opt, group, "registered")
            key = (group_name(group), opt.dest)
            if key in self.found:
                # What a namespace lists may be a copy that has not got the service's own default.
                entry = of_opt(opt, key[0], self.machine)
                for part in ("default", "machine_default"):
                    if part in entry:
                        self.found[key][part] = entry[part]
                    else:
                        self.found[key].pop(part, None)
        more = sorted(set(self.found) - before)
        if more:
            say("%d more were registered than listed: %s" % (len(more), " ".join(".".join(k) for k in more[:40])))


def add_reserved(found, reserved):
    """Groups of fixed names that get their options when the service starts: glance's two stores of its own."""
    if reserved is None or (reserved["like"], reserved["options"][0]) not in found:
        return
    for group in reserved["groups"]:
        for name in reserved["options"]:
            if (reserved["like"], name) in found:
                entry = dict(found[reserved["like"], name], group=group)
                if name == reserved["directory"][0]:
                    entry["default"] = reserved["directory"][1] + group
                found.setdefault((group, name), entry)


def auth_plugins(machine):
    try:
        from keystoneauth1 import loading
        from keystoneauth1.loading import base
    except ImportError:
        return []
    found = []
    for name in sorted(base.get_available_plugin_names()):
        try:
            opts = loading.get_auth_plugin_conf_options(name)
        except Exception as error:
            say("plugin %s: %s" % (name, error))
            continue
        options, seen = [], set()
        for opt in opts:
            entry = of_opt(opt, "", machine)
            if entry["name"] not in seen:
                seen.add(entry["name"])
                options.append(entry)
        if options:
            options.sort(key=lambda entry: entry["name"])
            found.append({"name": text_of(name), "options": options})
    return found

def of_rule(rule):
    entry = {"name": text_of(rule.name), "in": 1, "check": text_of(rule.check_str)}
    scopes = getattr(rule, "scope_types", None)
    if scopes:
        entry["scopes"] = [text_of(s) for s in scopes]
    old = getattr(rule, "deprecated_rule", None) or None
    if old is not None:
        since = getattr(old, "deprecated_since", None) or getattr(rule, "deprecated_since", None)
        entry["predecessor"] = put({"name": text_of(old.name), "check": text_of(old.check_str)},
                                   since=text_of(since) if since else None)
    if getattr(rule, "deprecated_for_removal", False):
        since = getattr(rule, "deprecated_since", None)
        entry["removal"] = put({}, since=text_of(since) if since else None)
    return entry


def policy_of(service, points):
    """(rules, whether they are from a file)."""
    rules = {}
    for namespace in service["policy"]:
        if namespace not in points:
            continue
        try:
            listed = load(points[namespace])()
        except ImportError as error:
            # neutron-lib's entry point names a module that is not in its package in some releases.
            if namespace == service["policy"][0]:
                raise
            say("policy namespace %s failed: %s" % (namespace, error))
            continue
        for rule in listed:
            rules.setdefault(text_of(rule.name), of_rule(rule))
    if rules:
        return [rules[name] for name in sorted(rules)], False
    for pattern in service.get("policy_files", []):
        for top in sorted(set([sys.prefix] + sys.path)):
            path = os.path.join(top, pattern)
            if os.path.isfile(path):
                with io.open(path, encoding="utf-8") as text:
                    listed = json.loads(text.read())
                say("policy from the file %s" % pattern)
                # An empty list is the old spelling of "always allowed", a list of lists that of "or" and "and".
                return [{"name": name, "in": 1, "check": check if isinstance(check, TEXT) else json.dumps(check)}
                        for name, check in sorted(listed.items())], True
    # Packages of that time need not ship the file either.
    return [], bool(service.get("policy_files"))


def dump(name, series):
    with io.open(os.path.join(HERE, "services.json"), encoding="utf-8") as text:
        service = json.loads(text.read())[name]
    installed = distributions()
    package = service.get("package", name)
    if canonical(package) not in installed:
        package = service.get("older_package", package)
    if canonical(package) not in installed:
        sys.exit("dump: %s is not installed in this environment" % package)
    version = installed[canonical(package)][0]
    stand_in(service.get("stand_ins", []))
    disguise()
    from oslo_config import cfg
    points = entry_points(installed, "oslo.config.opts")
    hooks = entry_points(installed, "oslo.config.opts.defaults")
    namespaces = [n for n in service["namespaces"] if n in points]
    own = [n for n in namespaces if n in service["own"]]
    if not own:
        sys.exit("dump: none of the namespaces %s is there" % " ".join(service["own"]))
    # All are imported before a hook is called: hooks set defaults of options that other modules register.
    listers = []
    for namespace in namespaces:
        if is_gone(points[namespace]):
            say("namespace %s: its package does not have %s" % (namespace, points[namespace]))
            continue
        with failing(namespace, points[namespace]):
            listers.append((namespace, load(points[namespace])))
    for namespace in namespaces:
        if namespace in hooks:
            with failing(namespace, hooks[namespace]):
                load(hooks[namespace])()
    machine = Machine()
    options = Options(machine)
    for namespace, lister in listers:
        with failing(namespace, points[namespace]):
            options.add_listed(namespace, lister())
    for module in service.get("modules", []):
        try:
            __import__(module)
        except ImportError:
            continue
    for call in service.get("dynamic", []):
        # Group names that hold a value, with a place holder for the value.
        try:
            register = load(call["call"])
            for group, option in call["set"]:
                cfg.CONF.set_override(option, ["{name}"], group=group)
            register(cfg.CONF)
            for group, option in call["set"]:
                cfg.CONF.clear_override(option, group=group)
        except (ImportError, AttributeError, cfg.NoSuchOptError, cfg.NoSuchGroupError):
            continue
    options.add_registered(cfg.CONF)
    for entry in service.get("extra", []):
        options.found.setdefault((entry["group"], entry["name"]), entry)
    add_reserved(options.found, service.get("reserved"))
    for line in options.twice:
        say("twice: " + line)
    rules, from_file = policy_of(service, entry_points(installed, "oslo.policy.policies"))
    return {
        "format": 1,
        "service": name,
        "series": [series],
        "versions": {series: version},
        "policy_files": [series] if from_file else [],
        "dynamic_groups": service.get("dynamic_groups", []),
        "options": [options.found[key] for key in sorted(options.found)],
        "auth_plugins": auth_plugins(machine) if service.get("auth_plugins", True) else [],
        "policy": rules,
    }


def main(arguments):
    if len(arguments) < 2:
        sys.exit(__doc__)
    # Packages print when they are imported; standard output has the dump alone.
    out = os.dup(1)
    os.dup2(2, 1)
    found = dump(arguments[0], arguments[1])
    text = json.dumps(found, sort_keys=True, indent=1, ensure_ascii=True)
    with os.fdopen(out, "wb") as file:
        file.write(text.encode("ascii") + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
