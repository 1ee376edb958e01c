"""The verbs that bring checkpoints in and out."""

from __future__ import annotations

import argparse

from ganx.command import Formatter, Verbs

ORDER = 80


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    _add_import(verbs)
    _add_export(verbs)


def _add_import(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "import",
        help="turn a public checkpoint (PyTorch, TensorFlow pickle, safetensors, npz, h5) into a ganx one",
        description="""Reads a checkpoint without its framework and without running anything in it.
The container, the family and the architecture are recognised by the content:
  .pt .pth .bin        PyTorch, new and old containers
  .pkl                 NVIDIA's StyleGAN2-ADA and StyleGAN3; PGGAN, StyleGAN and StyleGAN2 from TensorFlow
  .safetensors .npz    named arrays
  .h5                  arrays under the names of one of these (needs h5py)
  a folder             Hugging Face's config.json and weights; or G_ema.pth, G.pth and D.pth""",
        epilog="""Takes the averaged generator, the live one and the discriminator where the file has them.

examples:
  ganx import ffhq.pkl --out gans/ffhq
  ganx import generator.pth --discriminator discriminator.pth --family dcgan --out gans/mine""",
        formatter_class=Formatter,
    )
    parser.add_argument("file", help="the checkpoint")
    parser.add_argument("--discriminator", help="the discriminator's file, where it is a separate one")
    parser.add_argument("--out", required=True, help="folder for the ganx checkpoint")
    parser.add_argument("--family", help="the family or layout, where the file does not tell")
    parser.set_defaults(run=_import)


def _import(args: argparse.Namespace) -> None:
    from ganx.convert import import_checkpoint, summary_table

    imported = import_checkpoint(args.file, args.family, args.discriminator)
    print(summary_table(imported))
    print(imported.save(args.out))


def _add_export(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "export",
        help="write a GAN as safetensors, under the key names of the checkpoint that it was imported from",
        description="""Brings a GAN back to PyTorch: `safetensors.torch.load_file` gives the state dict that the
original code loads. A GAN that ganx trained from the start gets ganx's own names.""",
        formatter_class=Formatter,
    )
    parser.add_argument("gan", help="an imported or saved GAN, a training run, or a bundled name")
    parser.add_argument("--out", required=True, help="the .safetensors file to write")
    parser.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> None:
    from ganx.convert import export_gan

    done = export_gan(args.gan, args.out)
    names = f"key names of {done.layout}" if done.layout else "ganx's own key names (this GAN was not imported)"
    for path, count in done.files.items():
        print(f"{path}: {count} tensors under {names}")
    if done.left:
        print(f"not written, since the imported checkpoint had no such network: {', '.join(done.left)}")
    if done.rectified:
        print(f"the generator has a ReLU after {done.rectified}, which no tensor says; put one there, too")
