#!/usr/bin/env python3
"""Who may include whom, and what no file may say.

  include/          the standard library and kelvin/*
  src/<folder>      kelvin/*, itself, and the folders above it in the include order of src/README.md
  src/registry.cc   alone may include tiers/* and policies/*
  tiers/<folder>    kelvin/*, base/*, checksum/*, machine/* and itself;  policies/ likewise
  src/cli           kelvin/*, registry.h, machine/*, checksum/* and itself
  bench/            kelvin/*, registry.h, cli/* (for traces) and itself; hbm_bench.cc the device seam too
  tests/            anything; nobody else includes tests/

System headers are free everywhere but in include/. A source includes the header of its own name first, so that it is
seen that this one needs no other before it. Runs from anywhere, needs python3-minimal only.
`--self-test` shows that each rule bites.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LAYER = re.compile(r"^\s*\d+\.\s+`([a-z_]+)/?`")
CXX = (".h", ".cc", ".cu")

STANDARD = set("""
algorithm any array atomic barrier bit bitset cassert cctype cerrno cfloat charconv chrono cinttypes climits cmath compare
complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring
ctime deque exception filesystem format forward_list fstream functional future initializer_list iomanip ios iosfwd
iostream istream iterator latch limits list locale map memory memory_resource mutex new numbers numeric optional ostream
queue random ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span sstream stack
stdexcept stop_token streambuf string string_view system_error thread tuple type_traits typeindex typeinfo
unordered_map unordered_set utility valarray variant vector version
""".split())
C_API = {"stddef.h", "stdint.h", "stdbool.h"}  # what c.h, a C header, may include

LOW = ("base", "checksum", "machine")  # the folders of src/ that tiers and policies stand on

# Text that belongs to somebody's machine or desk, not to the project. Joined here, so that this file passes.
FOREIGN = [
    (re.compile(r"(?<![\w.])/(?:" + "|".join(["wo" + "rk", "ho" + "me", "Us" + "ers"]) + r")/\w"),
     "the absolute path of somebody's machine"),
    (re.compile(r"\b[Ii]ss" + r"ues?\s+(?:#\s*)?\d"), "the number of an issue: say what it is about instead"),
    (re.compile(r"\b(?:ANCH" + r"ORS|HE" + r"AT|ST" + r"YLE)\.md\b"), "a document that is not in this repository"),
    (re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"), "a note to ourselves: do it, or say why not"),
]
FOREIGN_EXEMPT = {"LICENSE"}


def project_files():
    """Every file of the project: tracked, or new and not ignored."""
    try:
        out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        names = [name for name in out.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):  # a release archive
        names = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if not f.startswith("build") and f not in (".git", ".cache")]
            names += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files]
    return sorted(name for name in set(names) if os.path.isfile(os.path.join(ROOT, name)))


def include_order():
    with open(os.path.join(ROOT, "src", "README.md"), encoding="utf-8") as text:
        return [m.group(1) for m in map(LAYER.match, text) if m]


def owner(path):
    """The part of the project a file (or an include) belongs to: 'include', 'src/table', 'tiers/host', ..."""
    parts = path.split("/")
    if parts[0] == "src":
        if len(parts) == 2:
            return "src/" + parts[1].rsplit(".", 1)[0]
        return "src/" + parts[1]
    if parts[0] == "tiers" and len(parts) > 2:
        return "tiers/" + parts[1]
    return parts[0]


def target_of(name, order):
    """The part of the project an include names, or None where it is no file of ours."""
    head = name.split("/")[0]
    if head == "kelvin":
        return "include"
    if head in ("tiers", "policies", "tests", "bench"):
        return owner(name)
    if head in order or "/" not in name:
        return "src/" + head.rsplit(".", 1)[0]
    return None


def why_not(path, bracket, name, order):
    """None if the file at `path` may include `name`, else the rule that it breaks."""
    here = owner(path)
    if bracket == "<":
        if here == "include" and name not in STANDARD and name not in C_API:
            return "include/ stands on the standard library alone"
        ours = any(os.path.exists(os.path.join(ROOT, folder, name)) for folder in ("include", "src", "."))
        if ours and here != "tests":
            return "our own headers are included with quotes"
        return None
    there = target_of(name, order)
    if there is None:
        return "no such part of the project; system headers are included with <...>"
    if here == "tests" or here == there:
        return None
    if there == "tests":
        return "nobody but a test includes tests/"
    if there == "include":
        return None
    if here == "include":
        return "include/ includes nothing but kelvin/*"
    if here.startswith("tiers/") or here == "policies":
        low = ["src/" + f for f in LOW]
        return None if there in low else "tiers/* and policies/* see kelvin/*, base/*, checksum/*, machine/* and themselves"
    if here == "bench":
        # The bare copies that hbm_bench holds blocks against go through the device seam: no CUDA library is linked.
        if path == "bench/hbm_bench.cc" and name == "tiers/hbm/device.h":
            return None
        return None if there in ("src/registry", "src/cli") else "bench/ sees the public headers, registry.h and cli/* only"
    if here == "src/cli":
        return None if there in ("src/registry", "src/machine", "src/checksum") else "the command sees the public headers, registry.h, machine/* and checksum/* only"
    if there.startswith("tiers/") or there == "policies":
        return None if path == "src/registry.cc" else "src/registry.cc alone names implementations"
    if here.startswith("src/") and there.startswith("src/"):
        me, other = here[4:], there[4:]
        if me not in order:
            return "src/%s is not in the include order of src/README.md" % me
        if other not in order:
            return "src/%s is not in the include order of src/README.md" % other
        if order.index(other) > order.index(me):
            return "%s comes after %s in the include order of src/README.md" % (other, me)
        return None
    return "no rule lets %s include %s" % (here, there)


def check_includes(path, lines, order):
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if match:
            why = why_not(path, match.group(1), match.group(2), order)
            if why:
                yield "%s:%d: includes %s: %s" % (path, number, match.group(2), why)


def check_first(path, lines, exists=os.path.exists):
    """A source includes the header of its name, where there is one, before any other."""
    header = path[:-len(".cc")] + ".h"
    first = next((match.group(2) for match in map(INCLUDE.match, lines) if match), None)
    if path.endswith(".cc") and exists(os.path.join(ROOT, header)) and not (first and ("/" + header).endswith("/" + first)):
        yield "%s: includes %s before %s, its own header" % (path, first, header)


def check_words(path, lines):
    for number, line in enumerate(lines, 1):
        for pattern, why in FOREIGN:
            match = pattern.search(line)
            if match:
                yield "%s:%d: '%s' is %s" % (path, number, match.group(0), why)


def check_project():
    order = include_order()
    problems = [] if order else ["src/README.md: no include order found (lines like '1. `base` ...')"]
    files = project_files()
    for folder in sorted({p.split("/")[1] for p in files if p.startswith("src/") and p.count("/") > 1}):
        if folder not in order:
            problems.append("src/%s: not in the include order of src/README.md" % folder)
    includes = 0
    for path in files:
        try:
            with open(os.path.join(ROOT, path), encoding="utf-8") as text:
                lines = text.read().split("\n")
        except UnicodeDecodeError:
            continue  # a binary: a trace, a corpus
        if path not in FOREIGN_EXEMPT:
            problems += check_words(path, lines)
        if path.endswith(CXX):
            includes += sum(1 for line in lines if INCLUDE.match(line))
            problems += check_includes(path, lines, order)
            problems += check_first(path, lines)
            if path.endswith(".h") and not any(line.startswith("#pragma once") for line in lines):
                problems.append("%s: no #pragma once" % path)
            if len(lines) > 800:
                problems.append("%s: %d lines; 800 is forbidden, 400 asks for a reason" % (path, len(lines)))
    return problems, len(files), includes


def self_test():
    """Each rule, once kept and once broken."""
    order = ["base", "checksum", "registry", "table", "space", "cli"]
    kept = [
        ("include/kelvin/a.h", '<vector>'), ("include/kelvin/a.h", '"kelvin/b.h"'),
        ("src/table/a.cc", '"base/b.h"'), ("src/table/a.cc", '"table/b.h"'), ("src/table/a.cc", '<fmt/core.h>'),
        ("src/registry.cc", '"tiers/host/host.h"'), ("src/registry.cc", '"policies/lru.h"'),
        ("src/space/a.cc", '"registry.h"'), ("tiers/nvme/a.cc", '"checksum/crc32c.h"'),
        ("tiers/nvme/a.cc", '"tiers/nvme/b.h"'), ("policies/lru.cc", '"base/b.h"'),
        ("src/cli/a.cc", '"registry.h"'), ("src/cli/a.cc", '"cli/b.h"'), ("bench/a.cc", '"bench/b.h"'),
        ("bench/a.cc", '"registry.h"'), ("bench/a.cc", '"cli/b.h"'), ("bench/hbm_bench.cc", '"tiers/hbm/device.h"'),
        ("tests/a.cc", '"table/b.h"'), ("tests/toy/a.cc", '"tests/toy/b.h"'),
        ("tests/consumer/main.cc", '<kelvin/kelvin.h>'),
    ]
    broken = [
        ("include/kelvin/a.h", '<fmt/core.h>'), ("include/kelvin/a.h", '"base/b.h"'),
        ("src/table/a.cc", '"space/b.h"'), ("src/table/a.cc", '"tiers/host/host.h"'),
        ("src/table/a.cc", '"tests/b.h"'), ("src/table/a.cc", '<kelvin/space.h>'), ("src/table/a.cc", '<registry.h>'), ("src/newcomer/a.cc", '"base/b.h"'),
        ("src/registry.h", '"tiers/host/host.h"'), ("src/base/a.h", '"registry.h"'),
        ("tiers/nvme/a.cc", '"tiers/host/host.h"'), ("tiers/nvme/a.cc", '"table/b.h"'),
        ("tiers/nvme/a.cc", '"registry.h"'), ("policies/lru.cc", '"tiers/host/host.h"'),
        ("src/cli/a.cc", '"table/b.h"'), ("bench/a.cc", '"table/b.h"'), ("bench/a.cc", '"policies/b.h"'),
        ("bench/a.cc", '"tiers/hbm/device.h"'),
    ]
    problems = []
    for expect_ok, pairs in ((True, kept), (False, broken)):
        for path, name in pairs:
            found = list(check_includes(path, ["#include " + name], order))
            if expect_ok == bool(found):
                problems.append("self-test: %s including %s: %s" % (path, name, found or "was let through"))
    for names, let_through in ((["<new>", '"table/a.h"'], False), (['"table/ba.h"'], False), (['"table/a.h"', "<new>"], True)):
        if let_through == bool(list(check_first("src/table/a.cc", ["#include " + n for n in names], lambda _: True))):
            problems.append("self-test: a source that includes %s is %slet through" % (names, "not " * let_through))
    for words in ("see /ho" + "me/me/x", "as iss" + "ue 12 says", "// TO" + "DO later"):
        if not list(check_words("a.cc", [words])):
            problems.append("self-test: '%s' was let through" % words)
    return problems


def main():
    problems = self_test()
    if sys.argv[1:] != ["--self-test"]:
        found, files, includes = check_project()
        problems += found
        print("%d files, %d includes looked at" % (files, includes))
    for problem in problems:
        print(problem)
    print("layering: %s" % ("FAILED, %d problems" % len(problems) if problems else "clean"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
