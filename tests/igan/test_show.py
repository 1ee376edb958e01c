"""Pictures of groups and swaps, their scores against the truth, and the commands."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import ganx
from ganx.cli import main
from ganx.igan import draw
from ganx.igan.cut import choose_cut
from ganx.igan.evaluate import evaluate, evaluate_collage
from ganx.igan.files import Concepts
from ganx.igan.identity import FaceSwap, _asked, face_collage, face_swap
from ganx.igan.lens import groups as lens
from ganx.igan.matched import WHOLE, match
from ganx.igan.pairs import draw_pairs
from ganx.igan.rules import Alternation, Lambda3
from ganx.igan.trial import on_trial
from ganx.igan.truth import grown, part_masks, part_names, parts_of, world_of
from ganx.lens import ImageGrid, Inquiry, Table
from ganx.readers import attribute_reader
from ganx.segmenters import open_segmenter

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def faces():
    gan = ganx.load("faces32")
    return gan, choose_cut(gan), parts_of(gan)


@pytest.fixture(scope="module")
def scores(faces):
    gan, cut, parts = faces
    everything = np.zeros(gan.shapes[cut.stage][-1], int)
    key = jax.random.key(1)
    trial = on_trial(gan, Concepts(cut, everything, 1), parts, key, pairs=8)
    return evaluate(trial, ("hair", "mouth")), evaluate_collage(trial, ("hair", "mouth"))


def test_whose_face_it_is_after_a_swap(faces):
    """All channels bring the donor's face, none leaves the one that was there, and true masks bring most of it."""
    gan, cut, parts = faces
    embed = jax.jit(attribute_reader("faces", 32).identity)
    everything = np.zeros(gan.shapes[cut.stage][-1], int)
    trial = on_trial(gan, Concepts(cut, everything, 1), parts, jax.random.key(2), 24)
    whole = face_swap(trial, embed)
    assert whole == FaceSwap({0: 1.0}, 1.0, 1.0, pytest.approx(0.0, abs=1e-3))
    collaged = face_collage(trial, embed)
    assert collaged.groups == {}
    assert collaged.nearer > 0.7
    assert 0 < collaged.distance < 1
    pairs = draw_pairs(gan, cut, parts, jax.random.key(3), 24)
    stayed = _asked(pairs, pairs.before, embed, {})
    assert stayed.nearer == 0
    assert stayed.distance == pytest.approx(1, abs=0.3)


def test_a_cut_leaves_a_stage_between_features_and_image(faces):
    assert faces[1].stage == "s1"  # s2 is the last before the image


def test_the_parts_of_a_world_are_read_off_its_pictures(faces):
    world, parts = world_of(faces[0]), faces[2]
    example = world.gather(np.arange(8))
    masks = part_masks(parts, jnp.asarray(example.image) / 127.5 - 1)
    assert (masks.sum(1) == 1).all()
    mouth = np.isin(example.mask, [world.CLASSES.index(name) for name in ("lips", "teeth")])
    np.testing.assert_array_equal(masks[:, part_names(parts).index("mouth")], mouth)
    one = jnp.zeros((1, 5, 5), bool).at[0, 2, 2].set(True)
    assert int(grown(one, 1).sum()) == 9


def test_swapping_all_channels_brings_the_whole_donor(scores):
    """One group of everything: the part arrives for certain, and nothing stays local."""
    for part in scores[0].parts.values():
        assert part.groups == {0: 1.0}
        assert part.transfer == pytest.approx(1.0, abs=1e-4)
        assert part.approach == pytest.approx(1.0, abs=1e-4)
        assert part.choice == 1.0
        assert part.ratio > 0.3


def test_collaging_is_local_and_carries_the_part(scores):
    for name, part in scores[1].parts.items():
        assert part.ratio < 0.5 * scores[0].parts[name].ratio
        assert part.choice > 0.7


def test_a_face_is_stood_for_by_groups_of_what_is_in_it(faces):
    gan, cut, parts = faces
    labels = jnp.arange(gan.shapes[cut.stage][-1]) % 6
    found = match(gan, cut, labels, 6, parts, KEY, pairs=8)
    inside = found.energy[:, [found.names.index(name) for name in WHOLE["face"] if name in found.names]].sum(1)
    chosen = found.standing_for("face", 0.5)
    assert 0 < len(chosen) < 6
    assert list(chosen) == sorted(chosen, key=lambda group: -inside[group])


def test_a_layout_tints_the_groups_asked_for_and_a_field_stays_bright():
    images = np.full((2, 4, 4, 3), 100, np.uint8)
    middle = np.zeros((2, 2, 4, 4))
    middle[:, 0, :, :2], middle[:, 1, :, 2:] = 1, 0.3
    picture = draw.layout(images, middle, chosen=(1,))
    assert (picture[:, :2] == 50).all()
    assert (picture[:, 2:] != 50).any()
    seen = draw.fields(images, middle)
    assert seen.shape == (2, 2, 4, 4, 3)
    assert (seen[0, :, :, :2] == 100).all()
    assert (seen[0, :, :, 2:] == 35).all()
    np.testing.assert_array_equal(draw.examples(np.array([0, 0, 2]), 3, 2), [[0, 1], [-1, -1], [2, 2]])


def test_when_updates_run():
    when = Alternation(every=10, updates=3, recover=20)
    runs = [bool(when.active(jnp.int32(step), jnp.int32(done))) for step, done in [(0, 0), (10, 0), (20, 0), (70, 2)]]
    assert runs == [False, False, True, True]
    assert [bool(when.guides(jnp.int32(done))) for done in (0, 2, 3)] == [True, True, False]
    assert not when.active(jnp.int32(50), jnp.int32(3))
    forever = Alternation(every=10, updates=0, recover=0)
    assert forever.guides(jnp.int32(99))
    assert not forever.active(jnp.int32(0), jnp.int32(0))  # no GAN step came before
    with pytest.raises(ganx.GanxError, match="no unit"):
        Lambda3(unit="epoch")


def test_groups_and_swap_as_commands(tmp_path, capsys):
    assert main(["groups", "faces32", "--out", str(tmp_path / "g"), "--count", "4", "--score"]) == 0
    numbers = json.loads((tmp_path / "g" / "groups.json").read_text())
    assert [numbers[name]["groups"] for name in numbers] == [4]
    assert all(sum(each["share"]) == pytest.approx(1.0) for each in numbers.values())
    assert Image.open(tmp_path / "g" / "layout.png").size == (96, 96)
    scores = json.loads((tmp_path / "g" / "scores.json").read_text())
    assert set(scores) == {"mixture of 4", "random groups", "collaging"}
    assert scores["collaging"]["parts"]["mouth"]["choice"] > 0.7
    out = tmp_path / "swap.png"
    how = ["--pairs", "2", "--count", "4", "--out", str(out)]
    assert main(["swap", "faces32", "--part", "hair", *how]) == 0
    assert Image.open(out).size == (5 * 96 + 4 * 4, 2 * 96 + 4)
    assert "groups" in capsys.readouterr().out
    assert main(["swap", "faces32", "--part", "low", "--segmenter", "boxes:low=0.6,0.2,0.9,0.8", *how]) == 0
    assert "groups" in capsys.readouterr().out


def test_what_no_part_covers_counts_as_spilled(faces):
    """Boxes leave most of the picture out; what groups do there is in the last column, and all of it adds up."""
    gan, cut, parts = faces
    labels = jnp.arange(gan.shapes[cut.stage][-1]) % 6
    box = match(gan, cut, labels, 6, open_segmenter("boxes:low=0.6,0.2,0.9,0.8"), KEY, pairs=8)
    everywhere = match(gan, cut, labels, 6, parts, KEY, pairs=8)
    assert (box.energy.shape, box.names) == ((6, 2), ("low",))
    np.testing.assert_array_equal(everywhere.energy[:, -1], 0)
    np.testing.assert_allclose(box.energy.sum(1), everywhere.energy.sum(1), rtol=1e-5)
    assert box.standing_for("low")
    with pytest.raises(ganx.GanxError, match="no part named 'face'"):
        box.standing_for("face")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part", "mout"], "did you mean 'mouth'"),
        (["--part", "mout", "--segmenter", "boxes:mouth=0,0,1,1"], "did you mean 'mouth'"),
        (["--part", "mouth", "--segmenter", "boxes:mouth=0,0"], "is no box"),
        (["--groups", "1,x"], "give numbers of groups"),
        (["--groups", "99"], "groups 0 to 3"),
        (["--groups", "1", "--move", "2"], "give DOWN,RIGHT"),
        (["--groups", "1", "--langevin", "2"], "needs the energy"),
    ],
)
def test_bad_wishes_are_one_line(words, message, tmp_path, capsys):
    assert main(["swap", "faces32", "--count", "4", "--out", str(tmp_path / "x.png"), *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in said


def test_the_report_shows_groups_and_for_a_world_their_scores(faces):
    section = lens(faces[0], Inquiry(KEY, samples=8, source="world:faces?size=32"))
    kinds = [type(figure) for figure in section.figures]
    assert kinds.count(ImageGrid) >= 4
    assert Table in kinds
    assert set(section.numbers["scores"]) == {"groups", "random groups", "collaging"}
    assert len(section.arrays["labels"]) == faces[0].shapes[faces[1].stage][-1]
