# SPDX-License-Identifier: GPL-2.0
"""usage (in the toolchain root): run.py

Run each model, the tests of this crate; then break the files that they check, as the file mutations
says, one way at a time in a copy, and see that the model named there fails. That file is a list of

    rust/FILE: MODEL    what is broken
    - text              that is in the file once
    + text              that takes its place

with any number of lines to each text, and of pairs of texts.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
SECONDS = 300  # More than any model takes.


def build():
    """Has cargo build the crate. Returns the tests' executable, and how to compile a copy."""
    done = subprocess.run(
        ["cargo", "test", "--locked", "--no-run", "--lib", "--message-format=json-render-diagnostics"],
        cwd=HERE, stdout=subprocess.PIPE, check=True, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    made = {s["target"]["name"]: s for s in said if s["reason"] == "compiler-artifact"}
    loom = next(name for name in made["loom"]["filenames"] if name.endswith(".rlib"))
    return made["models"]["executable"], [
        "rustc", "--test", "--edition=2021", "--crate-name=models", "--cap-lints=allow",
        f"--extern=loom={loom}", f"-Ldependency={Path(loom).parent}"]


def run(executable, model):
    """The exit code, and the output."""
    try:
        done = subprocess.run(
            [executable, "--exact", model, "--nocapture", "--test-threads=1"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
        return done.returncode, done.stdout.splitlines()
    except subprocess.TimeoutExpired:
        return None, [f"not over after {SECONDS} s"]


def check(model):
    """The result: what is checked, and what is wrong, if anything."""
    code, output = run(executable, model)
    count = re.search(r"\d+ executions.*", "\n".join(output))
    return f"{model}: {count[0] if count else 'none'}", [] if code == 0 and count else output[-30:]


class Mutation:
    def __init__(self, head, lines):
        match = re.fullmatch(r"(rust/\S+): (\S+) +(.+)", head)
        if not match:
            raise SystemExit(f"mutations: not understood: {head}")
        self.file, self.model, self.what = match.groups()
        texts = [(kind, "\n".join(line[2:] for line in group))
                 for kind, group in itertools.groupby(lines, lambda line: line[0])]
        kinds = "".join(kind for kind, _ in texts)
        if not re.fullmatch(r"(-\+)+", kinds):
            raise SystemExit(f"mutations: no pairs of - and +: {head}")
        self.pairs = [(old[1], new[1]) for old, new in zip(texts[::2], texts[1::2])]

    def apply(self, text):
        for old, new in self.pairs:
            if text.count(old) != 1:
                raise ValueError(f"is in the file {text.count(old)} times:\n{old}")
            text = text.replace(old, new)
        return text

    def check(self):
        what = f"{self.model} fails: {self.what}"
        with tempfile.TemporaryDirectory() as copy:
            copy = Path(copy)
            shutil.copytree(TOP / "rust", copy / "rust")
            shutil.copytree(HERE / "src", copy / "selftests/models/src")
            file = copy / self.file
            try:
                file.write_text(self.apply(file.read_text()))
            except ValueError as error:
                return what, str(error).splitlines()
            mutant = copy / "mutant"
            done = subprocess.run(
                [*compiler, "-o", mutant, copy / "selftests/models/src/lib.rs"],
                stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                return what, done.stderr.splitlines()
            code, output = run(mutant, self.model)
            # A panic, or a crash: what was broken may be why memory is used that is gone.
            ran = f"test {self.model} ... " in "\n".join(output)
            return what, [] if code in (101, -6, -11) and ran else output[-30:]


def mutations():
    blocks = re.sub(r"(?m)^#.*\n", "", (HERE / "mutations").read_text()).strip().split("\n\n")
    return [Mutation(head, lines) for head, *lines in map(str.splitlines, blocks)]


executable, compiler = build()
listed = subprocess.run([executable, "--list"], stdout=subprocess.PIPE, check=True, text=True)
models = [line.removesuffix(": test") for line in listed.stdout.splitlines() if line.endswith(": test")]
mutants = [m for m in mutations() if '' in m.model]
models = [m for m in models if '' in m]
unbroken = set(models) - {mutation.model for mutation in mutants}

print("TAP version 13")
print(f"1..{len(models) + len(mutants) + 1}")
with ThreadPoolExecutor(os.cpu_count()) as pool:
    jobs = [*(lambda m=m: check(m) for m in models), *(m.check for m in mutants)]
    results = itertools.chain(
        pool.map(lambda job: job(), jobs),
        [("each model is seen to fail", sorted(unbroken))])
    bad = 0
    for number, (what, wrong) in enumerate(results, 1):
        bad += bool(wrong)
        for line in wrong:
            print("#", line)
        print("not ok" if wrong else "ok", number, what, flush=True)
sys.exit(bad > 0)
