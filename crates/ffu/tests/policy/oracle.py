# Answers questions about policy files with the oslo.policy of its own environment, one JSON object a line, from Pike's on
# Python 2.7 to the newest.
import io
import json
import logging
import os
import sys
import tempfile
import warnings

warnings.simplefilter('ignore')
logging.disable(logging.CRITICAL)

from oslo_config import cfg
from oslo_policy import _checks, _parser, policy


def text(check):
    # Up to 2025.2 a lone word is handed on as it is; it ends every request with a TypeError, which denies.
    return str(check) if isinstance(check, _checks.BaseCheck) else '!'


def rule(wanted):
    old = wanted.get('old')
    arguments = {}
    if old:
        try:
            arguments['deprecated_rule'] = policy.DeprecatedRule(
                old['name'], old['check'], deprecated_reason='r', deprecated_since='s')
        except TypeError:
            arguments['deprecated_rule'] = policy.DeprecatedRule(old['name'], old['check'])
            arguments.update(deprecated_reason='r', deprecated_since='s')
    if wanted.get('removal'):
        arguments.update(deprecated_for_removal=True, deprecated_reason='r', deprecated_since='s')
    return policy.RuleDefault(wanted['name'], wanted['check'], **arguments)


def load(question):
    # As `_cache_handler` hands it on: bytes in Python 2.
    data = question['text'].encode('utf-8') if sys.version_info[0] == 2 else question['text']
    rules = policy.Rules.load(data)
    return {'rules': [[str(k) if not isinstance(k, type(u'')) else k, text(v), isinstance(k, (str, type(u'')))]
                      for k, v in rules.items()]}


def effective(question):
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, 'policy.yaml')
    try:
        with io.open(path, 'w', encoding='utf-8') as out:
            out.write(question['text'])
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        enforcer = policy.Enforcer(conf, policy_file=path)
        conf.set_override('policy_dirs', [], group='oslo_policy')
        if 'enforce_new_defaults' in conf.oslo_policy:
            conf.set_override('enforce_new_defaults', question['new_defaults'], group='oslo_policy')
        for wanted in question['rules']:
            if wanted.get('old') and not hasattr(policy, 'DeprecatedRule'):
                wanted.pop('old')
            if not hasattr(policy, 'DeprecatedRule'):
                wanted.pop('removal', None)
            enforcer.register_default(rule(wanted))
        enforcer.load_rules(True)
        return {'rules': [[k, text(v), True] for k, v in enforcer.rules.items() if isinstance(k, (str, type(u'')))]}
    finally:
        if os.path.exists(path):
            os.unlink(path)
        os.rmdir(directory)


while True:
    line = sys.stdin.readline()
    if not line:
        break
    question = json.loads(line)
    try:
        answer = {'load': load, 'effective': effective}[question['ask']](question)
    except Exception as error:
        answer = {'error': '%s: %s' % (type(error).__name__, error)}
    sys.stdout.write(json.dumps(answer) + '\n')
    sys.stdout.flush()
