"""The engines of the suite `ann`: how each is built, asked for more effort, and searched on one thread and on two.

Each runs in a process of its own, that waits for what to do at a pipe: threads are held apart, memory can be told,
and one that ends by a signal takes nobody with it. One that is not installed, or does not run here, is left out with
the reason.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from measure import Floats, Others, singles

K = 10
THREADS = 2
EFFORTS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320)
LISTS = (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
ENOUGH = 0.9985  # no more effort is asked for beyond this recall
PATIENCE = 400  # seconds that a build may take

Search = Callable[[Floats], NDArray[Any]]


class Engine(NamedTuple):
    """One that is built."""

    efforts: tuple[int, ...]
    effort: Callable[[int], object]
    search: Search  # one query, one thread
    many: Search | None  # a batch on THREADS threads; None: threads of Python's, one query a call
    rows: bool = True  # whether it holds the rows in f32, which are taken off what it takes
    about: str = ""


def hither_graph(base: Floats) -> Engine:
    import hither

    index = hither.Index(base.shape[1], "hnsw", "cosine", m=24)
    index.add(base, wait=False)
    index.build(threads=THREADS)
    at = {"ef": 10}
    return Engine(
        EFFORTS,
        lambda e: at.update(ef=e),
        lambda q: index.search(q, K, ef=at["ef"])[0],
        lambda q: index.search(q, K, ef=at["ef"], threads=THREADS)[0],
        about="m 24, ef_build 100",
    )


def hither_lists(base: Floats) -> Engine:
    import hither

    index = hither.Index(base.shape[1], "ivf", "dot")
    index.add(base, wait=False)
    index.build(threads=THREADS)
    at = {"nprobe": 10}
    return Engine(
        (*LISTS, 192, 256, 384),
        lambda e: at.update(nprobe=e),
        lambda q: index.search(q, K, nprobe=at["nprobe"])[0],
        lambda q: index.search(q, K, nprobe=at["nprobe"], threads=THREADS)[0],
    )


def hither_exact(base: Floats) -> Engine:
    import hither

    index = hither.Index(base.shape[1], "exact", "dot")
    index.add(base)
    index.search(base[0], K)  # makes the codes
    return Engine(
        (1,), lambda _: None, lambda q: index.search(q, K)[0], lambda q: index.search(q, K, threads=THREADS)[0]
    )


def hnswlib_graph(base: Floats) -> Engine:
    import hnswlib

    index = hnswlib.Index("ip", base.shape[1])
    index.init_index(len(base), ef_construction=200, M=16)
    index.add_items(base, num_threads=THREADS)
    return Engine(
        EFFORTS,
        lambda e: index.set_ef(e),
        lambda q: index.knn_query(q, K, num_threads=1)[0][0],
        lambda q: index.knn_query(q, K, num_threads=THREADS)[0],
        about="M 16, ef_construction 200",
    )


def faiss_graph(base: Floats) -> Engine:
    import faiss

    faiss.omp_set_num_threads(THREADS)
    index = faiss.IndexHNSWSQ(base.shape[1], faiss.ScalarQuantizer.QT_8bit, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.train(base)
    index.add(base)
    return Engine(
        EFFORTS,
        lambda e: setattr(index.hnsw, "efSearch", e),
        lambda q: _on(faiss, 1, lambda: index.search(q[None], K)[1][0]),
        lambda q: _on(faiss, THREADS, lambda: index.search(q, K)[1]),
        rows=False,
        about="M 16, efConstruction 200",
    )


def _on(faiss: Any, threads: int, call: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    faiss.omp_set_num_threads(threads)
    return call()


def faiss_lists(base: Floats) -> Engine:
    import faiss

    faiss.omp_set_num_threads(THREADS)
    dim, lists = base.shape[1], int(4 * np.sqrt(len(base)))
    inner = faiss.index_factory(dim, f"IVF{lists},PQ{dim // 2}x4fs", faiss.METRIC_INNER_PRODUCT)
    inner.train(base[:: max(1, len(base) // (lists * 50))])
    inner.add(base)
    index = faiss.IndexRefineFlat(inner, faiss.swig_ptr(base))
    index.k_factor = 6
    return Engine(
        LISTS,
        lambda e: setattr(inner, "nprobe", e),
        lambda q: _on(faiss, 1, lambda: index.search(q[None], K)[1][0]),
        lambda q: _on(faiss, THREADS, lambda: index.search(q, K)[1]),
        about=f"{lists} lists, {dim // 2} codes of 4 bits, 60 scored again",
    )


def usearch_graph(base: Floats) -> Engine:
    from usearch.index import Index

    index = Index(ndim=base.shape[1], metric="ip", dtype="f16", connectivity=16, expansion_add=128)
    index.add(np.arange(len(base)), base, threads=THREADS)
    return Engine(
        EFFORTS,
        lambda e: setattr(index, "expansion_search", e),
        lambda q: index.search(q, K, threads=1).keys,
        lambda q: index.search(q, K, threads=THREADS).keys,
        rows=False,
        about="f16, connectivity 16, expansion_add 128",
    )


def _svs(base: Floats, primary: int, residual: int) -> Engine:
    import svs

    with tempfile.TemporaryDirectory(prefix="hither-svs-") as folder:
        path = f"{folder}/rows.fvecs"
        svs.write_vecs(base, path)
        rows = svs.VectorDataLoader(path, svs.DataType.float32, dims=base.shape[1])
        loader = svs.LVQLoader(rows, primary=primary, residual=residual)
        how = svs.VamanaBuildParameters(graph_max_degree=32, window_size=200, alpha=0.95)
        index = svs.Vamana.build(how, loader, svs.DistanceType.MIP, num_threads=THREADS)

    def effort(e: int) -> None:
        how = index.search_parameters
        how.buffer_config = svs.SearchBufferConfig(e)
        index.search_parameters = how
        index.num_threads = 1

    def many(queries: Floats) -> NDArray[Any]:
        index.num_threads = THREADS
        found = index.search(queries, K)[0]
        index.num_threads = 1
        return np.asarray(found)

    return Engine(
        EFFORTS,
        effort,
        lambda q: index.search(q[None], K)[0][0],
        many,
        rows=False,
        about=f"LVQ{primary}x{residual}, degree 32, window 200, alpha 0.95",
    )


def svs_4(base: Floats) -> Engine:
    return _svs(base, 4, 8)


def svs_8(base: Floats) -> Engine:
    return _svs(base, 8, 0)


def vsag_graph(base: Floats) -> Engine:
    import pyvsag

    pyvsag.set_logger_off()
    how = {
        "dtype": "float32",
        "metric_type": "ip",
        "dim": base.shape[1],
        "index_param": {
            "base_quantization_type": "sq8_uniform",
            "precise_quantization_type": "fp32",
            "use_reorder": True,
            "max_degree": 32,
            "ef_construction": 200,
            "build_thread_count": THREADS,
        },
    }
    index = pyvsag.Index("hgraph", json.dumps(how))
    index.build(base.reshape(-1), np.arange(len(base)), len(base), base.shape[1])
    at = {"words": ""}

    def effort(e: int) -> None:
        at["words"] = json.dumps({"hgraph": {"ef_search": e}})

    return Engine(
        EFFORTS,
        effort,
        lambda q: index.knn_search(q, K, at["words"])[0],
        None,
        about="hgraph sq8_uniform, f32 for the last, degree 32, ef_construction 200",
    )


def scann_lists(base: Floats) -> Engine:
    import scann

    leaves = int(2 * np.sqrt(len(base)))
    builder = scann.scann_ops_pybind.builder(base, K, "dot_product")
    builder = builder.set_n_training_threads(THREADS)
    builder = builder.tree(leaves, 16, training_sample_size=min(len(base), 100_000))
    index = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()
    index.set_num_threads(THREADS)
    at = {"leaves": 2}
    return Engine(
        LISTS,
        lambda e: at.update(leaves=e),
        lambda q: index.search(q, K, 60, at["leaves"])[0],
        lambda q: index.search_batched_parallel(q, K, 60, at["leaves"], batch_size=len(q) // THREADS)[0],
        about=f"{leaves} leaves, 2 dimensions a code, 60 scored again",
    )


def turbovec_scan(base: Floats) -> Engine:
    import turbovec

    index = turbovec.TurboQuantIndex(base.shape[1], 4)
    index.add(base)
    index.prepare()
    at = {"wide": K}

    def search(query: Floats) -> NDArray[Any]:
        found = np.asarray(index.search(query[None], at["wide"])[1])[0].astype(np.int64)
        return found[np.argsort(-(base[found] @ query))[:K]]

    def many(queries: Floats) -> NDArray[Any]:
        found = np.asarray(index.search(queries, at["wide"])[1]).astype(np.int64)
        again = np.argsort(-np.einsum("qrd,qd->qr", base[found], queries), axis=1)[:, :K]
        return np.take_along_axis(found, again, axis=1)

    return Engine(
        (10, 12, 15, 20, 30, 60),
        lambda e: at.update(wide=e),
        search,
        many,
        rows=False,
        about="codes of 4 bits, 10 to 60 scored again",
    )


def zvec_graph(base: Floats) -> Engine:
    import zvec

    zvec.init(log_level=zvec.LogLevel.ERROR, query_threads=1, optimize_threads=THREADS)
    folder = tempfile.mkdtemp(prefix="hither-zvec-")
    how = zvec.HnswIndexParam(
        zvec.MetricType.L2, m=16, ef_construction=200, quantize_type=zvec.QuantizeType.UNIFORM_UINT7
    )
    schema = zvec.CollectionSchema(
        "rows", vectors=[zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, base.shape[1], how)]
    )
    index = zvec.create_and_open(f"{folder}/rows", schema)
    for at in range(0, len(base), 1000):
        index.insert([zvec.Doc(str(i), vectors={"v": base[i].tolist()}) for i in range(at, min(at + 1000, len(base)))])
    index.optimize()
    asked: dict[str, Any] = {}

    def effort(e: int) -> None:
        asked["how"] = zvec.HnswQueryParam(ef=e, is_using_refiner=True, scale_factor=3)

    def search(query: Floats) -> NDArray[Any]:
        found = index.query(zvec.Query("v", vector=query, param=asked["how"]), topk=K, output_fields=[])
        return np.array([int(doc.id) for doc in found])

    return Engine(EFFORTS, effort, search, None, about="m 16, ef_construction 200, 7 bits, refined")


ENGINES: dict[str, tuple[str, Callable[[Floats], Engine]]] = {
    "hither hnsw": ("hither", hither_graph),
    "hither ivf": ("hither", hither_lists),
    "hither exact": ("hither", hither_exact),
    "hnswlib": ("hnswlib", hnswlib_graph),
    "faiss HNSW-SQ8": ("faiss-cpu", faiss_graph),
    "faiss IVF-PQ fast scan": ("faiss-cpu", faiss_lists),
    "usearch": ("usearch", usearch_graph),
    "SVS LVQ4x8": ("scalable-vs", svs_4),
    "SVS LVQ8": ("scalable-vs", svs_8),
    "VSAG hgraph": ("pyvsag", vsag_graph),
    "ScaNN": ("scann", scann_lists),
    "turbovec": ("turbovec", turbovec_scan),
    "zvec": ("zvec", zvec_graph),
}
OWN_THREADS = ("turbovec",)  # as many as RAYON_NUM_THREADS says when they start, for one query too
ABSENT = {"Glass": "PyPI has no glassppy that installs here"}


def version(name: str) -> str:
    """Of the package behind an engine."""
    try:
        return importlib.metadata.version(ENGINES[name][0])
    except importlib.metadata.PackageNotFoundError:
        return "of the tree"


def recalls(found: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    """The share of the truth that was found, a query."""
    return np.array([len(set(f) & set(t)) / K for f, t in zip(found.tolist(), truth.tolist(), strict=True)])


# ---- the process of an engine


def anonymous() -> int:
    """Bytes of memory that are this process's own, after what is free was given back."""
    ctypes.CDLL(None).malloc_trim(0)
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("RssAnon:") + 1]) * 1024


def _build(name: str, base: Floats) -> tuple[Engine, dict[str, Any]]:
    before, had = resource.getrusage(resource.RUSAGE_SELF), anonymous()
    began = time.perf_counter()
    engine = ENGINES[name][1](base)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    engine.effort(engine.efforts[0])
    engine.search(base[0])
    bytes_ = anonymous() - had - (base.nbytes if engine.rows and not name.startswith("faiss IVF") else 0)
    about = {"build_s": round(seconds, 2), "build_cpu_s": round(cpu, 2), "bytes": max(0, bytes_), "about": engine.about}
    return engine, about | {"efforts": engine.efforts}


def _one(engine: Engine, queries: Floats, truth: NDArray[Any]) -> dict[str, Any]:
    """One query a call: the mean of the process's CPU time, its threads' and all."""
    line: dict[str, Any] = dict(singles(engine.search, queries, warm=50))
    found = []
    began = time.process_time()
    for query in queries:
        found.append(engine.search(query))
    line["cpu_us"] = round((time.process_time() - began) / len(queries) * 1e6, 2)
    line["recall"] = round(float(recalls(np.array(found), truth[: len(queries)]).mean()), 4)
    return line


def _many(engine: Engine, queries: Floats, pool: ThreadPoolExecutor) -> dict[str, Any]:
    """All queries on two threads: queries a second, by the clock."""

    def part(at: int) -> None:
        for query in queries[at::THREADS]:
            engine.search(query)

    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        if engine.many:
            engine.many(queries)
        else:
            list(pool.map(part, range(THREADS)))
        best = min(best, time.perf_counter() - began)
    return {"batch_qps": round(len(queries) / best, 1)}


def _serve(pipe: Connection, name: str, folder: str) -> None:
    base = np.load(f"{folder}/base.npy", mmap_mode="c")  # some want to be able to write
    queries, truth = np.load(f"{folder}/queries.npy"), np.load(f"{folder}/truth.npy")
    rows = np.asarray(base)  # of the file, so not memory of this process
    try:
        engine, about = _build(name, rows)
        pipe.send(about)
        with ThreadPoolExecutor(THREADS) as pool:
            while what := pipe.recv():
                engine.effort(what["effort"])
                with Others() as others:
                    line = _one(engine, queries[: what["queries"]], truth) if what["do"] == "one" else {}
                    if what["do"] == "many":
                        line = _many(engine, queries, pool)
                pipe.send(line | {"others": others.cpus})
    except ModuleNotFoundError as error:
        pipe.send({"left_out": f"{error.name} is not installed"})
    except Exception as error:  # what a peer raises is a line of the report, not this run's end
        pipe.send({"left_out": f"{type(error).__name__}: {error}".splitlines()[0][:200]})
    os._exit(0)  # some of the engines' threads never end


class Peer:
    """An engine in its process."""

    def __init__(self, name: str, folder: str, threads: int = 1) -> None:
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[variable] = str(THREADS)
        os.environ["RAYON_NUM_THREADS"] = str(threads)
        context = multiprocessing.get_context("spawn")
        self.name, (self._pipe, theirs) = name, context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, folder), daemon=True)
        self._process.start()
        theirs.close()
        self.about = self._answer()

    def ask(self, do: str, effort: int, queries: int = 0) -> dict[str, Any]:
        """A line of figures; with `left_out` where it came to an end."""
        try:
            self._pipe.send({"do": do, "effort": effort, "queries": queries})
        except OSError:
            return {"left_out": "it had ended"}
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        try:
            if self._pipe.poll(PATIENCE):
                return dict(self._pipe.recv())
            self.close()
            return {"left_out": f"it took longer than {PATIENCE} seconds"}
        except (EOFError, OSError):
            self._process.join()
            return {"left_out": f"its process ended by signal {-(self._process.exitcode or 0)}"}

    def close(self) -> None:
        """Ends the process."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
