#!/usr/bin/env python3
"""Runs clang-tidy over every file of compile_commands.json, some at a time, and remembers the clean ones.

What is remembered is a hash of all that the result depends on: the tool, its configuration, the command, and
every file of the project that the translation unit reads. Files given as arguments limit the run to those;
--seconds S to so long: to those that the newest commits changed, and then others, from the Kth on with --first K.
"""
import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".cache", "tidy")
NEWEST = 25  # commits


def arguments_of(entry):
    return entry.get("arguments") or shlex.split(entry["command"])


def dependencies(entry):
    """Every file of the project that the unit reads, or None where the compiler cannot tell."""
    command = [a for a in arguments_of(entry) if a not in ("-c", "-MD", "-MMD")]
    if command and os.path.basename(command[0]) == "ccache":
        command = command[1:]
    for flag in ("-o", "-MT", "-MF"):
        while flag in command:
            at = command.index(flag)
            del command[at:at + 2]
    result = subprocess.run(command + ["-MM"], cwd=entry["directory"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=False)
    if result.returncode != 0:
        return None
    names = result.stdout.decode().replace("\\\n", " ").split(":", 1)[-1].split()
    return sorted(os.path.normpath(os.path.join(entry["directory"], name)) for name in names)


def key_of(entry, base):
    files = dependencies(entry)
    if files is None:
        return None
    digest = hashlib.sha256(base)
    digest.update("\0".join(arguments_of(entry)).encode())
    for name in files:
        with open(name, "rb") as content:
            digest.update(name.encode() + b"\0" + content.read() + b"\0")
    return digest.hexdigest()


def check(entry, options, base):
    """(file, seconds, output); output is None where the file is clean."""
    start = time.monotonic()
    name = os.path.relpath(entry["file"], ROOT)
    key = key_of(entry, base)
    remembered = os.path.join(CACHE, key) if key else None
    if remembered and os.path.exists(remembered):
        return name, 0.0, None
    result = subprocess.run(
        [options.tidy, "-quiet", "-p", options.build, "--extra-arg=-Wno-unknown-warning-option", entry["file"]],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    output = result.stdout.decode(errors="replace").strip()
    if result.returncode == 0 and not output:
        if remembered:
            with open(remembered, "w", encoding="utf-8"):
                pass
        return name, time.monotonic() - start, None
    return name, time.monotonic() - start, output or result.stderr.decode(errors="replace").strip()


def newest():
    """The files that the newest commits changed."""
    log = subprocess.run(["git", "log", "-%d" % NEWEST, "--format=", "--name-only", "-z"], cwd=ROOT, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, check=False)
    return {os.path.join(ROOT, name) for name in log.stdout.decode().split("\0")}


def units(options):
    """From each file that is to be looked at to its entry of compile_commands.json."""
    with open(os.path.join(options.build, "compile_commands.json"), encoding="utf-8") as text:
        entries = json.load(text)
    build = os.path.realpath(options.build)
    entries = [e for e in entries if not os.path.realpath(e["file"]).startswith(build + os.sep)]
    if options.files:
        wanted = {os.path.realpath(f) for f in options.files}
        entries = [e for e in entries if os.path.realpath(e["file"]) in wanted]
    return {e["file"]: e for e in entries}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tidy", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()

    unique = units(options)
    names, must = sorted(unique), newest()
    at = options.first % len(names) if names else 0
    order = sorted(names[at:] + names[:at], key=lambda name: name not in must)  # stable
    deadline = time.monotonic() + options.seconds

    base = subprocess.run([options.tidy, "--version"], stdout=subprocess.PIPE, check=True).stdout
    with open(os.path.join(ROOT, ".clang-tidy"), "rb") as config:
        base += config.read()
    os.makedirs(CACHE, exist_ok=True)

    def check_in_time(name):
        return None if time.monotonic() > deadline else check(unique[name], options, base)

    seen, failed, remembered, late = set(), 0, 0, 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(check_in_time, order):
            if result is None:
                late += 1
                continue
            name, seconds, output = result
            remembered += output is None and seconds == 0.0
            if output is None:
                continue
            failed += 1
            for part in split_findings(output):  # a finding in a header is shown once
                if part not in seen:
                    seen.add(part)
                    print(part, flush=True)
            print("-- %s (%.1f s)" % (name, seconds), flush=True)
    print("clang-tidy: %d files, %d unchanged since they were clean, %d with findings; no time for %d more"
          % (len(unique) - late, remembered, failed, late))
    return 1 if failed else 0


def split_findings(output):
    """Splits into findings, each with its notes and source lines."""
    part = []
    for line in output.split("\n"):
        if part and (": error: " in line or ": warning: " in line):
            yield "\n".join(part)
            part = []
        part.append(line)
    if part:
        yield "\n".join(part)


if __name__ == "__main__":
    sys.exit(main())
