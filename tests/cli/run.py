#!/usr/bin/env python3
"""Golden tests of the command: run.py HITHER [--update] [NAME...], or run.py HITHER --guide FILE.md

A test is NAME.sh with NAME.stdout, and NAME.stderr and NAME.exit where they are not empty and 0. It runs in an empty
folder with the command first on the path; lib.sh has what scripts share. --update writes the expectations.

--guide runs the examples of a page: in its ```console blocks, lines that begin with "$ " are commands (a "> " line
goes on the one before), and what stands below is what they print. All blocks of a page share one folder.
"""

import difflib
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 100
KEPT = ("HITHER_SIMD", "HITHER_THREADS", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")


def environment(hither, folder):
    env = {key: os.environ[key] for key in KEPT if key in os.environ}
    path = os.pathsep.join(
        [
            os.path.dirname(os.path.abspath(hither)),
            os.path.dirname(sys.executable),
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
        ]
    )
    env.update(PATH=path, HERE=HERE, HOME=folder, LC_ALL="C.UTF-8", TERM="xterm", PYTHONDONTWRITEBYTECODE="1")
    return env


def shell(command, hither, folder):
    done = subprocess.run(
        ["bash", "-u", *command],
        cwd=folder,
        env=environment(hither, folder),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
    )
    return done.stdout, done.stderr, done.returncode


def expected(name, kind, otherwise):
    try:
        with open(os.path.join(HERE, f"{name}.{kind}"), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return otherwise


def update(name, kind, have, otherwise):
    path = os.path.join(HERE, f"{name}.{kind}")
    if have != otherwise or kind == "stdout":
        with open(path, "wb") as file:
            file.write(have)
    elif os.path.exists(path):
        os.remove(path)


def differences(title, want, have):
    def lines(data):
        return data.decode("utf-8", "backslashreplace").splitlines(keepends=True)

    return "".join(
        line if line.endswith("\n") else line + "\n\\ no line end\n"
        for line in difflib.unified_diff(lines(want), lines(have), f"{title} expected", f"{title} printed")
    )


def run_test(hither, name, write):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        out, err, code = shell([os.path.join(HERE, name + ".sh")], hither, folder)
    out, err = (data.replace(folder.encode(), b"FOLDER") for data in (out, err))
    have = {"stdout": out, "stderr": err, "exit": b"%d\n" % code}
    empty = {"stdout": b"", "stderr": b"", "exit": b"0\n"}
    wrong = ""
    for kind, data in have.items():
        if write:
            update(name, kind, data, empty[kind])
        elif data != expected(name, kind, empty[kind]):
            wrong += differences(f"{name}.{kind}", expected(name, kind, empty[kind]), data)
    return wrong


def examples(page):
    """(line number, command, output) of each example."""
    found, inside = [], False
    for number, line in enumerate(open(page, encoding="utf-8"), 1):
        if line.startswith("```"):
            inside = line.startswith("```console")
        elif inside and line.startswith("$ "):
            found.append([number, line[2:], ""])
        elif inside and line.startswith("> ") and found and not found[-1][2]:
            found[-1][1] += line[2:]
        elif inside and found:
            found[-1][2] += line
    return found


def run_guide(hither, page):
    wrong, text = "", open(page, encoding="utf-8").read()
    with tempfile.TemporaryDirectory() as folder:
        for number, command, output in examples(page):
            out, err, _ = shell(["-c", command], hither, folder)
            if out + err != output.encode():
                title = f"{os.path.basename(page)}:{number}: {command.strip()}"
                wrong += differences(title, output.encode(), out + err)
        if os.path.basename(page) != "command.md":  # the one that shows them all
            return wrong
        out, _, _ = shell(["-c", "hither --help"], hither, folder)
    for name in re.findall(r"^  (\w+) ", out.decode().split("Examples:")[0], re.M):
        if f"`{name}`" not in text and f"hither {name}" not in text:
            wrong += f"{page} does not mention the command {name}\n"
    return wrong


def main():
    args = sys.argv[1:]
    if not args or args[0].startswith("-"):
        sys.exit(__doc__)
    hither, names = args[0], args[1:]
    if names[:1] == ["--guide"]:
        wrong = run_guide(hither, names[1])
    else:
        write = "--update" in names
        names = [n for n in names if n != "--update"]
        names = names or sorted(f[:-3] for f in os.listdir(HERE) if f.endswith(".sh") and f != "lib.sh")
        wrong = "".join(run_test(hither, name, write) for name in names)
    if wrong:
        sys.exit(wrong)


if __name__ == "__main__":
    main()
