# How a command of crate::warm ends: as a plain process does, but without the work that nobody sees. Stands before server.py.
import atexit
import gc
import os
import sys

exit_now = os._exit


# Types of which the kernel does at the end of a process what the destructor does: closing descriptors.
HARMLESS = set(['pymysql.connections.Connection', 'pymysql.connections.MySQLResult',
                'socket.socket', 'socket.SocketIO', 'ssl.SSLSocket', 'http.client.HTTPResponse',
                'eventlet.greenio.base.GreenSocket', 'eventlet.green.ssl.GreenSSLSocket', 'keystoneauth1.session.Session',
                # Warns, if that is asked for by name, of a rule that was never filled in.
                'pyparsing.core.Forward', 'pkg_resources._vendor.pyparsing.core.Forward', 'setuptools._vendor.pyparsing.core.Forward',
                'oslo_log.pipe_mutex.PipeMutex', 'oslo_log.pipe_mutex._ReallyPipeMutex', 'oslo_log.pipe_mutex._AsyncioMutex'])
# What is known of objects that are frozen, which nobody can list any more.
FROZEN = {'files': [], 'plain': True}


def sort_out(objects, harmless):
    """The files among them, and whether no other one has a destructor that may do something."""
    # By type: there may be a hundred thousand of them. Not io.IOBase, which looks at every type in Python; a file that others
    # made out of it, such as a compressed one, writes more when it is closed.
    base = sys.modules['_io']._IOBase
    kinds = set(map(type, objects))
    files = set(kind for kind in kinds if issubclass(kind, base) and kind.__module__ == '_io')
    others = [kind for kind in kinds - files if hasattr(kind, '__del__')]
    plain = all('%s.%s' % (kind.__module__, kind.__name__) in harmless for kind in others)
    return [held for held in objects if type(held) in files], plain


def freeze():
    """What is there now is not looked at by the collector any more, so that a fork does not copy it."""
    gc.collect()
    if hasattr(gc, 'freeze'):
        # A generator that an import has left half way has nothing to clean up.
        files, plain = sort_out(gc.get_objects(), HARMLESS | set(['builtins.generator']))
        FROZEN['files'] += files
        FROZEN['plain'] = FROZEN['plain'] and plain
        gc.freeze()


def leave(code):
    """Ends as an interpreter ends, but does not take apart what was imported: nobody sees that, and it would first copy most of
    the memory that is shared with the node. Returns where the interpreter had better do all of it."""
    if not hasattr(gc, 'freeze'):
        return  # 2.7 and 3.6
    try:
        threading = sys.modules.get('threading')
        if threading is not None:
            threading._shutdown()
            # Not twice, if the interpreter ends it.
            threading._shutdown = lambda: None
        try:
            atexit._run_exitfuncs()
        except BaseException:
            pass  # it was printed; up to 3.9 the last one is raised again
        if settle():
            sys.stdout.flush()
            sys.stderr.flush()
            exit_now(code)
    except BaseException:
        pass
    melt()


def melt():
    """What is frozen would not be taken apart by the interpreter, nor what it holds: files that nobody closed."""
    if hasattr(gc, 'unfreeze'):
        gc.unfreeze()


def settle():
    """Writes what was written to files that nobody closed; False if a destructor might do more than that."""
    files, plain = sort_out(gc.get_objects(), HARMLESS)
    if not plain or not FROZEN['plain']:
        return False
    for held in FROZEN['files'] + files:
        if not held.closed:
            held.flush()
    return True
