# pymacaroons with the least that judges the same five caveats. Two lines in are
# the text and the root key; then each line in is how many, and each line out the
# nanoseconds of one.
import sys
import time

from pymacaroons import Macaroon, Verifier

text, root = sys.stdin.readline().strip().removeprefix("devpi-"), sys.stdin.readline().strip()
NOW = 1795299000


def judge(caveat):
    name, _, value = caveat.partition("=")
    if name == "allowed":
        return "upload" in value.split(",")
    if name == "indexes":
        return "alice/dev" in value.split(",")
    if name == "projects":
        return "river-tools" in value.split(",")
    if name == "expires":
        return NOW < int(value)
    if name == "not_before":
        return NOW >= int(value)
    return False


def once():
    v = Verifier()
    v.satisfy_general(judge)
    if not v.verify(Macaroon.deserialize(text), root):
        raise SystemExit("not valid")


for line in sys.stdin:
    n = int(line)
    for _ in range(n):
        once()
    start = time.perf_counter_ns()
    for _ in range(n):
        once()
    print((time.perf_counter_ns() - start) / n, flush=True)
