import pytest

from xmir_cli.store.seal import SEAL, seal, unseal

TEXTS = {"model": '{"resize": 256}', "device": "cpu"}


def test_sealed_texts_come_back():
    assert unseal(seal(TEXTS)) == (TEXTS, True)
    assert seal(seal(TEXTS)) == seal(TEXTS)
    assert unseal(TEXTS) == (TEXTS, False)


@pytest.mark.parametrize(
    "change",
    [{"model": '{"resize": 257}'}, {"device": None}, {"more": "x"}, {SEAL: ""}, {SEAL: "0" * 64}],
)
def test_any_other_text_is_noticed(change):
    changed = {**seal(TEXTS), **change}
    with pytest.raises(ValueError, match=SEAL):
        unseal({name: text for name, text in changed.items() if text is not None})
