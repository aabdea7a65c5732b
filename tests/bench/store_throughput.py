"""How fast a store moves one large file, beside plain boto3 with the same transfer settings.

    python -m tests.bench.store_throughput                    MinIO's server program, else SeaweedFS
    python -m tests.bench.store_throughput --gib 1 --rounds 5

Both sides take turns within a round, in an order that alternates; each line is the ratio of one round,
plain boto3's seconds over ours: above 1 ours is faster.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig

from ganbalance.keys import sha256_file
from ganbalance.store import make_store
from ganbalance.store.schemes import s3
from tests import servers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=1.0, help="size of the file (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    flags = parser.parse_args()
    kind = servers.minio if shutil.which("minio") else servers.seaweedfs
    with tempfile.TemporaryDirectory() as scratch, kind(Path(scratch)) as server:
        os.environ.pop("AWS_CA_BUNDLE", None)
        os.environ.update(server.environment)
        measure(Path(scratch), round(flags.gib * 1024**3), flags.rounds, kind.__name__)


def measure(scratch: Path, n_bytes: int, rounds: int, server: str) -> None:
    url = servers.new_bucket_url()
    make_store(url)
    store = s3.S3Store(url)
    source = scratch / "source"
    with source.open("wb") as file:
        for start in range(0, n_bytes, s3.MIB):
            file.write(os.urandom(min(s3.MIB, n_bytes - start)))
    store.put("warm-up", source)
    client = boto3.client("s3", region_name="us-east-1", config=store.client.meta.config)
    settings = TransferConfig(
        multipart_threshold=s3.TRANSFER.multipart_threshold,
        multipart_chunksize=s3.TRANSFER.multipart_chunksize,
        max_concurrency=s3.TRANSFER.max_request_concurrency,
        max_io_queue=s3.TRANSFER.max_io_queue_size,
        use_threads=True,
    )
    target = str(scratch / "target")
    plain = str(f"{store.prefix}/plain")
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "upload": (
            lambda: store.put("ours", source),
            lambda: client.upload_file(str(source), store.bucket, plain, Config=settings),
        ),
        "download": (
            lambda: store.fetch("ours", scratch),
            lambda: client.download_file(store.bucket, plain, target, Config=settings),
        ),
    }
    print(f"{server}, {n_bytes / 1024**3:g} GiB, {rounds} rounds, {os.cpu_count()} cores, boto3 {boto3.__version__}")
    for name, (ours, boto) in pairs.items():
        ratios = [turn(name, number, ours, boto, n_bytes) for number in range(rounds)]
        print(f"{name}: ratio median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    print(f"sha256 of the file, on top of a download: {seconds(lambda: sha256_file(source)):.2f} s")


def turn(name: str, number: int, ours: Callable[[], object], boto: Callable[[], object], n_bytes: int) -> float:
    if number % 2:
        took_boto, took_ours = seconds(boto), seconds(ours)
    else:
        took_ours, took_boto = seconds(ours), seconds(boto)
    mib = n_bytes / 1024**2
    print(
        f"  {name} {number}: ours {took_ours:5.2f} s ({mib / took_ours:4.0f} MiB/s), "
        f"boto3 {took_boto:5.2f} s ({mib / took_boto:4.0f} MiB/s), ratio {took_boto / took_ours:.2f}"
    )
    return took_boto / took_ours


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
