"""What pytest is not to look into, and how many threads each of its workers may have."""

import os

# One worker runs on each processor; threads of theirs only wait for each other. NumPy reads this
# when it is imported first, which is later.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["STNREF_NUM_THREADS"] = "1"

# Files for the comparison with PyTorch that hold no tests.
collect_ignore = ["golden/make_golden.py", "peers/torch_peer.py", "peers/onnx_cases.py"]
