"""What xmir does through private doors of other libraries, in one place and at the lowest floor.

One module or folder a library. Every public function says in its docstring why it is needed, the
version it was seen with, and the test that fails without it; `tests/workarounds` holds it to that.
When a library changes, look here first.

`torch/` and `pyarrow` import these libraries; the others are light enough for `xmir --help`.
"""
