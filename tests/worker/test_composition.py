"""Names of abilities: namespaces, and abilities that include others."""

from __future__ import annotations

import pytest

from gearman_trio.errors import ConfigError
from gearman_trio.names import FunctionName
from gearman_trio.serializers import JSON, TEXT
from gearman_trio.signature import signature_of
from gearman_trio.worker import Abilities
from gearman_trio.worker.ability import Ability


def pictures(namespace: str | bytes = "") -> Abilities:
    """Abilities of two functions that nobody else has."""
    abilities = Abilities(namespace=namespace, serializer=TEXT)

    @abilities.function(timeout=3)
    async def resize(text: str) -> str:
        return text

    @abilities.function(name="crop", serializer=JSON)
    async def crop_image(width: int, height: int) -> int:
        return width * height

    return abilities


def names(abilities: Abilities) -> list[bytes]:
    return [ability.name for ability in abilities]


def called(ability: Ability) -> bytes:
    """What a client calls the function of an ability."""
    return signature_of(ability.function).name


@pytest.mark.parametrize("namespace", ["images.", b"images."])
def test_namespace_stands_before_every_name(namespace: str | bytes) -> None:
    abilities = pictures(namespace)

    assert [b"images.resize", b"images.crop"] == names(abilities) == [called(ability) for ability in abilities]


def test_include_adds_everything_as_it_is() -> None:
    images, abilities = pictures(), Abilities()
    abilities.include(images)

    assert list(images) == list(abilities)
    assert [(b"resize", 3, TEXT), (b"crop", None, JSON)] == [
        (ability.name, ability.timeout, ability.signature.serializer) for ability in abilities
    ]


def test_include_puts_namespace_and_prefix_before_the_names() -> None:
    abilities = Abilities(namespace="app.")
    abilities.include(pictures("images."), prefix="v2.")

    assert [b"app.v2.images.resize", b"app.v2.images.crop"] == names(abilities)


def test_included_functions_are_called_by_their_new_names() -> None:
    images, abilities = pictures(), Abilities()
    abilities.include(images, prefix="images.")

    assert [b"resize", b"crop"] == names(images)
    assert [b"images.resize", b"images.crop"] == [called(ability) for ability in images]


def test_functions_included_under_two_prefixes_have_two_names() -> None:
    images, abilities = pictures(), Abilities()
    abilities.include(images, prefix="a.")
    abilities.include(images, prefix="b.")
    function = next(iter(images)).function

    with pytest.raises(TypeError, match=r"several names, 'a\.resize', 'b\.resize'"):
        signature_of(function)
    assert b"b.resize" == signature_of(function, FunctionName(b"b.resize")).name


def test_functions_that_are_added_later_are_not_included() -> None:
    images, abilities = pictures(), Abilities()
    abilities.include(images)
    images.function(name="late")(lambda text: text)

    assert 2 == len(abilities)


def test_abilities_may_include_themselves_under_another_name() -> None:
    abilities = pictures()
    abilities.include(abilities, prefix="old.")

    assert [b"resize", b"crop", b"old.resize", b"old.crop"] == names(abilities)


def test_a_name_that_is_taken_is_refused_with_both_functions_named_and_nothing_added() -> None:
    abilities = Abilities()

    @abilities.function(name="crop")
    async def mine() -> None: ...

    with pytest.raises(ConfigError) as caught:
        abilities.include(pictures())

    message = str(caught.value)
    assert "function 'crop': these abilities have a function of that name already" in message
    assert "test_composition.test_a_name_that_is_taken" in message
    assert message.endswith("test_composition.pictures.<locals>.crop_image needs another one")
    assert [b"crop"] == names(abilities)


@pytest.mark.parametrize("namespace", ["a\0", "x" * 513])
def test_namespace_that_cannot_be_sent_is_refused(namespace: str) -> None:
    with pytest.raises(ConfigError, match="function name"):
        Abilities(namespace=namespace)


def test_names_are_checked_with_what_stands_before_them() -> None:
    abilities = Abilities(namespace="n" * 256)

    with pytest.raises(ConfigError, match="at most 512 bytes"):
        abilities.include(pictures(), prefix="p" * 256)
    with pytest.raises(ConfigError, match="must not be empty"):
        abilities.function(name="")(len)
