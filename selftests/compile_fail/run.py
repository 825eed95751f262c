# SPDX-License-Identifier: GPL-2.0
"""usage (in the toolchain root): run.py BUILD

Compile each case, the *.rs beside this file, twice, as Kbuild has compiled a driver in BUILD: as it
is, which has to pass without a word, and with --cfg fail, which has to fail with the errors that
its comments announce, there, and with no other. The comments are those of rustc's own tests:

    //~ ERROR text [E0277]   an error on this line; without a code if it has none
    //~ NOTE text            what an error says about this line, to tell its reason
    //~^                     the line above, one more for each ^
    //~?                     in another file
    //~|                     or here, if it is not where the same was announced before: compilers differ
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DRIVER = "samples/lazyirq_minimal"
COMMENT = re.compile(r"//~(\|?)(\^*|\?) (ERROR|NOTE) (.+?)(?: \[(E\d+)\])?$")
ELSEWHERE = None


def driver_command(build):
    """The compiler's command line for a driver, without the source and what is made of it."""
    made = (build / DRIVER).with_name(f".{Path(DRIVER).name}.o.cmd").read_text()
    words = shlex.split(made.splitlines()[0].partition(" := ")[2])
    if ";" in words:  # objtool comes next.
        words = words[: words.index(";")]
    out = words.index("--out-dir")
    del words[out : out + 2]
    return [word for word in words if not word.startswith("--emit=") and DRIVER + ".rs" not in word]


def compile_case(case, *options):
    """Down to machine code, since not all constants are evaluated before."""
    with tempfile.TemporaryDirectory() as out:
        # Kbuild has RUSTC_BOOTSTRAP in the environment. Nobody uses what a case defines.
        done = subprocess.run(
            ["env", "RUSTC_BOOTSTRAP=1", *command, "--error-format=json", "-Adead_code",
             "--emit=obj", "--out-dir", out, *options, case],
            cwd=build, stderr=subprocess.PIPE, text=True)
    said = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return done.returncode, said


def rendered(said):
    return [line for s in said for line in s["rendered"].splitlines()]


def announced(case):
    """By kind, text and code: the places of which one is right."""
    places = {}
    for number, line in enumerate(case.read_text().splitlines(), 1):
        if comment := COMMENT.search(line):
            other, up, *what = comment.groups()
            where = ELSEWHERE if up == "?" else number - len(up)
            if other:
                places[tuple(what)][-1].append(where)
            else:
                places.setdefault(tuple(what), []).append([where])
        elif "//~" in line:
            raise SystemExit(f"{case}:{number}: not understood: {line.strip()}")
    return [(*what, where) for what, each in places.items() for where in each]


def place(case, spans):
    lines = [s["line_start"] for s in spans if s["is_primary"] and s["file_name"] == str(case)]
    return lines[0] if lines else ELSEWHERE


def remarks(case, error):
    """What is said about which line. What is said about none is about the error's."""
    for part in [error, *error["children"]]:
        yield place(case, part["spans"] or error["spans"]), part["message"]
        for span in part["spans"]:
            if span["label"]:
                yield place(case, [{**span, "is_primary": True}]), span["label"]


def differences(case, said):
    """How the errors differ from the announced ones."""
    errors = [s for s in said if s["level"].startswith("error")
              and not s["message"].startswith("aborting due to")]
    remarked = [remark for error in errors for remark in remarks(case, error)]
    found = [(place(case, e["spans"]), e["message"], (e["code"] or {}).get("code")) for e in errors]
    expected = announced(case)
    if not any(kind == "ERROR" for kind, *_ in expected):
        yield "no error is announced"
    for kind, text, code, lines in expected:
        at = " or ".join("elsewhere" if line is ELSEWHERE else f"on line {line}" for line in lines)
        if kind == "NOTE":
            if not any(where in lines and text in what for where, what in remarked):
                yield f"nothing says {at}: {text}"
            continue
        match = [f for f in found if f[0] in lines and text in f[1] and code == f[2]]
        if match:
            found.remove(match[0])
        else:
            yield f"no error {at}: {text}" + (f" [{code}]" if code else "")
    for line, text, code in found:
        at = "elsewhere" if line is ELSEWHERE else f"on line {line}"
        yield f"unexpected error {at}: {text}" + (f" [{code}]" if code else "")


def check(case):
    """The results: what is checked, and what is wrong, if anything."""
    code, said = compile_case(case)
    wrong = [f"exit code {code}"] if code != 0 else []
    yield f"{case.stem}: the twin compiles", wrong + rendered(said)

    code, said = compile_case(case, "--cfg", "fail")
    wrong = [f"exit code {code}"] if code != 1 else []  # More, if the compiler has crashed.
    wrong += differences(case, said)
    yield f"{case.stem}: is refused for its reason", wrong and wrong + rendered(said)


build = Path(sys.argv[1])
command = driver_command(build)
cases = sorted(Path(__file__).parent.glob("*.rs"))
print("TAP version 13")
print(f"1..{2 * len(cases)}")
number = bad = 0
with ThreadPoolExecutor(os.cpu_count()) as pool:
    for results in pool.map(lambda case: list(check(case)), cases):
        for what, wrong in results:
            number += 1
            bad += bool(wrong)
            for line in wrong:
                print("#", line)
            print("not ok" if wrong else "ok", number, what, flush=True)
sys.exit(bad > 0)
