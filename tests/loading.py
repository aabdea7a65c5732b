"""Which of the slow packages a fresh Python has loaded after some code."""

import subprocess
import sys

SLOW = {
    "torch", "torchvision", "timm", "safetensors", "sklearn", "imblearn", "scipy", "matplotlib", "kubernetes", "boto3",
}  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """The slow packages that are loaded when `code` has run."""
    program = f"import sys\n{code}\nprint('\\n', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return SLOW & set(done.stdout.splitlines()[-1].split())


def loaded_by_command(*words: str) -> set[str]:
    """The same of a command of ganbalance that ends well."""
    return loaded_by(f"from ganbalance import cli\nassert cli.main({list(words)}) == 0")
