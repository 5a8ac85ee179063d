"""Asks the real oslo.config of this environment for the values of options in a set of files.

    python verify.py DIRECTORY < question.json > answer.json

DIRECTORY holds dump.py and services.json, which know where a service's options are. The question is
{"service", "series", "files": [TEXT, ...], "names": [[GROUP, NAME], ...]}, the answer {"values": [ANSWER, ...]} with
["is", VALUE], ["refused", WHY] or ["absent"] for each name. Runs on Python 2.7 to 3.14.
"""
from __future__ import print_function

import copy
import io
import json
import os
import sys

DIRECTORY = sys.argv[1]
sys.path.insert(0, DIRECTORY)
out = os.dup(1)
os.dup2(2, 1)
question = json.loads(io.open(0, encoding="utf-8").read())
import dump  # noqa: E402
dump.HERE = DIRECTORY

live = []
add = dump.Options.add


def keep(self, opt, group, where):
    live.append((dump.group_name(group), opt))
    add(self, opt, group, where)


dump.Options.add = keep
dump.dump(question["service"], question["series"])

from oslo_config import cfg  # noqa: E402

paths = []
for at, text in enumerate(question["files"]):
    path = os.path.join(DIRECTORY, "%05d.conf" % at)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode("utf-8"))
    paths.append(path)

try:
    conf = cfg.ConfigOpts()

    def register(opt, group):
        # Whether a required option is missing is not the question.
        opt = copy.copy(opt)
        opt.required = False
        try:
            conf.register_opt(opt, group=None if group == "DEFAULT" else group)
        except (cfg.DuplicateOptError, ValueError):
            pass

    for group, opt in live:
        if dump.is_for_files(opt):
            register(opt, group)
    arguments = dict(project="ffu-verify", default_config_files=paths)
    try:
        conf([], default_config_dirs=[], use_env=False, **arguments)
    except TypeError:
        # Before Stein there is no environment, before Rocky there are no default directories.
        try:
            conf([], default_config_dirs=[], **arguments)
        except TypeError:
            conf([], **arguments)
    # keystoneauth registers a plugin's options when the service loads the plugin that its group names.
    try:
        from keystoneauth1 import loading
    except ImportError:
        loading = None
    for group in sorted(set(g for g, _ in live)):
        for name in ("auth_type", "auth_plugin"):
            try:
                plugin = getattr(conf if group == "DEFAULT" else getattr(conf, group), name)
                options = loading.get_auth_plugin_conf_options(plugin) if loading and plugin else []
            except Exception:
                continue
            for opt in options:
                register(opt, group)
    values = []
    for group, name in question["names"]:
        try:
            value = getattr(conf if group == "DEFAULT" else getattr(conf, group), name)
        except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
            values.append(["absent"])
            continue
        except Exception as error:
            values.append(["refused", type(error).__name__])
            continue
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            value = dump.text_of(str(value))
        values.append(["is", value])
finally:
    for path in paths:
        os.unlink(path)
with os.fdopen(out, "wb") as file:
    file.write(json.dumps({"values": values}).encode("ascii") + b"\n")
