"""Mutation testing of the core: ``make mutants``.

cosmic-ray changes one operator, number, comparison, … at a time, and each module's own test file,
with its doctests, has to notice. A seeded sample of all mutants is tried, or all of some modules:

    python .ci/mutants.py --sample 300
    python .ci/mutants.py --modules taps sampler

It works on a clone, on what is committed. Mutants of annotations and of `overload` are left out, as
nothing runs these. Mutants that change nothing that could be observed stand in
`equivalent_mutants.txt`, each with its reason.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TESTS = {
    "coordinates": "test_coordinates.py",
    "kernels": "test_kernels.py",
    "padding": "test_padding.py",
    "taps": "test_taps.py",
    "sampler": "test_sampler.py test_second_derivatives.py",
    "kinks": "test_kinks.py",
    "splat": "test_splat.py",
    "filled": "test_filled.py",
    "spatial_transformer": "test_spatial_transformer.py",
    "transforms/affine": "transforms/test_affine.py",
    "transforms/projective": "transforms/test_projective.py",
    "transforms/basis": "transforms/test_basis.py",
    "transforms/flow": "transforms/test_flow.py",
    "transforms/algebra": "transforms/test_algebra.py",
    "transforms/constrain": "transforms/test_constrain.py",
    "transforms/registry": "transforms/test_registry.py",
}
"""The modules of the core, and the files that test them."""

CONFIG = """\
[cosmic-ray]
module-path = "{module}"
timeout = 60.0
excluded-modules = []
test-command = {command}
[cosmic-ray.distributor]
name = "local"
"""


class Mutant(NamedTuple):
    """One change: what it is called, and what it does to the text."""

    job: str
    name: str  # module, line of code, operator, number of the place on the line


def _session(clone: Path, module: str) -> Path:
    """Let cosmic-ray list all mutants of a module; return its session file."""
    tests = " ".join(f"tests/{name}" for name in TESTS[module].split())
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {tests} stnref/{module}.py"
    stem = clone / module.replace("/", "_")
    config, session = stem.with_suffix(".toml"), stem.with_suffix(".sqlite")
    text = CONFIG.format(module=f"stnref/{module}.py", command=json.dumps(command))
    config.write_text(text, encoding="utf-8")
    _cosmic_ray(clone, "init", config, session)
    return session


def _cosmic_ray(clone: Path, *arguments: object) -> None:
    tool = Path(sys.executable).with_name("cosmic-ray")
    subprocess.run([tool, *map(str, arguments)], cwd=clone, check=True, capture_output=True)


def _annotations(tree: ast.AST) -> set[tuple[int, int]]:
    """Return the places, line and column, of what stands in annotations."""
    found: set[tuple[int, int]] = set()
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            hint = getattr(node, field, None)
            if isinstance(hint, ast.AST):
                for part in ast.walk(hint):
                    if isinstance(part, ast.expr):
                        end = range(part.col_offset, (part.end_col_offset or 0) + 1)
                        found |= {(part.lineno, column) for column in end}
    return found


def _mutants(clone: Path, module: str, session: Path) -> list[Mutant]:
    """Name the mutants of a session, without those of annotations."""
    source = (clone / "stnref" / f"{module}.py").read_text(encoding="utf-8")
    lines, hints = source.splitlines(), _annotations(ast.parse(source))
    query = (
        "select job_id, operator_name, start_pos_row, start_pos_col, operator_args"
        " from mutation_specs order by start_pos_row, start_pos_col, operator_name, occurrence"
    )
    with sqlite3.connect(session) as base:
        rows = base.execute(query).fetchall()
    mutants, seen = [], dict[str, int]()
    for job, operator, row, column, _ in rows:
        if (row, column) in hints or lines[row - 1].strip() == "@overload":
            continue
        name = f"{module}: {lines[row - 1].strip()} # {operator.removeprefix('core/')}"
        seen[name] = seen.get(name, 0) + 1
        mutants.append(Mutant(job, f"{name} {seen[name]}"))
    return mutants


def _run(clone: Path, module: str, session: Path, chosen: Sequence[Mutant]) -> list[str]:
    """Try the chosen mutants; return the names of those that no test notices."""
    with sqlite3.connect(session) as base:
        base.execute("create temp table chosen (job text)")
        base.executemany("insert into chosen values (?)", [(mutant.job,) for mutant in chosen])
        for table in ("mutation_specs", "work_items"):
            base.execute(f"delete from {table} where job_id not in (select job from chosen)")
    _cosmic_ray(clone, "exec", session.with_suffix(".toml"), session)
    with sqlite3.connect(session) as base:
        outcome = dict(base.execute("select job_id, test_outcome from work_results").fetchall())
    return [mutant.name for mutant in chosen if "SURVIVED" in str(outcome[mutant.job]).upper()]


def main() -> int:
    """Print the score of each module, and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sample", type=int, help="number of mutants of all modules together")
    parser.add_argument("--modules", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    args = parser.parse_args()
    listed = (ROOT / ".ci" / "equivalent_mutants.txt").read_text(encoding="utf-8")
    equivalent = {line for line in listed.splitlines() if line and not line.startswith("#")}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        sessions = {module: _session(clone, module) for module in args.modules}
        mutants = [
            (module, mutant)
            for module, session in sessions.items()
            for mutant in _mutants(clone, module, session)
            if mutant.name not in equivalent
        ]
        if args.sample:
            chosen = random.Random(args.seed).sample(mutants, min(args.sample, len(mutants)))
        else:
            chosen = mutants
        tried = survived = 0
        for module, session in sessions.items():
            own = [mutant for of, mutant in chosen if of == module]
            alive = _run(clone, module, session, own) if own else []
            tried, survived = tried + len(own), survived + len(alive)
            print(f"{module:24s}{len(own) - len(alive):5d} of {len(own):5d} noticed", flush=True)
            for name in alive:
                print(f"    {name}", flush=True)
    print(f"{'all':24s}{tried - survived:5d} of {tried:5d} noticed: {1 - survived / tried:.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
