# How a command of crate::warm ends: as a plain process does, but without the work that nobody sees. Stands before server.py.
import atexit
import gc
import os
import sys

exit_now = os._exit


def harmless(kind):
    """Whether what a destructor of this type does, the kernel does at the end of a process: closing descriptors."""
    return kind.__module__.startswith(('pymysql.', 'socket', 'ssl', 'eventlet.greenio.', 'oslo_log.pipe_mutex', 'keystoneauth1.session'))


def leave(code):
    """Ends as an interpreter ends, but does not take apart what was imported: nobody sees that, and it would first copy most of
    the memory that is shared with the node. Returns where the interpreter had better do all of it."""
    if not hasattr(gc, 'freeze'):
        return  # 2.7 and 3.6
    try:
        threading = sys.modules.get('threading')
        if threading is not None:
            threading._shutdown()
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
    """Does what destructors of the command's own objects would do; False if it is not known of one what that is."""
    objects = gc.get_objects()
    # By type: there may be a hundred thousand of them. Not io.IOBase, which looks at every type in Python.
    kinds = set(map(type, objects))
    files = set(kind for kind in kinds if issubclass(kind, sys.modules['_io']._IOBase))
    if any(hasattr(kind, '__del__') and not harmless(kind) for kind in kinds - files):
        return False
    for held in objects:
        # What was written to a file that nobody closed.
        if type(held) in files and not held.closed:
            held.flush()
    return True
