"""Open pages of the built site in headless Chromium: no message, no request, mathematics set.

python .ci/browse.py build/site              a page of each kind
python .ci/browse.py build/site --pictures DIR     and what they look like
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = (
    *("index", "docs/conventions", "docs/gradcheck", "docs/recipes", "api/sampler"),
    *("source/sampler", "source/transforms.affine", "notebooks/05_backpropagation"),
)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    *("--enable-logging=stderr", "--virtual-time-budget=10000", "--window-size=1280,1600"),
)


def main() -> int:
    """Return 0 if nothing is wrong with any page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--pictures", type=Path, metavar="DIR")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("skipped: no Chromium here")
        return 0
    pages = [*PAGES, *(f"docs/derivations/{p.stem}" for p in Path("docs/derivations").glob("*.md"))]
    wrong = 0
    for page in pages:
        with tempfile.TemporaryDirectory() as profile:
            call = [chromium, *QUIET, f"--user-data-dir={profile}"]
            address = (args.site / f"{page}.html").resolve().as_uri()
            done = subprocess.run([*call, "--dump-dom", address], capture_output=True, text=True)
            if args.pictures:
                args.pictures.mkdir(parents=True, exist_ok=True)
                picture = args.pictures.resolve() / f"{page.replace('/', '-')}.png"
                subprocess.run([*call, f"--screenshot={picture}", address], capture_output=True)
        # The theme tells which of its modes it takes.
        said = [line for line in re.findall(r"CONSOLE.*", done.stderr) if "[PST]" not in line]
        formulas, drawn = (len(re.findall(p, done.stdout)) for p in ('"formula', 'class="katex"'))
        if said or done.returncode or drawn < formulas or not done.stdout:
            wrong += 1
            print(f"{page}: {drawn} of {formulas} formulas set; {said}")
    print(f"{len(pages) - wrong} of {len(pages)} pages are well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
