"""BigGAN in plain NumPy, NCHW, straight from a state dict in BigGAN-PyTorch's names: what imports must equal."""

import numpy as np

RNG = np.random.RandomState


def state(shapes, seed=0):
    """A random state dict: `shapes` by name, "sn" beside a weight for its u0 and sv0."""
    rng, found = RNG(seed), {}
    for name, shape in shapes.items():
        value = rng.standard_normal(shape).astype(np.float32)
        if name.endswith("var"):
            value = np.abs(value) + 0.3
        elif name.endswith("weight"):
            value = value / np.sqrt(max(1.0, np.prod(shape[1:])))
        found[name] = np.float32(value)
    return found


def normed(name, shape, bias=True):
    """The tensors of one spectrally normalised layer."""
    more = {f"{name}.bias": shape[:1]} if bias else {}
    return {f"{name}.weight": shape, **more, f"{name}.u0": (1, shape[0]), f"{name}.sv0": (1,)}


def norm(name, channels, condition):
    pair = {
        **normed(f"{name}.gain", (channels, condition), False),
        **normed(f"{name}.bias", (channels, condition), False),
    }
    return {**pair, f"{name}.stored_mean": (channels,), f"{name}.stored_var": (channels,)}


def attention_shapes(name, c):
    parts = {"theta": (c // 8, c), "phi": (c // 8, c), "g": (c // 2, c), "o": (c, c // 2)}
    found = {f"{name}.gamma": ()}
    for part, (out, entering) in parts.items():
        found |= normed(f"{name}.{part}", (out, entering, 1, 1), False)
    return found


def ends(first, condition, last, classes, embed):
    found = {"shared.weight": (classes, embed), **normed("linear", (16 * first, condition))}
    found |= {f"output_layer.0.{k}": (last,) for k in ("gain", "bias", "stored_mean", "stored_var")}
    return found | normed("output_layer.2", (3, last, 3, 3))


def effective(s, name):
    """The weight over its singular value after one power iteration from u0."""
    w = s[f"{name}.weight"]
    matrix = w.reshape(len(w), -1).astype(np.float64)
    v = s[f"{name}.u0"] @ matrix
    v /= np.linalg.norm(v)
    u = v @ matrix.T
    u /= np.linalg.norm(u)
    return w / (v @ matrix.T @ u.T).item()


def conv(s, name, x):
    w = effective(s, name)
    pad = w.shape[-1] // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    y = np.einsum("nihwkl,oikl->nohw", windows, w)
    return y + s[f"{name}.bias"][:, None, None] if f"{name}.bias" in s else y


def dense(s, name, x):
    return x @ effective(s, name).T + s.get(f"{name}.bias", 0.0)


def class_norm(s, name, x, y):
    x = (x - s[f"{name}.stored_mean"][:, None, None]) / np.sqrt(s[f"{name}.stored_var"][:, None, None] + 1e-5)
    gain, bias = (dense(s, f"{name}.{part}", y)[:, :, None, None] for part in ("gain", "bias"))
    return x * (1 + gain) + bias


def attention(s, name, x):
    n, _, h, w = x.shape

    def pooled(a):
        return a.reshape(n, -1, h // 2, 2, w // 2, 2).max((3, 5)).reshape(n, -1, h * w // 4)

    theta = conv(s, f"{name}.theta", x).reshape(n, -1, h * w)
    phi, g = pooled(conv(s, f"{name}.phi", x)), pooled(conv(s, f"{name}.g", x))
    logits = np.einsum("ncq,nck->nqk", theta, phi)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    seen = np.einsum("nqk,nck->ncq", weights, g).reshape(n, -1, h, w)
    return x + s[f"{name}.gamma"] * conv(s, f"{name}.o", seen)


def relu(x):
    return np.maximum(x, 0)


def up(x):
    return x.repeat(2, 2).repeat(2, 3)


def down(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))


def rgb(s, x):
    mean, var, gain, bias = (
        s[f"output_layer.0.{k}"][:, None, None] for k in ("stored_mean", "stored_var", "gain", "bias")
    )
    return np.tanh(conv(s, "output_layer.2", relu((x - mean) / np.sqrt(var + 1e-5) * gain + bias)))


def logits(s, h, label):
    h = relu(h).sum((2, 3))
    matrix = s["embed.weight"].astype(np.float64)
    v = s["embed.u0"] @ matrix
    v /= np.linalg.norm(v)
    u = v @ matrix.T
    embed = matrix / np.linalg.norm(u)
    return dense(s, "linear", h)[:, 0] + (embed[label] * h).sum(1)


# -- BigGAN: 16 pixels, 8 channels, 3 classes, embed 4, z 3 x 2, attention in the last block of both ------


def generator_state():
    shapes = ends(8, 2, 8, 3, 4)
    for b in range(2):
        block = f"blocks.{b}.0"
        shapes |= normed(f"{block}.conv1", (8, 8, 3, 3)) | normed(f"{block}.conv2", (8, 8, 3, 3))
        shapes |= normed(f"{block}.conv_sc", (8, 8, 1, 1)) | norm(f"{block}.bn1", 8, 6) | norm(f"{block}.bn2", 8, 6)
    return state(shapes | attention_shapes("blocks.1.1", 8))


def generate(s, z, label):
    y, chunks = s["shared.weight"][label], np.split(z, 3, 1)
    x = dense(s, "linear", chunks[0]).reshape(len(z), 8, 4, 4)
    for b in range(2):
        block, c = f"blocks.{b}.0", np.concatenate([y, chunks[b + 1]], 1)
        h = conv(s, f"{block}.conv1", up(relu(class_norm(s, f"{block}.bn1", x, c))))
        h = conv(s, f"{block}.conv2", relu(class_norm(s, f"{block}.bn2", h, c)))
        x = h + conv(s, f"{block}.conv_sc", up(x))
    return rgb(s, attention(s, "blocks.1.1", x))


def discriminator_state():
    shapes = normed("linear", (1, 8)) | normed("embed", (3, 8), False)
    for b, (entering, down_) in enumerate(((3, True), (8, True), (8, False))):
        block = f"blocks.{b}.0"
        shapes |= normed(f"{block}.conv1", (8, entering, 3, 3)) | normed(f"{block}.conv2", (8, 8, 3, 3))
        shapes |= normed(f"{block}.conv_sc", (8, entering, 1, 1)) if down_ else {}
    return state(shapes | attention_shapes("blocks.0.1", 8), seed=1)


def judge(s, x, label):
    for b in range(3):
        block = f"blocks.{b}.0"
        h = conv(s, f"{block}.conv2", relu(conv(s, f"{block}.conv1", x if b == 0 else relu(x))))
        if b < 2:
            h, x = down(h), down(conv(s, f"{block}.conv_sc", x))
        x = h + x
        if b == 0:
            x = attention(s, "blocks.0.1", x)
    return logits(s, x, label)


# -- BigGAN-deep: 16 pixels, two blocks a resolution, attention after the first resolution -----------------


def deep_generator_state():
    shapes, widths = ends(16, 6, 8, 3, 4), (16, 16, 16, 8)
    for b, (entering, leaving) in enumerate(zip((16, *widths), widths, strict=False)):
        block, hidden = f"blocks.{b}.0", entering // 4
        shapes |= normed(f"{block}.conv1", (hidden, entering, 1, 1)) | normed(f"{block}.conv4", (leaving, hidden, 1, 1))
        shapes |= normed(f"{block}.conv2", (hidden, hidden, 3, 3)) | normed(f"{block}.conv3", (hidden, hidden, 3, 3))
        for i, channels in enumerate((entering, hidden, hidden, hidden), 1):
            shapes |= norm(f"{block}.bn{i}", channels, 6)
    return state(shapes | attention_shapes("blocks.1.1", 16), seed=2)


def generate_deep(s, z, label):
    c = np.concatenate([s["shared.weight"][label], z], 1)
    x = dense(s, "linear", c).reshape(len(z), 16, 4, 4)
    for b in range(4):
        block, double = f"blocks.{b}.0", up if b % 2 else lambda a: a
        h = conv(s, f"{block}.conv1", relu(class_norm(s, f"{block}.bn1", x, c)))
        h = conv(s, f"{block}.conv2", double(relu(class_norm(s, f"{block}.bn2", h, c))))
        h = conv(s, f"{block}.conv3", relu(class_norm(s, f"{block}.bn3", h, c)))
        h = conv(s, f"{block}.conv4", relu(class_norm(s, f"{block}.bn4", h, c)))
        x = h + double(x[:, : h.shape[1]])
        if b == 1:
            x = attention(s, "blocks.1.1", x)
    return rgb(s, x)


def deep_discriminator_state():
    shapes = normed("input_conv", (8, 3, 3, 3)) | normed("linear", (1, 16)) | normed("embed", (3, 16), False)
    for place, entering in (("0.0", 8), ("0.1", 16), ("1.0", 16), ("1.1", 16)):
        block = f"blocks.{place}"
        shapes |= normed(f"{block}.conv1", (4, entering, 1, 1)) | normed(f"{block}.conv4", (16, 4, 1, 1))
        shapes |= normed(f"{block}.conv2", (4, 4, 3, 3)) | normed(f"{block}.conv3", (4, 4, 3, 3))
        shapes |= normed(f"{block}.conv_sc", (8, 8, 1, 1)) if entering == 8 else {}
    return state(shapes | attention_shapes("blocks.0.2", 16), seed=3)


def judge_deep(s, x, label):
    x = conv(s, "input_conv", x)
    for place in ("0.0", "0.1", "1.0", "1.1"):
        block, halve = f"blocks.{place}", down if place.endswith("0") else lambda a: a
        h = relu(x)
        for i in (1, 2, 3):
            h = relu(conv(s, f"{block}.conv{i}", h))
        h, x = conv(s, f"{block}.conv4", halve(h)), halve(x)
        if f"{block}.conv_sc.weight" in s:
            x = np.concatenate([x, conv(s, f"{block}.conv_sc", x)], 1)
        x = h + x
        if place == "0.1":
            x = attention(s, "blocks.0.2", x)
    return logits(s, x, label)
