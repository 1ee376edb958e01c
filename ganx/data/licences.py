"""Terms of well-known sets, one line each: printed when training starts, stored with what was trained."""

from __future__ import annotations

NOT_STATED = "not stated; the pictures belong to their owners"

LICENCES = {
    "celeb_a": "CelebA: non-commercial research only, no redistribution",
    "celeb_a_hq": "CelebA-HQ: non-commercial research only, no redistribution",
    "ffhq": "FFHQ: CC BY-NC-SA 4.0, single pictures under their own CC or public-domain licences",
    "lsun": "LSUN: research use; no licence stated",
    "cifar10": "CIFAR-10: no licence stated",
    "mnist": "MNIST: commonly CC BY-SA 3.0; not stated with the files",
    "fashion_mnist": "Fashion-MNIST: MIT, copyright 2017 Zalando SE",
}
