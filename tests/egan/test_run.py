"""A run through `ganx train`: it resumes to the bit, opens as a `Gan`, and tells its history."""

import json

import jax
import numpy as np
import pytest

from ganx import GanxError, load
from ganx.cli import main
from ganx.egan import history
from ganx.egan.lens import smoothness
from ganx.egan.method import method
from ganx.egan.options import add_egan
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


def test_resuming_changes_no_bit(config, workdir, tmp_path_factory):
    whole = tmp_path_factory.mktemp("egan") / "whole"
    train(config, whole, make_mesh(jax.devices()[:1]))
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
    def record(diversity, steps=1000, gamma=2.0):
        values = {"spread_quality": np.array([0.01]), "spread_diversity": np.array([diversity])}
        return history.History(np.array([steps]), values, ("minimax", "heuristic"), gamma)

    assert "dominates selection" in history.warning(record(0.12))
    assert history.warning(record(0.03)) is None
    assert history.warning(record(0.12, steps=400)) is None
    assert history.warning(record(0.12, gamma=0.01)) is None


def test_smoothness_is_largest_over_mean_step():
    frames = np.array([0, 1, 2, 5], float).reshape(1, 4, 1, 1, 1)
    assert smoothness(frames) == pytest.approx(3 / (5 / 3))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evaluation": 1}, "evaluation=2 or more"),
        ({"mutations": ("heuristc",)}, "heuristic"),
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
