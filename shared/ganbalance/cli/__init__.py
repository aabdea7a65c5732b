"""ganbalance: should you train a GAN to balance your image data, and which one?

ganbalance data get jobs/experiments/quick.yaml          get the images and the backbone's weights that it needs
ganbalance data card jobs/experiments/quick.yaml         what is in the images, left out, and there twice
ganbalance plan jobs/experiments/honest.yaml             what would run, and what is done already
ganbalance run  jobs/experiments/quick.yaml              run what is not done yet, then the report
ganbalance run  jobs/experiments/quick.yaml --gan "vanilla dcgan" --seeds 0..9 --set gans.dcgan.steps=200
ganbalance run  jobs/experiments/keep-ratio.yaml         every experiment of a sweep, then a comparison of them
ganbalance submit jobs/experiments/honest.yaml           run it on a Kubernetes cluster; the same again resumes
ganbalance status --run quick-1a2b3c4d                   what every stage is doing there, and why not
ganbalance watch --namespace ganbalance                  what fails and how far it is, live, of the last submitted
ganbalance logs --stage train-gan/dcgan --follow         what the programs of a stage print
ganbalance cancel                                        stop a run; what is committed stays
ganbalance resume --run quick-1a2b3c4d                   resume it
ganbalance clean --run quick-1a2b3c4d                    delete its Jobs, and what the store holds for it alone
ganbalance render jobs/experiments/quick.yaml            the manifests that submit would create
ganbalance drive --run quick-1a2b3c4d --submission 1     what the pod of a submission's driver runs
ganbalance fetch-report --run quick-1a2b3c4d             write the report of a run to a folder, wherever it ran
ganbalance compare quick-1a2b3c4d quick-5e6f7a8b         one report over several runs: curves along what differs
ganbalance export --run quick-1a2b3c4d --to pngs/        real and synthetic training images as PNG folders
ganbalance export --run quick-1a2b3c4d --model keep/     the classifier that came out best, as one folder
ganbalance predict keep/ images/ --to predictions.csv    what it says of image files
ganbalance table reports/quick/summary.json              a report's table in markdown
ganbalance table reports --into reports/README.md        a line of each report, with its result in one sentence
ganbalance doctor --store s3://bucket/prefix             check the store, and say how to fix what fails
ganbalance store ls                                      the runs in a store; also init, show, cp, gc and verify

Exit codes: 0 done, 65 bad data, 75 try again, 78 bad configuration, 143 stopped, 1 a bug.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from ganbalance.errors import EXIT_DONE, ConfigError, GanbalanceError, Stopped, UnavailableError
from ganbalance.pipeline.parser import Parser
from ganbalance.printing import print_anything

# the module that declares a command, by the command's first word: no other one is loaded
MODULES = {
    "data": "experiments", "plan": "experiments", "run": "experiments",
    "submit": "submissions", "status": "watching", "watch": "watching", "logs": "watching", "cancel": "watching",
    "resume": "submissions", "clean": "watching", "render": "submissions", "drive": "submissions",
    "fetch-report": "results", "compare": "sweeps", "export": "results", "predict": "results", "table": "results",
    "doctor": "doctor", "store": "stores",
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console command; return the exit code."""
    print_anything()
    try:
        words = sys.argv[1:] if argv is None else argv
        flags = _parser(words[0] if words else "").parse_args(words)
        code: int | None = flags.command(flags)
        return code or EXIT_DONE
    except GanbalanceError as error:
        print(f"ganbalance: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(f"ganbalance: {error.name} is not installed here; install ganbalance[train]", file=sys.stderr)
        return ConfigError.exit_code
    except BrokenPipeError:
        return UnavailableError.exit_code  # whoever read the output has gone
    except OSError as error:
        print(f"ganbalance: {error}; fix that and run the same command again", file=sys.stderr)
        return UnavailableError.exit_code
    except KeyboardInterrupt:
        print("ganbalance: stopped", file=sys.stderr)
        return Stopped.exit_code


def _parser(word: str) -> argparse.ArgumentParser:
    """Build a parser that knows every command's name, and what one takes that begins with `word`."""
    parser = Parser(prog="ganbalance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in MODULES.items():
        if name == word:
            importlib.import_module(f"ganbalance.cli.{module}")
            importlib.import_module("ganbalance.cli.commands").add(name, commands)
        else:
            commands.add_parser(name)
    return parser
