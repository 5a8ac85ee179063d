# The other end of crate::warm: a process of a hop environment that has imported what commands need, and forks them.
#
# Read by the interpreter of the environment, Python 2.7 to 3.13, from its standard input. Only modules that the
# interpreter has loaded anyway, or that are written in C and hold no state, are imported here: a project that
# monkey-patches the standard library must find it as a fresh interpreter would have it.
#
# Every process here (a node) has one link to ffu, a connection to the abstract socket ("door") it was told of, and on it
# one JSON object a line, both ways. A node does what it is asked:
#   {"do": "node", "door": D, "modules": [...], "programs": [...], "also": [...], "rest": DIR}   fork one that imports more, and
#                                                                                  whose memory then rests in a file there, if asked
#   {"do": "command", "door": D}                                                    fork one that will be a command
#   {"do": "reap", "pid": P}                                                        say how a child ended
# and ends when its link or its parent does. A command does not: only its process group ends it, as in a plain run.
import atexit
import binascii
import errno
import fcntl
import json
import os
import sys
import time

import _socket

VERSION = 1
# A project may replace these when it monkey-patches; a node must not land in an event loop.
fork, read, write, waitpid, sleep = os.fork, os.read, os.write, os.waitpid, time.sleep
PY2 = sys.version_info[0] == 2
# Links stand where no program looks for its own descriptors.
HIGH = 200
LOCK_PATIENCE = 2.0
# Of a command that was never given the word; no success, whoever sees it.
NOT_BEGUN = 70


class Refused(Exception):
    pass


class Spoilt(Exception):
    """A program cannot share a process with the one before it."""


def native(value):
    """Text as this Python's own str, all the way down."""
    if isinstance(value, dict):
        return dict((native(key), native(held)) for key, held in value.items())
    if isinstance(value, list):
        return [native(held) for held in value]
    if PY2 and not isinstance(value, (str, int, float, type(None))):
        return value.encode('utf-8')
    return value


class Arguments(list):
    """sys.argv while modules are imported. A piece of it that one keeps, such as `def main(argv=sys.argv[1:])` in
    oslo.upgradecheck, becomes what it would have been when the arguments are known."""

    kept = []

    def __getitem__(self, index):
        piece = list.__getitem__(self, index)
        if isinstance(index, slice):
            self.kept.append((index, piece))
        return piece

    def __getslice__(self, start, end):
        return self[slice(start, end)]

    def become(self, arguments):
        self[:] = arguments
        for index, piece in self.kept:
            piece[:] = arguments[index]
        sys.argv = list(arguments)


ARGUMENTS = Arguments([''])


class Link(object):
    def __init__(self, door):
        end = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        end.connect(b'\0' + door.encode('ascii'))
        self.fd = fcntl.fcntl(end.fileno(), fcntl.F_DUPFD, HIGH)
        fcntl.fcntl(self.fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        end.close()
        self.rest = b''

    def say(self, **fields):
        data = (json.dumps(fields) + '\n').encode('ascii')
        while data:
            data = data[write(self.fd, data):]

    def hello(self, **fields):
        self.say(ffu_warm=VERSION, pid=os.getpid(), python='%d.%d.%d' % sys.version_info[:3], **fields)

    def hear(self):
        """The next request, or None when ffu has gone."""
        while b'\n' not in self.rest:
            try:
                data = read(self.fd, 65536)
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                return None
            if not data:
                return None
            self.rest += data
        line, self.rest = self.rest.split(b'\n', 1)
        return native(json.loads(line.decode('utf-8')))

    def close(self):
        os.close(self.fd)


class Libc(object):
    """What Python has no words for."""

    def __init__(self):
        import ctypes
        self.ctypes = ctypes
        self.lib = ctypes.CDLL(None, use_errno=True)

    def die_with(self, parent):
        self.lib.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
        if os.getppid() != parent:
            exit_now(0)

    def priority(self):
        return self.lib.getpriority(0, 0)

    def prioritise(self, priority):
        if self.lib.setpriority(0, 0, priority) != 0:
            raise Refused('the priority cannot be set to %d' % priority)

    def name(self, name):
        self.lib.prctl(15, self.ctypes.c_char_p(name.encode('utf-8')[:15]), 0, 0, 0)  # PR_SET_NAME

    def memory_file(self):
        fd = self.lib.memfd_create(b'ffu-warm', 1)  # MFD_CLOEXEC
        if fd < 0:
            raise Refused('no memfd_create here')
        return fd

    def library(self, content):
        """A shared library that is in no file."""
        fd = self.memory_file()
        try:
            while content:
                content = content[write(fd, content):]
            return self.ctypes.CDLL('/proc/self/fd/%d' % fd, use_errno=True)
        finally:
            os.close(fd)


def point(source, *targets):
    for target in targets:
        os.dup2(source, target)


def quiet():
    null = os.open('/dev/null', os.O_RDWR)
    point(null, 0, 1, 2)
    if null > 2:
        os.close(null)


class Program(object):
    """A console script: what it imports, and the whole of it."""

    def __init__(self, path):
        self.path = path
        with open(path, 'rb') as script:
            source = script.read()
        if not source.startswith(('#!%s\n' % sys.executable).encode('utf-8')):
            raise Refused('%s is for another interpreter than %s' % (path, sys.executable))
        self.whole = compile(source, path, 'exec', 0, True)
        tree = compile(source, path, 'exec', 1024, True)  # PyCF_ONLY_AST
        kinds = [type(statement).__name__ for statement in tree.body]
        guard = tree.body[-1] if kinds and kinds[-1] == 'If' else None
        known = guard is not None and getattr(getattr(guard.test, 'left', None), 'id', None) == '__name__'
        if not known or set(kinds[:-1]) - set(['Import', 'ImportFrom']):
            raise Refused('%s is no console script of the known form' % path)
        tree.body = tree.body[:-1]
        self.imports = compile(tree, path, 'exec', 0, True)

    def main(self):
        """The __main__ module as the interpreter would make it for this script."""
        space = sys.modules['__main__'].__dict__
        for name in list(space):
            if not (name.startswith('__') and name.endswith('__')):
                del space[name]
        space['__file__'] = self.path
        if not PY2:
            from importlib.machinery import SourceFileLoader
            space['__loader__'] = SourceFileLoader('__main__', self.path)
            space['__cached__'] = None
        ARGUMENTS[:] = [self.path]
        sys.path[0] = os.path.dirname(self.path)
        return space


def descriptors():
    found = {}
    for name in os.listdir('/proc/self/fd'):
        try:
            found[int(name)] = os.readlink('/proc/self/fd/' + name)
        except OSError:
            pass  # the listing's own
    return found


def size(printed):
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fstat(printed).st_size


def threads():
    return len(os.listdir('/proc/self/task'))


# Whatever ffu itself was given, a plain process would inherit, too.
INHERITED = descriptors()


class Node(object):
    def __init__(self, libc, link):
        self.libc, self.link = libc, link
        # Loaded before anything is forked, so that it lies in the memory that all share.
        try:
            self.library, self.no_library = libc.library(binascii.unhexlify(REST_LIBRARY)), ''
        except Exception as error:
            self.library, self.no_library = None, '%s' % error
        self.programs = {}
        # What importing printed; a plain run prints it first, too.
        self.printed = b''
        self.umask = os.umask(0o022)
        os.umask(self.umask)
        self.priority = libc.priority()

    def work(self):
        """Until ffu goes away, or this has become a command: then what to do is returned."""
        while True:
            request = self.link.hear()
            if request is None:
                exit_now(0)
            do = request.get('do')
            if do == 'reap':
                self.reap(request['pid'])
                continue
            if do not in ('node', 'command'):
                self.link.say(failed='unknown request')
                continue
            own = os.getpid()
            pid = fork()
            if pid:
                self.link.say(forked=pid)
                continue
            self.link.close()
            if do == 'node':
                self.grow(request, own)
            else:
                return self.command(request)

    def reap(self, pid):
        try:
            self.link.say(status=waitpid(pid, 0)[1])
        except OSError as error:
            self.link.say(failed='%s' % error)

    def grow(self, request, parent):
        self.libc.die_with(parent)
        self.link = Link(request['door'])
        try:
            if may_hurry_again():
                self.libc.prioritise(min(self.priority + 10, 19))
            self.load(request)
            self.check()
        except Spoilt as error:
            self.link.hello(spoilt=str(error))
            exit_now(0)
        except Exception as error:
            self.link.hello(failed=('%s: %s' % (type(error).__name__, error))[:500])
            exit_now(0)
        freeze()
        fields = self.rest(request['rest']) if request.get('rest') else {}
        patcher = sys.modules.get('eventlet.patcher')
        patched = bool(patcher and patcher.already_patched)
        self.link.hello(patched=patched, printed=self.printed[:100000].decode('latin-1'), holds=sorted(self.programs), **fields)

    def rest(self, directory):
        try:
            if self.library is None:
                raise Refused(self.no_library)
            return {'rests': rest(self.libc, self.library, directory)}
        except Lost as error:
            self.link.hello(failed='memory that was to rest in a file: %s' % error)
            exit_now(0)
        except Exception as error:
            return {'stays': ('%s: %s' % (type(error).__name__, error))[:500]}

    def load(self, request):
        printed = self.libc.memory_file()
        point(printed, 1, 2)
        try:
            for module in request.get('modules', []):
                try:
                    __import__(module)
                except ImportError:
                    pass  # not every series has it
            for path in request.get('programs', []):
                program = Program(path)
                if self.programs and command_line():
                    # The next program would take what this one has registered as its own.
                    break
                before = size(printed)
                exec(program.imports, program.main())
                if self.programs and (command_line() or threads() != 1 or size(printed) != before):
                    raise Spoilt(path)
                self.programs[path] = program
            for owner, modules in request.get('also', []):
                if owner in sys.modules:
                    self.load_also(owner, modules, printed)
        except SystemExit as error:
            raise Refused('an import ended the process: %s' % error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            quiet()
            os.lseek(printed, 0, 0)
            while True:
                data = read(printed, 65536)
                if not data:
                    break
                self.printed += data
            os.close(printed)

    def load_also(self, owner, modules, printed):
        """What a program of the owner loads while it works, if this series has it."""
        before, positional = size(printed), command_line()
        for module in modules:
            try:
                __import__(module)
            except ImportError:
                pass
            except Exception:
                # A plain run would meet it at another time, or not at all.
                raise Spoilt(owner)
        if size(printed) != before or command_line() != positional:
            # In a plain run that comes later.
            raise Spoilt(owner)

    def check(self):
        """Nothing that a fork must not share: threads, connections, event queues, open files."""
        if threads() != 1:
            raise Refused('%d threads run after the imports' % threads())
        for fd, target in descriptors().items():
            if fd in (0, 1, 2, self.link.fd) or INHERITED.get(fd) == target:
                continue
            if target.startswith('/dev/') or (target == 'anon_inode:[eventpoll]' and hub_is_idle()):
                continue
            raise Refused('%s is open after the imports' % target)

    def command(self, request):
        os.setpgid(0, 0)
        link = Link(request['door'])
        link.hello()
        spec = link.hear()
        if spec is None:
            exit_now(NOT_BEGUN)
        try:
            # One that could not be imported beforehand imports when it begins, as it always does.
            program = self.programs.get(spec['program']) or Program(spec['program'])
            self.enter(spec, program)
        except Exception as error:
            link.say(refused=('%s: %s' % (type(error).__name__, error))[:500])
            exit_now(NOT_BEGUN)
        link.say(ready=True)
        # Only this word starts it: until then ffu may still run the plain process instead.
        if link.hear() != {'do': 'go'}:
            exit_now(NOT_BEGUN)
        return link, program, spec['arguments']

    def enter(self, spec, program):
        if spec.get('lock'):
            point(self.lock(spec['lock']), 0)
        output = os.open(spec['output'], os.O_WRONLY | os.O_APPEND)
        printed = self.printed
        while printed:
            printed = printed[write(output, printed):]
        point(output, 1, 2)
        os.close(output)
        os.umask(self.umask)
        self.libc.prioritise(self.priority)
        os.environ.clear()
        os.environ.update(spec['environment'])
        os.chdir(spec['directory'])
        self.libc.name(os.path.basename(program.path))
        freshen()

    def lock(self, path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        until = time.time() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except (IOError, OSError):
                if time.time() > until:
                    raise Refused('the lock file is held')
                sleep(0.01)


def may_hurry_again():
    """Whether a lowered priority can be raised: CAP_SYS_NICE is needed, or commands would run slower than plain ones."""
    with open('/proc/self/status') as status:
        held = [line.split()[1] for line in status if line.startswith('CapEff:')]
    return bool(held) and bool(int(held[0], 16) >> 23 & 1)


ENDED = []


def tell(link, pid):
    """The last exit handler: if the node is gone, this is how ffu learns of the end."""
    if ENDED and os.getpid() == pid:
        try:
            link.say(ended=ENDED[0])
        except (IOError, OSError):
            pass


def code_of(value):
    if value is None:
        return 0
    return value & 255 if isinstance(value, int) else 1


def main():
    door, parent = sys.argv[1:3]
    # As in a script of this environment; and where the current directory and HOME are asked for, nothing is to be found.
    sys.argv = ARGUMENTS
    sys.path[0] = os.path.dirname(sys.executable)
    os.chdir('/proc')
    quiet()
    libc = Libc()
    libc.die_with(int(parent))
    handlers = []
    # Registered first, run last.
    atexit.register(lambda: [tell(*handler) for handler in handlers])
    node = Node(libc, Link(door))
    node.link.hello()
    link, program, arguments = node.work()
    handlers.append((link, os.getpid()))
    space = program.main()
    ARGUMENTS.become([program.path] + arguments)
    try:
        exec(program.whole, space)
        code = 0
    except SystemExit as error:
        code = code_of(error.code)
        if error.code is not None and not isinstance(error.code, int):
            # The interpreter prints it.
            ENDED.append(code)
            melt()
            raise
    except KeyboardInterrupt:
        melt()
        raise
    except BaseException:
        kind, value, trace = sys.exc_info()
        # Without this file's own frame it is the traceback of a plain run.
        trace = trace.tb_next
        sys.excepthook(kind, value if PY2 else value.with_traceback(trace), trace)
        code = 1
    ENDED.append(code)
    leave(code)
    sys.exit(code)


main()
