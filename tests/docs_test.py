#!/usr/bin/env python3
"""The documents say what the code says.

  1. A code block headed ```cpp file=PATH stands in PATH, word for word: a run of whole lines.
  2. In README.md and docs/adding.md every C++ block is headed so.
  3. README.md shows the whole of tests/consumer/main.cc.
  4. Links to files of the repository lead somewhere.

Needs python3-minimal only.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FENCE = re.compile(r"^```(\w*)(?:\s+file=(\S+))?\s*$")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|(?:src|srcset)=\"([^\"]+)\"")
QUOTED_ONLY = {"README.md", "docs/adding.md"}
WHOLE = {("README.md", "tests/consumer/main.cc")}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as text:
        return text.read()


def documents():
    yield "README.md"
    for folder in ("docs", "src", "tests", "bench"):
        for where, folders, files in os.walk(os.path.join(ROOT, folder)):
            folders.sort()
            for name in sorted(files):
                if name.endswith(".md"):
                    yield os.path.relpath(os.path.join(where, name), ROOT)


def blocks(text):
    """(line, language, file, body) of each fenced block."""
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if start is None:
            match = FENCE.match(line)
            if match:
                start, language, path, body = number, match.group(1), match.group(2), []
        elif line.startswith("```"):
            yield start, language, path, "".join(piece + "\n" for piece in body)
            start = None
        else:
            body.append(line)


def check_block(document, line, path, body):
    if not os.path.isfile(os.path.join(ROOT, path)):
        return "%s:%d: there is no file %s" % (document, line, path)
    text = read(path)
    if (document, path) in WHOLE:
        if text != body:
            return "%s:%d: differs from %s, which it must show whole" % (document, line, path)
    elif ("\n" + body) not in ("\n" + text):
        for piece in body.split("\n"):
            if piece not in text:
                return "%s:%d: not in %s: %s" % (document, line, path, piece.strip())
        return "%s:%d: these lines do not follow each other in %s" % (document, line, path)
    return None


def check_links(document, text):
    for match in LINK.finditer(text):
        link = match.group(1) or match.group(2)
        if "://" in link or link.startswith("mailto:"):
            continue
        if not os.path.exists(os.path.join(ROOT, os.path.dirname(document), link)):
            yield "%s: broken link: %s" % (document, link)


def main():
    problems, seen, count = [], set(), 0
    for document in documents():
        text = read(document)
        problems += check_links(document, text)
        for line, language, path, body in blocks(text):
            if path:
                count += 1
                seen.add((document, path))
                problem = check_block(document, line, path, body)
                if problem:
                    problems.append(problem)
            elif language in ("cpp", "c++", "cmake") and document in QUOTED_ONLY:
                problems.append("%s:%d: head this block with ```%s file=PATH" % (document, line, language))
    for document, path in sorted(WHOLE - seen):
        problems.append("%s does not show %s" % (document, path))
    for problem in problems:
        print(problem)
    print("docs: %d quoted blocks, %s" % (count, "FAILED" if problems else "clean"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
