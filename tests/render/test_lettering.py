"""Long names never leave their place."""

from xmir_cli.render.lettering import drawable, font, shorten


def test_a_name_that_fits_stays_as_it_is():
    assert shorten("chest.png", font(12), 200) == "chest.png"


def test_a_long_name_keeps_its_ends_and_fits():
    face = font(12)
    short = shorten("a-very-long-name-of-a-picture-0001.png", face, 100)
    assert face.getlength(short) <= 100
    assert short[0] == "a"
    assert short.endswith("png")
    assert "…" in short


def test_no_room_at_all_leaves_the_dots():
    assert shorten("abcdef", font(12), 1) == "…"


def test_what_the_font_lacks_becomes_what_it_has():
    assert drawable("Müller · Straße … É") == "Muller · Strasse … E"
    assert drawable("漢.png") == "\\u6f22.png"
