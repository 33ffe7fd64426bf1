"""Prints how many seconds nbdime takes to read three notebooks, merge and write them."""
import io
import logging
import sys
import time

import nbformat
from nbdime.args import process_diff_flags
from nbdime.merging import merge_notebooks
from nbdime.nbmergeapp import _build_arg_parser
from nbdime.utils import read_notebook

logging.disable(logging.CRITICAL)
names = [f"{sys.argv[1]}/{n}.ipynb" for n in ("base", "ours", "theirs")]
args = _build_arg_parser().parse_args(["--merge-strategy", "use-local", *names])
process_diff_flags(args)
for _ in range(2):  # the first is warm-up
    began = time.perf_counter()
    base, ours, theirs = (read_notebook(n, on_null="minimal") for n in names)
    merged, _decisions = merge_notebooks(base, ours, theirs, args)
    nbformat.write(merged, io.StringIO())
    took = time.perf_counter() - began
print(took)
