"""Planted artefact units are found and removed; actions write pages that link to each other and to the report."""

import json
import re
from urllib.parse import unquote

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted_units import ARTEFACTS, DRIVE, Oracle, planted

import ganx
from ganx.dissection import Samples, artifact_scores, dissect, repair, sequential
from ganx.dissection import run as running
from ganx.dissection.actions import repaired
from ganx.dissection.artifacts import features_of
from ganx.dissection.groups import read_groups, rows, score
from ganx.dissection.judge import Judge, judge
from ganx.dissection.run import Request, run
from ganx.errors import GanxError
from ganx.metrics.moments import moments
from ganx.report import explain

KEY = jax.random.key(0)


def means(images):
    n = len(images)
    return images.reshape(n, 4, -1, 4, images.shape[2] // 4, 3).mean((2, 4)).reshape(n, -1)


@pytest.fixture(scope="module")
def broken():
    return planted(side=16, artefacts=True)


@pytest.fixture(scope="module")
def critic():
    x, _ = features_of(planted(side=16), "cells", means, jax.random.key(7), 512)
    return Judge("FD-means", means, moments(x))


def test_planted_artefact_units_are_found_and_their_removal_helps(broken, critic):
    x, peaks = features_of(broken, "cells", means, KEY, 256)
    worst = artifact_scores(x, peaks, critic.real, 64).worst(6)
    assert set(worst[:2].tolist()) == set(ARTEFACTS)
    units = sequential(broken, "cells", worst, means, critic.real, KEY, 256)
    assert sorted(units.tolist()) == ARTEFACTS
    result = repair(broken, "cells", units, means, critic.real, jax.random.key(1), 256)
    assert result.after < 0.2 * result.before
    assert result.random > 0.9 * result.before


def test_nothing_is_removed_where_nothing_is_broken(critic):
    gan = planted(side=16)
    x, peaks = features_of(gan, "cells", means, KEY, 256)
    worst = artifact_scores(x, peaks, critic.real, 64).worst(6)
    assert len(sequential(gan, "cells", worst, means, critic.real, KEY, 256)) == 0
    samples, said = Samples(gan, "cells", Oracle(), KEY, 64), []
    found = dissect(gan, "cells", Oracle(), 64, 0.05, key=KEY, topk=5)
    done = repaired(samples, found, critic, 2, jax.random.key(3), said.append)
    np.testing.assert_array_equal(done.images[0], done.images[1])
    assert "no artefact units" in said[-1]


def test_actions_write_pages_that_link_to_each_other_and_to_the_report(broken, critic, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "load", lambda name: broken)
    monkeypatch.setattr(running, "find", lambda name: tmp_path)
    monkeypatch.setattr(running, "choose_segmenter", lambda gan, name: Oracle())
    monkeypatch.setattr(running, "judge", lambda *args: critic)
    report = explain(broken, tmp_path, samples=8, only=["samples"])
    (tmp_path / "mine.html").write_text("not a page of ours")
    out, said = tmp_path / "dissection", []
    request = Request(images=64, threshold=0.05, units=4, actions={"ablate": "tree", "insert": "door"}, repair=True)
    run("planted", out, request, said.append)
    names = {"index.html", "cells-ablate-tree.html", "cells-insert-door.html", "cells-repair.html"}
    assert {path.name for path in out.glob("*.html")} == names
    explain(broken, tmp_path, samples=8, only=["samples"])  # written again, it keeps its links
    for path in (report, *out.glob("*.html")):
        links = re.findall(r'class="other" href="([^"]*)"', path.read_text())
        assert {(path.parent / unquote(link)).resolve() for link in links} == {
            other.resolve() for other in (report, *out.glob("*.html")) if other != path
        }
    numbers = json.loads((out / "cells-repair.json").read_text())
    assert sorted(numbers["units"]) == ARTEFACTS
    assert numbers["after"] < numbers["before"]
    assert "FD-means" in (out / "cells-repair.html").read_text()
    assert json.loads((out / "cells-ablate-tree.json").read_text())["removed"] == 1
    assert (tmp_path / "mine.html").read_text() == "not a page of ours"
    assert any("FD-means goes from" in line for line in said)


def test_the_judge_says_what_it_is():
    gan = ganx.load("faces32")
    images = jnp.asarray(gan(gan.latents(KEY, 4)))
    for net, name in (("", "FD-faces"), ("pixels", "FD-pixels")):
        found = judge(gan, "world:faces", 8, net)
        assert (found.name, found.real.count) == (name, 8)
        assert found.features(images).shape == (4, len(found.real.mean))
    with pytest.raises(GanxError, match="give --real"):
        judge(gan, "", 8)
    with pytest.raises(GanxError, match="size=32"):
        judge(gan, "world:faces?size=16", 8)
    with pytest.raises(GanxError, match="feature network"):
        judge(gan, "world:faces", 8, "resnet")


def test_groups_are_scored_like_units(tmp_path):
    gan, labels = planted(side=16), np.full(24, 3)
    for group, name in enumerate(("building", "tree", "door")):
        labels[DRIVE[name]] = group
    np.savez(tmp_path / "groups.npz", stage=np.array("cells"), labels=labels.astype(np.int32))
    groups = read_groups(tmp_path, gan)
    found = dissect(gan, "cells", Oracle(), 64, 0.05, key=KEY, topk=5, mix=groups.means)
    effect = score(Samples(gan, "cells", Oracle(), KEY, 64), groups)
    table = {row[0]: row for row in rows(found, groups, effect)}
    assert [table[g][2] for g in (1, 2)] == ["tree", "door"]
    assert [(table[g][4], table[g][6]) for g in (1, 2)] == [(1, "tree"), (1, "door")]
    assert table[3][4] < 0.05  # units of noise and those that only go along cause nothing
    assert read_groups(tmp_path.parent, gan) is None
    with pytest.raises(GanxError, match="no groups"):
        read_groups(tmp_path / "none.npz", gan)
    np.savez(tmp_path / "groups.npz", stage=np.array("cells"), labels=labels[:9])
    with pytest.raises(GanxError, match="9 units"):
        read_groups(tmp_path, gan)


def test_groups_of_the_gan_itself_are_scored_without_being_asked_for(tmp_path, monkeypatch):
    gan = planted(side=16)
    labels = np.zeros(24, np.int32)
    labels[DRIVE["tree"]] = 1
    np.savez(tmp_path / "groups.npz", stage="cells", labels=labels)
    monkeypatch.setattr(running, "load", lambda name: gan)
    monkeypatch.setattr(running, "find", lambda name: tmp_path)
    monkeypatch.setattr(running, "choose_segmenter", lambda gan, name: Oracle())
    out = tmp_path / "out"
    run("planted", out, Request(images=16, threshold=0.05), lambda line: None)
    assert "\n1,4,tree," in (out / "cells-groups.csv").read_text()
    assert "in 2 groups" in (out / "index.html").read_text()
    with pytest.raises(GanxError, match=r"has no groups of units \(yet\)"):
        run("planted", out, Request(images=16, groups=str(out)), lambda line: None)


def test_a_gan_of_unknown_data_wants_a_segmenter():
    with pytest.raises(GanxError, match="give --segmenter, such as colours"):
        running.choose_segmenter(planted(side=16), "")


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"units": 0, "actions": {"ablate": "tree"}}, "--units 0: cells can spare 1 to 24"),
        ({"units": -3, "repair": True}, "--units -3"),
        ({"units": 25, "actions": {"insert": "door"}}, "--units 25"),
        ({"mask": "mask.png"}, "with --insert CLASS"),
        ({"mask": "mask.png", "actions": {"insert": "door"}}, "cannot read the mask"),
        ({"actions": {"ablate": "dor"}}, "did you mean 'door'"),
        ({"layers": ("rgb",)}, "no feature maps"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_runs(request_, complaint, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "load", lambda name: planted(side=16))
    monkeypatch.setattr(running, "choose_segmenter", lambda gan, name: Oracle())
    said = []
    with pytest.raises(GanxError, match=complaint):
        run("planted", tmp_path / "out", Request(images=8, **request_), said.append)
    assert not said
    assert not (tmp_path / "out").exists()
