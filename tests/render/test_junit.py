from xml.etree import ElementTree

from xmir_cli.render.junit import JunitCase, junit


def test_the_xml_counts_and_names_its_cases():
    cases = [
        JunitCase("m", "good"),
        JunitCase("m", "bad", failure="0.1 < 0.2"),
        JunitCase("n", "no", error="gone"),
    ]
    assert junit("suite", cases) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<testsuites>\n"
        '<testsuite name="suite" tests="3" failures="1" errors="1" skipped="0">\n'
        '<testcase classname="m" name="good"/>\n'
        '<testcase classname="m" name="bad"><failure message="0.1 &lt; 0.2">0.1 &lt; 0.2</failure>'
        "</testcase>\n"
        '<testcase classname="n" name="no"><error message="gone">gone</error></testcase>\n'
        "</testsuite>\n"
        "</testsuites>\n"
    )


def test_no_name_breaks_out_of_its_attribute():
    evil = "\"/><x y='1'>&\x1b]0;\x00\ud800"
    text = junit(evil, [JunitCase(evil, evil, failure=evil)])
    root = ElementTree.fromstring(text.encode())  # noqa: S314 # our own
    (case,) = root[0]
    assert (case.tag, case.get("name"), len(case)) == (
        "testcase",
        "\"/><x y='1'>&\ufffd]0;\ufffd\ufffd",
        1,
    )
    assert case[0].text == case.get("name")
