"""What each command does, from top to bottom: the Python API of xmir.

`run(description)` of a story yields its records and returns an `Ending`:

    from xmir_cli.stories import query
    hits = list(query.run(query.Query(images=["case.png"], index="cxr.xmir", top=3)))
"""
