"""What pytest is not to look into: files for the comparison with PyTorch that hold no tests."""

collect_ignore = ["golden/make_golden.py", "peers/torch_peer.py", "peers/onnx_cases.py"]
