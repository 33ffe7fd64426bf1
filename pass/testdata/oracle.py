"""Makes macaroons from their parts, for TestOracles: one line of JSON in, one out."""
import base64
import ctypes
import json
import sys


def text(b):
    """What pymacaroons takes: text, or bytes where they are none."""
    try:
        return b.decode("utf-8")
    except UnicodeDecodeError:
        return b


def b64(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def with_pymacaroons(sample, ours):
    from pymacaroons import MACAROON_V2, Macaroon, Verifier
    from pymacaroons.serializers import BinarySerializer, JsonSerializer

    key = bytes.fromhex(sample["root"])
    m = Macaroon(location=sample["location"], identifier=text(bytes.fromhex(sample["identifier"])), key=key, version=MACAROON_V2)
    for c in sample["caveats"] or []:
        m.add_first_party_caveat(text(bytes.fromhex(c)))
    read = Macaroon.deserialize(ours)
    v = Verifier()
    v.satisfy_general(lambda caveat: True)
    narrowed = Macaroon.deserialize(ours)
    verified = v.verify(read, key)
    narrowed.add_first_party_caveat("x=y")
    return {
        "binary": m.serialize().rstrip("="),
        "json": m.serialize(JsonSerializer()),
        "signature": m.signature,
        "ours": bool(verified),
        "narrowed": BinarySerializer().serialize(narrowed).rstrip("="),
    }


class Libmacaroons:
    """The C library, whose version in Debian writes version 1 only: its signatures."""

    def __init__(self):
        self.lib = ctypes.CDLL("libmacaroons.so.0")
        self.lib.macaroon_create.restype = ctypes.c_void_p
        self.lib.macaroon_add_first_party_caveat.restype = ctypes.c_void_p

    def make(self, sample, ours):
        err = ctypes.c_int()
        size = ctypes.c_size_t

        def two(b):
            return [ctypes.c_char_p(b), size(len(b))]

        m = self.lib.macaroon_create(
            *two(sample["location"].encode()),
            *two(bytes.fromhex(sample["root"])),
            *two(bytes.fromhex(sample["identifier"])),
            ctypes.byref(err),
        )
        for c in sample["caveats"] or []:
            n = self.lib.macaroon_add_first_party_caveat(ctypes.c_void_p(m), *two(bytes.fromhex(c)), ctypes.byref(err))
            self.lib.macaroon_destroy(ctypes.c_void_p(m))
            if not n:
                raise SystemExit("libmacaroons: error %d" % err.value)
            m = n
        data, length = ctypes.POINTER(ctypes.c_ubyte)(), size()
        self.lib.macaroon_signature(ctypes.c_void_p(m), ctypes.byref(data), ctypes.byref(length))
        out = bytes(data[: length.value]).hex()
        self.lib.macaroon_destroy(ctypes.c_void_p(m))
        return {"signature": out}


def main():
    make = with_pymacaroons if sys.argv[1] == "pymacaroons" else Libmacaroons().make
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(make(asked["sample"], asked["ours"])), flush=True)


main()
