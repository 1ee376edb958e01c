"""Programs: any order, any subset, one for all or one for each sample, one compilation."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.modulargan import Translator, parse_program, plan, translator

NAMES = {"hair": ("black", "blond", "brown"), "smile": ("no", "yes"), "glasses": ("no", "yes")}


def test_programs_are_read_by_name_or_index():
    assert parse_program("hair=blond,smile=1, glasses=no", NAMES) == ((0, 1), (1, 1), (2, 0))
    assert parse_program([("smile", 0), ("smile", "yes")], NAMES) == ((1, 0), (1, 1))
    assert parse_program("", NAMES) == ()


def test_a_program_that_is_parsed_already_is_one():
    assert parse_program(((0, 1), (2, 0)), NAMES) == ((0, 1), (2, 0))
    with pytest.raises(GanxError, match="no value of smile named '2'"):
        parse_program(((1, 2),), NAMES)
    with pytest.raises(GanxError, match="no module named '3'"):
        parse_program(((3, 0),), NAMES)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("hiar=blond", "did you mean 'hair'"),
        ("hair=blonde", "did you mean 'blond'"),
        ("smile=2", "no value of smile named '2'"),
        ("hair", "attribute=value"),
        ("=1", "attribute=value"),
    ],
)
def test_bad_programs_are_refused(text, match):
    with pytest.raises(GanxError, match=match):
        parse_program(text, NAMES)


def played(made, i):
    return tuple((int(a), int(v)) for a, v in zip(made.order, made.values[:, i], strict=True) if v >= 0)


def test_a_plan_runs_every_program_in_its_own_order():
    programs = [((p[0], 0), (p[1], 1), (p[2], 0)) for p in itertools.permutations(range(3))]
    programs += [((0, 2), (1, 0), (0, 1)), (), ((2, 1),)]
    made = plan(programs, 3)
    assert [played(made, i) for i in range(len(programs))] == programs
    assert len(made.order) % 3 == 0
    assert len(made.order) <= 9


def test_programs_that_agree_on_an_order_cost_no_more_than_one_of_them():
    made = plan([((0, 1), (2, 0)), ((1, 1),), ((0, 0), (1, 0), (2, 1))], 3)
    assert made.order.tolist() == [0, 1, 2]


def test_composing_equals_nested_calls(gan, images):
    module, variables = gan.module, gan.variables
    out = Translator(gan).compose(images, "glasses=yes,hair=brown")
    f = module.apply(variables, images, method="encode")
    stages = []
    for k, (name, value) in enumerate((("glasses", 1), ("hair", 2))):
        f, mask = module.apply(variables, name, f, jnp.full(4, value), method="transform")
        np.testing.assert_allclose(out.masks[k], mask, atol=1e-5)
        stages.append(module.apply(variables, f, method="reconstruct"))
    np.testing.assert_allclose(out.stages, jnp.stack(stages), atol=1e-5)
    np.testing.assert_array_equal(out.image, out.stages[-1])
    np.testing.assert_allclose(out.reconstruction, gan(images), atol=1e-5)
    assert out.steps == ("glasses=yes", "hair=brown")
    assert float(out.mask.max()) <= 1.0


def test_each_sample_may_have_a_program_of_its_own(gan, images):
    model = Translator(gan)
    texts = ["hair=blond,smile=1", "smile=0,hair=brown", "", "glasses=1"]
    together = model.compose(images, [parse_program(text, model.attributes) for text in texts])
    for i, text in enumerate(texts):
        alone = model.compose(images[i : i + 1], text)
        np.testing.assert_allclose(together.image[i], alone.image[0], atol=1e-5)


def test_a_parsed_program_is_for_all_images(gan, images):
    model = Translator(gan)
    parsed = parse_program("hair=blond,smile=1", model.attributes)
    for n in (2, 4):  # two images and two steps are no list of programs
        made = model.compose(images[:n], parsed)
        assert made.steps == ("hair=blond", "smile=yes")
        np.testing.assert_array_equal(made.image, model.compose(images[:n], "hair=blond,smile=1").image)


def test_ten_programs_are_one_compilation(gan, images):
    model = Translator(gan)
    model.compose(images, "hair=0")
    before = translator._run._cache_size()
    for order in itertools.permutations(("hair=1", "smile=1", "glasses=1")):
        model.compose(images, ",".join(order))
    for text in ("", "smile=0", "glasses=1,smile=0", "hair=2,hair=0"):
        model.compose(images, text)
    assert translator._run._cache_size() == before


def test_a_transform_is_a_program_of_one_step(gan, images):
    model = Translator(gan)
    f = model.encode(images)
    changed, mask = model.transform("smile", "yes", f)
    assert changed.shape == f.shape
    assert float(mask.min()) > 0
    np.testing.assert_allclose(model.reconstruct(changed), model.compose(images, "smile=1").image, atol=1e-5)


def test_wrong_images_and_numbers_of_programs_are_refused(gan, images):
    model = Translator(gan)
    with pytest.raises(GanxError, match=r"size=16"):
        model.compose(images[:, :8], "smile=1")
    with pytest.raises(GanxError, match="2 programs for 4 images"):
        model.compose(images, [((0, 1),), ((1, 1),)])
    with pytest.raises(GanxError, match="translates images"):
        model.compose(images, "smile=1", label=jnp.zeros(4, jnp.int32))
