"""A run of several methods, one after the other, as progressive growing is: no image skipped, resumed anywhere."""

import dataclasses
import json

import chex
import jax
import numpy as np
import pytest
import toy

import ganx
from ganx.data.order import Order
from ganx.models import FAMILIES
from ganx.training import default_config, loop
from ganx.training.adversarial import adversarial
from ganx.training.mesh import make_mesh
from ganx.training.method import Span


@pytest.fixture
def config(pictures, monkeypatch):
    """Two steps of 16 images, then steps of 8; each step reports the first example that it was given."""
    monkeypatch.setitem(FAMILIES, "toy", toy.FAMILY)
    config = default_config()
    config.data.source, config.model.family, config.batch = pictures, "toy", 16
    config.log_every = 1
    config.sample_every = config.checkpoint_every = 0
    config.samples = 4

    def spans(config, data, mesh):
        config = config.copy_and_resolve_references()
        large = adversarial(config, data, mesh)
        config.batch = 8
        return [Span(_telling(large), 0, 2), Span(_telling(adversarial(config, data, mesh)), 2, None, batches=4)]

    monkeypatch.setattr(loop, "_spans", spans)
    return config


def _telling(method):
    def step(state, batch, due):
        state, metrics = method.step(state, batch, due)
        return state, {**metrics, "first": batch["index"][0].astype("float32")}

    return dataclasses.replace(method, step=step)


def test_the_feed_goes_on_where_the_span_before_left_it_and_so_does_a_resumed_run(config, tmp_path):
    mesh = make_mesh(jax.devices()[:1])
    config.steps = 4
    loop.train(config, tmp_path / "whole", mesh)
    for config.steps in (1, 3, 4):
        loop.train(config, tmp_path / "parts", mesh)
    whole, parts = ([json.loads(x) for x in (tmp_path / n / "metrics.jsonl").open()] for n in ("whole", "parts"))
    assert [line["step"] for line in whole] == [line["step"] for line in parts] == [1, 2, 3, 4]
    expected = Order(64, config.seed)[np.array([0, 16, 32, 40])]
    assert [line["first"] for line in whole] == expected.tolist()
    assert [line["first"] for line in parts] == expected.tolist()
    chex.assert_trees_all_equal(ganx.load(tmp_path / "whole").variables, ganx.load(tmp_path / "parts").variables)
