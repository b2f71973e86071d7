"""What pyproject.toml cannot say: notebooks/ is part of the package, though it lies beside it."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["stnref", "stnref.*"]), "stnref.notebooks"],
    package_dir={"stnref.notebooks": "notebooks"},
    package_data={"stnref": ["py.typed"], "stnref.notebooks": ["*.ipynb"]},
)
