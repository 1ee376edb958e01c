"""A run through `ganx train`: it resumes to the bit, opens as a `Gan`, and tells its history."""

import contextlib
import io
import json

import chex
import jax
import numpy as np
import pytest

from ganx import GanxError, load
from ganx.cli import main
from ganx.data import open_source
from ganx.egan import history
from ganx.egan.lens import smoothness
from ganx.egan.method import method
from ganx.egan.options import add_egan
from ganx.models.initialise import initialise
from ganx.store import load_discriminator
from ganx.training import default_config
from ganx.training.loop import train
from ganx.training.mesh import make_mesh


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, images=rng.integers(0, 256, (64, 4, 4, 3)).astype(np.uint8), labels=np.arange(64) % 3)
    config = default_config()
    config.data.source = f"npz:{path}"
    config.model.family = "mlp"
    config.model.generator = config.model.discriminator = {"width": 4, "depth": 1}
    config.batch, config.samples, config.steps = 4, 4, 4
    config.log_every, config.sample_every, config.checkpoint_every = 1, 0, 2
    return add_egan(config, parents=2, mutations=("minimax", "heuristic"), evaluation=4, gamma=0.5)


@pytest.fixture(scope="module")
def workdir(config, tmp_path_factory):
    """Two generations, then two more after a resume."""
    folder, mesh = tmp_path_factory.mktemp("egan") / "run", make_mesh(jax.devices()[:1])
    half = config.copy_and_resolve_references()
    half.steps = 2
    train(half, folder, mesh)
    train(config, folder, mesh)
    return folder


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """The four generations in one go, under a limit that every one of them passes, and what was said on the way."""
    folder, told = tmp_path_factory.mktemp("egan") / "whole", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(told):
        patch.setattr(history, "ENOUGH", 1)
        patch.setattr(history, "DOMINANT", -1.0)
        train(config, folder, make_mesh(jax.devices()[:1]))
    return folder, told.getvalue()


def test_a_warning_is_told_once_while_training(whole):
    assert whole[1].count("warning: the diversity term dominates selection") == 1


def test_resuming_changes_no_bit(workdir, whole):
    whole = whole[0]
    for k in range(2):
        pair = [history.member(folder, k).variables for folder in (workdir, whole)]
        assert all(jax.tree.leaves(jax.tree.map(np.array_equal, *pair)))
    np.testing.assert_array_equal(history.trail(workdir), history.trail(whole))


def test_the_fittest_member_is_the_gan(workdir):
    best, first, second = load(workdir), history.member(workdir, 0), history.member(workdir, 1)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, best.variables, first.variables)))
    assert not all(jax.tree.leaves(jax.tree.map(np.array_equal, best.variables, second.variables)))
    with pytest.raises(GanxError, match="no member 2"):
        history.member(workdir, 2)


@pytest.mark.parametrize("islands", [1, 2])
def test_a_population_descends_from_a_saved_gan(config, workdir, islands):
    heirs = config.copy_and_resolve_references()
    heirs.init, heirs.egan.islands = str(workdir), islands
    fresh = method(heirs, open_source(config.data.source).spec)
    state = fresh.start(initialise(fresh.init, jax.random.key(5)))
    lead = (2,) if islands == 1 else (2, 2)
    for k in np.ndindex(lead):
        one = jax.tree.map(lambda leaf, k=k: leaf[k], state.members.variables)
        chex.assert_trees_all_equal(one, load(workdir).variables)
    assert not np.asarray(state.members.opt[0].count).any()
    critic = jax.tree.map(lambda leaf: leaf[1] if islands > 1 else leaf, state.d.variables)
    chex.assert_trees_all_equal(critic, load_discriminator(workdir)[1])


def test_islands_resume_and_open(config, tmp_path):
    apart = config.copy_and_resolve_references()
    apart.egan.islands, apart.egan.migrate_every, apart.steps = 2, 2, 2
    apart.egan.mapping = "vmap"  # a quarter of the program to compile
    mesh = make_mesh(jax.devices()[:1])
    train(apart, tmp_path / "run", mesh)
    apart.steps = 4
    assert train(apart, tmp_path / "run", mesh).step == 4
    train(apart, tmp_path / "whole", mesh)
    members = [[history.member(tmp_path / run, k).variables for k in range(4)] for run in ("run", "whole")]
    chex.assert_trees_all_equal(*members)
    assert history.trail(tmp_path / "run").shape == (4, 2)
    # the fourth generation ended with a migration around a ring of two
    chex.assert_trees_all_equal(members[0][0], members[0][3])
    chex.assert_trees_all_equal(members[0][2], members[0][1])
    assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, members[0][:2]), strict=True))


def test_the_report_and_a_member_come_out(workdir, tmp_path, capsys):
    assert main(["egan", str(workdir), "--out", str(tmp_path / "report")]) == 0
    numbers = json.loads((tmp_path / "report/report.json").read_text())["sections"]["egan"]
    assert numbers["generations"] == 4
    assert sum(numbers["wins"].values()) == pytest.approx(1)
    assert numbers["warning"] is None
    assert main(["egan", str(workdir), "--member", "1", "--save", str(tmp_path / "second")]) == 0
    assert load(tmp_path / "second").spec.family == "mlp"
    assert main(["egan", "faces32"]) == 2
    assert "no run of E-GAN" in capsys.readouterr().err


def test_ancestors_coalesce():
    rows = np.array([[0, 5], [1, 0], [3, 1]])  # two children a parent: 0 and 2, then 0 twice, then 1 and 0
    np.testing.assert_array_equal(history.ancestors(rows, 2), [1, 1, 2, 2])


def test_a_dominant_diversity_is_told():
    def record(diversity, steps=1000, gamma=2.0, selection="fitness"):
        values = {"spread_quality": np.array([0.01, 0.01]), "spread_diversity": np.array([diversity, 0.01])}
        return history.History(np.array([steps, 2000]), values, ("minimax", "heuristic"), gamma, selection)

    assert "dominates selection" in history.warning(record(0.12))
    assert history.warning(record(0.03)) is None
    assert history.warning(record(0.12, steps=400)) is None
    assert history.warning(record(0.12, gamma=0.01)) is None
    assert history.warning(record(0.12, selection="random")) is None


def test_smoothness_is_largest_over_mean_step():
    frames = np.array([0, 1, 2, 5], float).reshape(1, 4, 1, 1, 1)
    assert smoothness(frames) == pytest.approx(3 / (5 / 3))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evaluation": 1}, "evaluation=2 or more"),
        ({"mutations": ("heuristc",)}, "heuristic"),
        ({"mutations": ("hinge", "minimax", "hinge")}, "twice"),
        ({"gamma": -0.5}, "from 0 up"),
        ({"gamma": float("nan")}, "from 0 up"),
        ({"variation": "chain"}, "parents=1"),
        ({"migrate_every": 5}, "islands=2"),
        ({"selection": "best"}, "fitness"),
    ],
)
def test_bad_options_are_refused_in_one_line(config, changes, says):
    from ganx.data.example import SourceSpec

    bad = config.copy_and_resolve_references()
    for name, value in changes.items():
        bad.egan[name] = value
    with pytest.raises(GanxError, match=says) as caught:
        method(bad, SourceSpec("npz:x", (4, 4, 3)))
    assert "\n" not in str(caught.value)
