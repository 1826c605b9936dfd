"""What the checks share: which files there are, and how a finding is reported."""
import os
import re
import subprocess
import sys

MODULES = ("runtime", "sync", "io")


def root():
    """The tree to check: the first argument, or the one this file lies in."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))


def files(top, pattern):
    """Every file of the tree whose path matches pattern, sorted. Of a repository, what it tracks."""
    if os.path.isdir(os.path.join(top, ".git")) or os.path.isfile(os.path.join(top, ".git")):
        listed = subprocess.run(["git", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                check=True, capture_output=True, text=True).stdout.split("\0")
    else:
        listed = [os.path.relpath(os.path.join(folder, name), top)
                  for folder, _, names in os.walk(top) for name in names]
    return sorted(path for path in set(listed)
                  if re.search(pattern, path) and os.path.isfile(os.path.join(top, path)))


def lines(top, path):
    """Pairs of line number and line."""
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as file:
        return list(enumerate(file.read().split("\n"), 1))


def code_lines(top, path):
    """The same for C, with comments, strings and character constants blanked."""
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as file:
        text = file.read()
    blank = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def replace(match):
        word = match.group(0)
        if word.startswith('"') and re.search(r"#\s*include\s*$", text[:match.start()].rsplit("\n", 1)[-1]):
            return word
        return re.sub(r"[^\n]", " ", word)

    return list(enumerate(blank.sub(replace, text).split("\n"), 1))


def report(findings):
    """Print what was found, one a line, and exit accordingly."""
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)
