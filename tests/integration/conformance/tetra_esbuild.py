#!/usr/bin/env python3
"""Stands in for esbuild, a program that no package index has: puts a file where its bundle would be, and says where.

Tetra runs it to build the scripts of a library, which no test here looks into.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

options = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--") and "=" in word)
source = Path(next(word for word in sys.argv[1:] if not word.startswith("--")))
name = hashlib.sha256(source.read_bytes()).hexdigest()[:8].upper()
built = Path(options["outdir"], f"{source.stem}-{name}{source.suffix}")
built.parent.mkdir(parents=True, exist_ok=True)
shutil.copy(source, built)
Path(options["metafile"]).write_text(json.dumps({"outputs": {str(built): {"entryPoint": str(source)}}}))
