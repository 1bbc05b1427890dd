"""The command line, on Lightning's: `fit`, `validate`, `test`, `predict`, `demo`, `bench`, `compare` and `choose`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from inspect import signature
from typing import Any

import lightning
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from rich.console import Console

from scalegroup.errors import ScaleGroupError
from scalegroup.training import commands
from scalegroup.training.choose import choose
from scalegroup.training.config import LIGHTNING, DataConfig, ModelConfig, TrainerConfig
from scalegroup.training.datamodule import SegmentationData
from scalegroup.training.demo import demo
from scalegroup.training.equivariance import EquivarianceError
from scalegroup.training.module import Segmentation
from scalegroup.training.run import DEFAULTS

COMMANDS: dict[str, Any] = {
    "fit": commands.fit,
    "validate": commands.validate,
    "test": commands.test,
    "predict": commands.predict,
    "demo": demo,
    "bench": commands.bench,
    "compare": commands.compare,
    "choose": choose,
}
TRAINING = ("accumulate", "gradient", "limit_train", "limit_val", "max_", "min_", "overfit", "log_every", "sync_batch")
CALLBACKS = (EquivarianceError,)  # what `--trainer.callbacks+=` knows by name, besides Lightning's
OWN = {field.name for field in fields(TrainerConfig)} - {"lightning"}


class CommandLine(LightningCLI):
    """Lightning's command line with the commands and the configurations of this library.

    `--trainer` takes what `TrainerConfig` has and everything else that Lightning's `Trainer` has; both Python and the
    command line train with `scalegroup.training.run.Run`.

    Args:
        words: the command and its options.
    """

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(
            Segmentation,
            SegmentationData,
            save_config_callback=None,  # a run writes it, whoever started it
            trainer_defaults=DEFAULTS,
            parser_kwargs={"description": "Scale-equivariant segmentation of volumes.", "prog": "scalegroup"},
            args=list(words),
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The names of the commands."""
        return {name: set() for name in COMMANDS}

    def _add_subcommands(self, parser: LightningArgumentParser, **kwargs: Any) -> None:
        self._subcommand_parsers = {}
        added = parser.add_subcommands()
        for name, command in COMMANDS.items():
            description = (command.__doc__ or "").splitlines()[0]
            own = self.init_parser(description=description)
            if name == "fit":
                own.add_class_arguments(DataConfig, "data", sub_configs=True)
                own.add_class_arguments(ModelConfig, "model", sub_configs=True)
                own.add_class_arguments(TrainerConfig, "trainer", instantiate=False, skip={"lightning"})
            if "trainer" in signature(command).parameters:
                self._add_lightning(own, as_group=name != "fit")
            done = {"data", "model", "trainer", "settings"} & {*signature(command).parameters}
            own.add_function_arguments(command, skip={*done})
            self._subcommand_parsers[name] = own
            added.add_subcommand(name, own, help=description)

    def _add_lightning(self, parser: LightningArgumentParser, as_group: bool) -> None:
        """What Lightning's `Trainer` can be told, but what a run settles itself."""
        hidden: set[str | int] = {name for name in signature(lightning.Trainer).parameters if name not in LIGHTNING}
        if as_group:  # not for training
            hidden.update(name for name in LIGHTNING if name.startswith(TRAINING))
        parser.add_class_arguments(
            lightning.Trainer, "trainer", as_group, instantiate=False, fail_untyped=False, sub_configs=True, skip=hidden
        )
        parser.set_defaults({f"trainer.{name}": value for name, value in DEFAULTS.items()})

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses the given words, whatever `sys.argv` holds."""
        self.config = parser.parse_args(args)

    def _set_seed(self) -> None:
        """A run seeds itself."""

    def instantiate_classes(self) -> None:
        """Makes the configurations, callbacks and loggers; networks and data are made by the command."""
        self.config_init = self.parser.instantiate(self.config)

    def _run_subcommand(self, subcommand: str) -> None:
        values: dict[str, Any] = dict(vars(self.config_init[subcommand]))
        values.pop("config", None)
        if "trainer" in values:
            own, others = _parted(vars(values["trainer"]))
            values["trainer"] = TrainerConfig(**own, lightning=others) if subcommand == "fit" else others
        if subcommand == "fit":  # callbacks and loggers as they were given, not as the objects made of them
            values["settings"] = _parted(self.config[subcommand].trainer.as_dict())[1]
        COMMANDS[subcommand](**values)


def _parted(trainer: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is for `TrainerConfig`, and what Lightning's `Trainer` is told beyond the defaults of a run."""
    known = {name: parameter.default for name, parameter in signature(lightning.Trainer).parameters.items()} | DEFAULTS
    own = {name: value for name, value in trainer.items() if name in OWN}
    return own, {name: value for name, value in trainer.items() if name not in OWN and value != known[name]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; a user's error is one line on standard error and the exit status 2."""
    words = _long_forms(sys.argv[1:] if arguments is None else arguments)
    try:
        CommandLine(words)
    except ScaleGroupError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"scalegroup: {error}", markup=False)
        raise SystemExit(2) from error


def _long_forms(words: Sequence[str]) -> list[str]:
    """`--data hippocampus` and `--model plain` are short for `--data.name` and `--model.name`, a flag for its truth.

    Example:
        >>> _long_forms(["--data", "brats", "--model=plain", "--data", "scans.yaml", "--quick"])
        ['--data.name', 'brats', '--model.name=plain', '--data', 'scans.yaml', '--quick=true']
    """
    result = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        is_file = (value or following).endswith((".yaml", ".yml", ".json"))
        short = option in ("--data", "--model") and not is_file
        result.append("--quick=true" if word == "--quick" else f"{option}.name{equals}{value}" if short else word)
    return result
