"""One order of examples, whatever the residency, the number of hosts and devices, and where a run was resumed."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.data import Example, open_feed, open_source
from ganx.data.feed import flip_coins, to_float
from ganx.data.order import Order
from ganx.errors import GanxError
from ganx.training.mesh import make_mesh

BATCH, STEPS = 8, 9  # nine batches of eight: past the end of an epoch of fifty


@pytest.fixture(scope="module")
def source(forms):
    return open_source(forms["record"])


@pytest.fixture(scope="module")
def mesh():
    return make_mesh()


def run(source, steps=range(STEPS), batch=BATCH, **options):
    """What a training step would see at each step, as numpy trees."""
    with open_feed(source, batch, seed=3, **options) as feed:
        see = jax.jit(feed.materialise)
        return [jax.device_get(see(feed.constants, feed.batch(step))) for step in steps]


def same(ours, others):
    jax.tree.map(np.testing.assert_array_equal, ours, others)


def test_device_and_stream_see_the_same(source, mesh):
    streamed = run(source, residency="stream", flip=True)
    same(run(source, residency="device", flip=True), streamed)
    same(run(source, residency="device", flip=True, mesh=mesh), streamed)
    same(run(source, residency="stream", flip=True, mesh=mesh, threads=3), streamed)


def test_render_device_and_stream_see_the_same_world(mesh):
    world = open_source("world:digits?size=8&length=8")
    options = {"steps": range(2), "flip": True, "masks": True}
    rendered = run(world, residency="render", mesh=mesh, **options)
    same(run(world, residency="stream", **options), rendered)
    same(run(world, residency="device", **options), rendered)
    assert rendered[0]["mask"].shape == (BATCH, 8, 8)
    assert set(rendered[0]["attrs"]) == set(world.spec.attrs)


def test_points_pass_unscaled():
    world = open_source("world:gaussians?length=16")
    for residency in ("render", "device", "stream"):
        (seen,) = run(world, range(1), residency=residency)
        expected = world.gather(seen["index"]).image
        np.testing.assert_allclose(seen["image"], expected, rtol=1e-6)
        assert seen["image"].dtype == np.float32


def test_batches_are_the_pictures_they_claim(source, pixels, labels):
    for seen in run(source):
        np.testing.assert_array_equal(seen["label"], labels[seen["index"]])
        np.testing.assert_allclose(seen["image"], pixels[seen["index"]] * (2 / 255) - 1, atol=1e-6)
        assert seen["image"].dtype == np.float32


def test_scaling_reaches_both_ends_exactly():
    levels = jax.jit(to_float)(jnp.arange(256, dtype=jnp.uint8))
    assert (levels[0], levels[255]) == (-1, 1)


def test_every_epoch_holds_everything_once_in_a_new_order():
    order = Order(50, 7)
    first, second = order[np.arange(50)], order[np.arange(50, 100)]
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != second).any()
    assert (first != Order(50, 8)[np.arange(50)]).any()


@pytest.mark.parametrize("count", [2, 4])
def test_hosts_share_the_batches_of_one(source, count):
    whole = run(source)
    parts = [run(source, process=(index, count), residency="stream") for index in range(count)]
    for step in range(STEPS):
        joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *[part[step] for part in parts])
        same(joined, whole[step])


@pytest.mark.parametrize("residency", ["device", "stream"])
def test_resuming_equals_going_on(source, residency):
    whole = run(source, residency=residency, flip=True)
    same(run(source, range(4, STEPS), residency=residency, flip=True), whole[4:])
    jumping = run(source, (0, 1, 7, 2, 2, 8), residency=residency, flip=True, threads=4)
    same(jumping, [whole[step] for step in (0, 1, 7, 2, 2, 8)])


def test_hosts_may_change_when_resuming(source):
    whole = run(source)
    first = run(source, range(3))
    halves = [run(source, range(3, 6), process=(index, 2), residency="stream") for index in range(2)]
    middle = [jax.tree.map(lambda *leaves: np.concatenate(leaves), *pair) for pair in zip(*halves, strict=True)]
    same(first + middle + run(source, range(6, STEPS)), whole)


def test_batches_lie_on_the_data_axis(source, mesh):
    with open_feed(source, 16, mesh=mesh, residency="stream") as feed:
        for leaf in jax.tree.leaves(feed.batch(0)):
            assert leaf.sharding.spec == jax.sharding.PartitionSpec("data")
            assert {shard.data.shape[0] for shard in leaf.addressable_shards} == {2}
        assert isinstance(feed.batch(0)["example"], Example)
        assert feed.batch(0)["example"].image.dtype == jnp.uint8
        assert feed.constants == ()
    with open_feed(source, 16, mesh=mesh) as feed:
        assert feed.residency == "device"
        assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(feed.constants))


def test_half_of_the_images_are_flipped_each_by_its_position(source, pixels):
    plain, flipped = run(source), run(source, flip=True)
    mirrored = []
    for a, b in zip(plain, flipped, strict=True):
        for one, other in zip(a["image"], b["image"], strict=True):
            mirrored.append(not np.array_equal(one, other))
            np.testing.assert_array_equal(other, one[:, ::-1] if mirrored[-1] else one)
    coins = np.asarray(jax.jit(lambda index: flip_coins(3, index))(jnp.arange(4096)))
    assert mirrored == coins[: len(mirrored)].tolist()
    assert abs(coins.mean() - 0.5) < 0.04


def test_small_sets_stay_on_the_device_and_large_ones_stream(source, monkeypatch):
    from ganx.data import resident

    assert open_feed(source, 10).residency == "device"
    monkeypatch.setattr(resident, "free_bytes", lambda *_: 4 * len(source) * 190)  # a quarter is 50 x 190 bytes
    assert open_feed(source, 10).residency == "stream"
    assert open_feed(source, 10, residency="device").residency == "device"
    monkeypatch.setattr(resident, "free_bytes", lambda *_: len(source) * 190)
    with pytest.raises(GanxError, match="does not fit into device memory"):
        open_feed(source, 10, residency="device")
    assert open_feed(open_source("world:faces?size=8"), 10).residency == "render"


def test_waiting_is_measured(source):
    with open_feed(source, 10, residency="stream") as feed:
        assert feed.wait_seconds == 0
        feed.batch(0)
        waited = feed.wait_seconds
        assert waited > 0
        feed.batch(1)
        assert feed.wait_seconds >= waited


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch": 12, "mesh": True}, "12 does not divide over 8 devices; take 16"),
        ({"batch": 9, "process": (0, 2)}, "9 does not divide over 2 processes"),
        ({"batch": 8, "residency": "render"}, "is no world"),
        ({"batch": 8, "residency": "disk"}, "no residency named 'disk'"),
        ({"batch": 8, "masks": True}, "has no masks"),
    ],
)
def test_what_is_refused(source, mesh, options, words):
    if options.get("mesh"):
        options = options | {"mesh": mesh}
    with pytest.raises(GanxError, match=words):
        open_feed(source, **options)


def test_training_data_need_no_tensorflow(forms):
    code = f"""
import sys
from ganx.data import open_feed, open_source
for text in ({forms["record"]!r}, {forms["zip"]!r}):
    with open_feed(open_source(text), 10, residency="stream") as feed:
        feed.materialise(feed.constants, feed.batch(0))
assert not [name for name in sys.modules if name.split(".")[0] == "tensorflow"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
