# What crate::warm knows of the libraries that projects use: what of their state a fork must not have from the process that
# imported them. Stands before server.py.
import gc
import sys

THRESHOLD = gc.get_threshold()


def command_line():
    """Whether imports have registered positional arguments with the configuration that all share."""
    registered = getattr(getattr(sys.modules.get('oslo_config.cfg'), 'CONF', None), '_cli_opts', None) or []
    options = [held['opt'] if isinstance(held, dict) else held for held in registered]
    return any(getattr(option, 'positional', False) or type(option).__name__ == 'SubCommandOpt' for option in options)


def hub_is_idle():
    """Some versions of eventlet make their event loop while they are imported; it may be replaced if nothing waits in it."""
    hub = getattr(getattr(sys.modules.get('eventlet.hubs'), '_threadlocal', None), 'hub', None)
    return hub is not None and not (any(hub.listeners.values()) or hub.timers or hub.next_timers)


def freshen():
    """What an import derives from the environment, or must not be shared between commands."""
    if 'random' in sys.modules:
        sys.modules['random'].seed()
    hubs = sys.modules.get('eventlet.hubs')
    if hubs is not None and hasattr(getattr(hubs, '_threadlocal', None), 'hub'):
        # Its queue of events would be shared with every other command; oslo.service does the same after a fork.
        hubs.use_hub()
    if gc.get_threshold() == THRESHOLD:
        # The interpreter's own, made for programs that run long, takes a good part of a short command's time. Garbage in cycles is
        # still found: some megabytes of it at most wait for that.
        gc.set_threshold(50000, *THRESHOLD[1:])
    pymysql = sys.modules.get('pymysql.connections')
    if hasattr(pymysql, 'DEFAULT_USER'):
        # Of the environment, and asked for when it is imported.
        try:
            import getpass
            pymysql.DEFAULT_USER = getpass.getuser()
        except Exception:
            pymysql.DEFAULT_USER = None
    # stevedore keeps a cache of entry points under HOME.
    cache = sys.modules.get('stevedore._cache')
    kept = getattr(cache, '_c', None)
    if kept is not None and hasattr(kept, '_dir'):
        kept._dir = cache.Cache()._dir
