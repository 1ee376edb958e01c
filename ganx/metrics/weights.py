"""The public weight files that metrics read, their sha256, and where they are looked for. Nothing is downloaded."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

from ganx.errors import GanxError, unknown

VARIABLE = "GANX_WEIGHTS"


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """A file by the name it is published under; `where` says what publishes it."""

    file: str
    sha256: str
    where: str


FILES = {
    "inception": WeightFile(
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        "the release fid_weights of github.com/mseitzer/pytorch-fid",
    ),
    "vgg16": WeightFile(
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        "download.pytorch.org/models",
    ),
    "lpips": WeightFile(
        "vgg.pth",
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        "lpips/weights/v0.1 of github.com/richzhang/PerceptualSimilarity",
    ),
    "facenet": WeightFile(
        "20180402-114759-vggface2.pt",
        "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
        "release v2.2.9 of github.com/timesler/facenet-pytorch",
    ),
    "resnet18": WeightFile(
        "resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        "download.pytorch.org/models",
    ),
    "resnet34": WeightFile(
        "resnet34-b627a593.pth",
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
        "download.pytorch.org/models",
    ),
    "resnet50": WeightFile(
        "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        "download.pytorch.org/models",
    ),
}


def folder() -> Path:
    """Where weight files are looked for: `$GANX_WEIGHTS`, by default `~/.cache/ganx/weights`."""
    return Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "ganx" / "weights")


def find(name: str, path: str | os.PathLike[str] | None = None) -> Path:
    """The file of a network: the one given, or the published one in `folder()`.

    Raises:
      GanxError: it is not there (the line says what to get, its sha256 and where to put it), or in `folder()` under
        the published name with other content.
    """
    if name not in FILES:
        raise unknown("network with public weights", name, FILES)
    if path is not None:
        if not Path(path).is_file():
            raise GanxError(f"no file {path}; give the weights of {name}, such as {FILES[name].file}")
        return Path(path)
    wanted, here = FILES[name], folder() / FILES[name].file
    if not here.is_file():
        raise GanxError(
            f"the weights of {name} are missing: get {wanted.file} (sha256 {wanted.sha256}) from {wanted.where} and "
            f"put it into {folder()} (or set {VARIABLE}); ganx downloads nothing"
        )
    if sha256(here) != wanted.sha256:
        raise GanxError(f"{here} is not the published file (sha256 {wanted.sha256}); get it again")
    return here


def sha256(path: str | os.PathLike[str]) -> str:
    """Of a file's content, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
