"""What an NBD server answers to each of many questions, one line an answer.

Run with the system's Python, which has libnbd's module: probes.py URI EXPORT unix:PATH|HOST:PORT
"""
import errno
import socket
import struct
import sys

import nbd

URI, EXPORT, ADDRESS = sys.argv[1:4]
OPTION_MAGIC = 0x49484156454F5054
REPLY_MAGIC = 0x0003E889045565A9
REQUEST_MAGIC = 0x25609513
SIMPLE_MAGIC = 0x67446698
REPLIES = {
    1: "ack", 2: "server", 3: "info", 4: "context", 0x80000001: "unsupported", 0x80000002: "policy", 0x80000003: "invalid",
    0x80000005: "tls required", 0x80000006: "unknown", 0x80000007: "shutdown", 0x80000008: "block size required", 0x80000009: "too big",
}


def tell(name, answer):
    print(f"{name}\t{answer}", flush=True)


# By libnbd.

def connect():
    h = nbd.NBD()
    h.add_meta_context("base:allocation")
    h.connect_uri(URI)
    h.set_strict_mode(0)
    return h


def probe(name, call):
    """A new connection for each: an answer may be the end of one."""
    h = connect()
    try:
        answer = call(h)
        tell(name, "ok" if answer is None or isinstance(answer, (bytes, bytearray, int)) else answer)
    except nbd.Error as error:
        lost = h.aio_is_dead() or h.aio_is_closed()
        tell(name, "closed" if lost else error.errno or "refused")


def yes(value):
    return "yes" if value else "no"


def status(h, length, offset, flags=0):
    extents = []
    h.block_status(length, offset, lambda context, at, entries, error: extents.extend(entries) or 0, flags)
    count = len(extents) // 2
    total = sum(extents[::2])
    return f"{'one' if count == 1 else 'some'} for {'all' if total >= length else 'a part'}"


def chunks(h, length, offset, flags=0):
    parts = []
    h.pread_structured(length, offset, lambda data, at, kind, error: parts.append((at, len(data), kind)) or 0, flags)
    covered = sum(part[1] for part in parts)
    return f"{'one chunk' if len(parts) == 1 else 'chunks'} for {'all' if covered == length else 'a part'}"


def powers():
    h = connect()
    size = h.get_size()
    tell("size", size)
    tell("structured replies", yes(h.get_structured_replies_negotiated()))
    tell("base:allocation", yes(h.can_meta_context("base:allocation")))
    for name in "flush", "fua", "trim", "zero", "fast_zero", "df", "cache", "multi_conn":
        tell(f"offers {name}", yes(getattr(h, f"can_{name}")()))
    h.shutdown()
    return size


def transmission(size):
    fill = bytes(65536)
    probe("read past the end", lambda h: h.pread(4096, size - 1024))
    probe("read behind the end", lambda h: h.pread(512, size + 4096))
    probe("read at the highest offset", lambda h: h.pread(512, (1 << 63) - 512))
    probe("read empty", lambda h: h.pread(0, 0))
    probe("read with fua", lambda h: h.pread(512, 0, nbd.CMD_FLAG_FUA))
    probe("read with an unknown flag", lambda h: h.pread(512, 0, 1 << 9))
    probe("read unfragmented", lambda h: chunks(h, 1 << 20, 0, nbd.CMD_FLAG_DF))
    probe("write past the end", lambda h: h.pwrite(bytes(4096), size - 512))
    probe("write behind the end", lambda h: h.pwrite(bytes(512), size))
    probe("write empty", lambda h: h.pwrite(b"", 0))
    probe("write with fua", lambda h: h.pwrite(b"x" * 512, 0, nbd.CMD_FLAG_FUA))
    probe("write with an unknown flag", lambda h: h.pwrite(bytes(512), 8192, 1 << 9))
    probe("write with no-hole", lambda h: h.pwrite(bytes(512), 8192, nbd.CMD_FLAG_NO_HOLE))
    probe("write of one byte", lambda h: h.pwrite(b"y", 4095))
    probe("what was written", lambda h: "right" if h.pread(4096, 0) == b"x" * 512 + bytes(3583) + b"y" else "wrong")
    probe("trim", lambda h: h.trim(65536, 0))
    probe("trim past the end", lambda h: h.trim(4096, size - 512))
    probe("trim empty", lambda h: h.trim(0, 0))
    probe("zero", lambda h: h.zero(65536, 0))
    probe("zero with no-hole", lambda h: h.zero(65536, 0, nbd.CMD_FLAG_NO_HOLE))
    probe("zero fast", lambda h: h.zero(65536, 0, nbd.CMD_FLAG_FAST_ZERO))
    probe("zero past the end", lambda h: h.zero(4096, size - 512))
    probe("zero empty", lambda h: h.zero(0, 0))
    probe("zero of more than 64 MiB", lambda h: h.zero(size, 0))
    probe("what was zeroed", lambda h: "right" if h.pread(65536, 0) == fill else "wrong")
    probe("cache", lambda h: h.cache(512, 0))
    probe("cache past the end", lambda h: h.cache(4096, size - 512))
    probe("flush", lambda h: h.flush())
    probe("flush with an unknown flag", lambda h: h.flush(1 << 9))
    probe("status", lambda h: status(h, size, 0))
    probe("status of one", lambda h: status(h, size, 0, nbd.CMD_FLAG_REQ_ONE))
    probe("status past the end", lambda h: status(h, 4096, size - 512))
    probe("status empty", lambda h: status(h, 0, 0))


def negotiation():
    def probe_option(name, call, structured=True):
        h = nbd.NBD()
        h.set_opt_mode(True)
        h.set_request_structured_replies(structured)
        h.connect_uri(URI)
        try:
            answer = call(h)
            tell(name, "ok" if answer is None or isinstance(answer, int) else answer)
        except nbd.Error:
            tell(name, "closed" if not h.aio_is_negotiating() else "refused")

    def names(h):
        found = []
        h.opt_list(lambda name, description: found.append(name) or 0)
        return ", ".join(repr(n) for n in found) or "none"

    def info(h, name):
        h.set_export_name(name)
        return h.opt_info()

    def info_of_a_missing_one_then_go(h):
        try:
            info(h, "does-not-exist")
        except nbd.Error:
            pass
        h.set_export_name(EXPORT)
        h.opt_go()
        return "ok" if h.get_size() > 0 else "empty"

    def contexts(h, *queries):
        h.set_export_name(EXPORT)
        for query in queries:
            h.add_meta_context(query)
        found = []
        h.opt_list_meta_context(lambda name: found.append(name) or 0)
        return ", ".join(found) or "none"

    probe_option("list", names)
    probe_option("info of a missing export", lambda h: info(h, "does-not-exist"))
    probe_option("info of a name of 4096 bytes", lambda h: info(h, "x" * 4096))
    probe_option("info of a missing export, then go", info_of_a_missing_one_then_go)
    probe_option("contexts, all", contexts)
    probe_option("contexts, base:", lambda h: contexts(h, "base:"))
    probe_option("contexts, unknown", lambda h: contexts(h, "x-nobody:nothing"))
    probe_option("contexts without structured replies", contexts, structured=False)


# By bytes, for what libnbd never sends.

class Line:
    def __init__(self, flags=3):
        if ADDRESS.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(ADDRESS[5:])
        else:
            host, port = ADDRESS.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(60)
        self.take(18)
        self.socket.sendall(struct.pack(">I", flags))

    def take(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def option(self, number, data=b"", magic=OPTION_MAGIC, length=None):
        self.socket.sendall(struct.pack(">QII", magic, number, len(data) if length is None else length) + data)

    def reply(self):
        magic, option, kind, length = struct.unpack(">QIII", self.take(20))
        assert magic == REPLY_MAGIC
        return kind, self.take(length)

    def last_reply(self):
        while True:
            kind, _ = self.reply()
            if kind not in (2, 3, 4):
                return REPLIES.get(kind, hex(kind))

    def go(self, name=EXPORT, informations=()):
        encoded = name.encode()
        data = struct.pack(">I", len(encoded)) + encoded + struct.pack(f">H{len(informations)}H", len(informations), *informations)
        self.option(7, data)
        return self.last_reply()

    def request(self, command, offset=0, length=0, flags=0, magic=REQUEST_MAGIC, payload=b""):
        self.socket.sendall(struct.pack(">IHHQQI", magic, flags, command, 7, offset, length) + payload)

    def error(self):
        magic, code, cookie = struct.unpack(">IIQ", self.take(16))
        assert magic == SIMPLE_MAGIC and cookie == 7
        return errno.errorcode[code] if code else "ok"


def raw(name, call, flags=3):
    try:
        tell(name, call(Line(flags)))
    except (EOFError, ConnectionResetError, BrokenPipeError):
        tell(name, "closed")


def bytes_of_options():
    def ask(number, data=b""):
        def call(line):
            line.option(number, data)
            first = line.last_reply()
            # Whatever it was, the next option is understood.
            line.option(99)
            return first if line.last_reply() == "unsupported" else f"{first}, then lost"
        return call

    def wrong_magic(line):
        line.option(3, magic=0x49484156454F5055)
        return line.last_reply()

    def abort(line):
        line.option(2)
        answer = line.last_reply()
        try:
            line.take(1)
            return f"{answer}, then bytes"
        except (EOFError, ConnectionResetError):
            return f"{answer}, then closed"

    def export_name(name):
        def call(line):
            line.option(1, name.encode())
            line.take(10)
            return "entered"
        return call

    def go_with_a_false_length(line):
        line.option(7, struct.pack(">IH", 1000, 0))
        return line.last_reply()

    def contexts_with_a_false_count(line):
        line.option(8)
        line.last_reply()
        line.option(9, struct.pack(">I", 0) + struct.pack(">I", 0xFFFFFFFF))
        return line.last_reply()

    raw("unknown option", ask(99, b"abc"))
    raw("list with data", ask(3, b"abc"))
    raw("structured reply with data", ask(8, b"abc"))
    raw("structured reply twice", lambda line: (line.option(8), line.last_reply(), line.option(8), line.last_reply())[3])
    raw("starttls where there is none", ask(5))
    raw("go with a false length", go_with_a_false_length)
    raw("contexts with a false count", contexts_with_a_false_count)
    raw("option of 4 GiB", lambda line: (line.option(99, length=0xFFFFFFFF), line.socket.shutdown(socket.SHUT_WR), line.last_reply())[2])
    raw("wrong option magic", wrong_magic)
    raw("abort", abort)
    raw("export name", export_name(EXPORT))
    raw("export name of a missing one", export_name("does-not-exist"))
    raw("unknown client flag", lambda line: line.go(), flags=3 | 1 << 20)


def bytes_of_requests():
    def after_go(call):
        def enter(line):
            line.go(informations=(3,))
            return call(line)
        return enter

    def ask(*arguments, **named):
        def call(line):
            line.request(*arguments, **named)
            return line.error()
        return after_go(call)

    def write_too_long(line):
        line.request(1, 0, 0xFFFFFFFF)
        line.socket.shutdown(socket.SHUT_WR)
        return line.error()

    raw("unknown command", ask(99))
    raw("resize", ask(8))
    raw("flush with a range", ask(3, offset=512, length=512))
    raw("status without structured replies", ask(7, length=512))
    raw("read of 64 MiB and 512", ask(0, length=(64 << 20) + 512))
    raw("read of 4 GiB", ask(0, length=0xFFFFFFFF))
    raw("write of 4 GiB", after_go(write_too_long))
    raw("wrong request magic", ask(0, length=512, magic=0x25609514))
    raw("structured magic", ask(0, length=512, magic=0x21E41C71))


transmission(powers())
negotiation()
bytes_of_options()
bytes_of_requests()
