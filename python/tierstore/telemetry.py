"""Counters, durations and spans, in Prometheus and in OpenTelemetry form. Off unless asked for, and then it costs nothing.

    store = await tierstore.open(config, telemetry=tierstore.telemetry.Prometheus())
    store = await tierstore.open(config, telemetry=tierstore.telemetry.OpenTelemetry())

Counts that the tiers keep anyway (hits, misses, …) are read when a collector asks, so that a hit never pays for them. Durations and
sizes are observed where they happen. Calls that L1 answers at once are counted, from its own counters, and not timed; only recorded
spans make an L1 hit slower.

`schema_registry.*` are the schema store's; `tierstore.*` have the store's name as a label, beside operation, tier and error.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, get_args

from tierstore.errors import StorageError

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from prometheus_client.registry import CollectorRegistry

Total = Literal[
    "schema_registry.schemas.registered",
    "schema_registry.schemas.fetched",
    "schema_registry.schemas.deleted",
    "schema_registry.cache.l1.hits",
    "schema_registry.cache.l2.hits",
    "schema_registry.cache.misses",
    "schema_registry.s3.uploads",
    "schema_registry.s3.downloads",
]
Histogram = Literal[
    "schema_registry.query.duration_seconds",
    "schema_registry.s3.upload_size_bytes",
    "schema_registry.s3.download_size_bytes",
]

TOTALS: Final[tuple[Total, ...]] = get_args(Total)
_DURATIONS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SIZES_B: Final = tuple(float(4**power * 1024) for power in range(11))
HISTOGRAMS: Final[dict[Histogram, tuple[str, tuple[float, ...]]]] = {
    "schema_registry.query.duration_seconds": ("s", _DURATIONS_S),
    "schema_registry.s3.upload_size_bytes": ("By", _SIZES_B),
    "schema_registry.s3.download_size_bytes": ("By", _SIZES_B),
}
"""Name → unit and bucket bounds."""

Metric = Literal[
    "tierstore.calls",
    "tierstore.errors",
    "tierstore.cache.hits",
    "tierstore.cache.misses",
    "tierstore.loads",
    "tierstore.load_failures",
    "tierstore.stale_served",
    "tierstore.state.hits",
    "tierstore.state.misses",
    "tierstore.state.expired",
]
METRICS: Final[dict[Metric, tuple[str, str, tuple[str, ...]]]] = {
    "tierstore.calls": ("{call}", "Public calls.", ("store", "operation")),
    "tierstore.errors": (
        "{error}",
        "Public calls that raised an error, by its class.",
        ("store", "operation", "error"),
    ),
    "tierstore.cache.hits": ("{key}", "Keys that a cache tier answered.", ("store", "tier")),
    "tierstore.cache.misses": ("{key}", "Keys that a cache tier was asked for and did not hold.", ("store", "tier")),
    "tierstore.loads": ("{query}", "Database queries for values that no cache held.", ("store",)),
    "tierstore.load_failures": ("{query}", "Database queries of that kind that failed.", ("store",)),
    "tierstore.stale_served": ("{key}", "Expired keys that L1 answered because the database failed.", ("store",)),
    "tierstore.state.hits": ("{key}", "Values that reads of state found.", ("store",)),
    "tierstore.state.misses": ("{key}", "Values that reads of state did not find.", ("store",)),
    "tierstore.state.expired": ("{key}", "Values of state that were removed because their time had come.", ("store",)),
}
"""Counters of each store, by name: unit, description, labels. Every label has few values: names in the code, never a key."""
Level = Literal["tierstore.up", "tierstore.state.keys", "tierstore.state.bytes"]
LEVELS: Final[dict[Level, tuple[str, str]]] = {
    "tierstore.up": ("1", "Whether a server answers: 1, or 0 since it did not."),
    "tierstore.state.keys": ("{key}", "Values that state holds in the memory of this process."),
    "tierstore.state.bytes": ("By", "Memory that they take, about."),
}
"""Gauges by name: unit and description. Each has the label `tier`. Of several open stores the sum, of `tierstore.up` the least."""
CALL_DURATION: Final = "tierstore.call.duration"
CALL_DURATION_HELP: Final = "Duration in seconds of the calls that L1 did not answer at once. L1 hits are not timed."
OTHER_ERROR, CANCELLED = "other", "cancelled"


class Series(NamedTuple):
    """One counter of one store. A label that its metric does not have is empty."""

    metric: Metric
    store: str
    operation: str = ""
    tier: str = ""
    error: str = ""

    def labels(self) -> list[str]:
        """The values of its metric's labels, in their order."""
        return [getattr(self, name) for name in METRICS[self.metric][2]]


class Gauged(NamedTuple):
    """One gauge of one tier."""

    level: Level
    tier: str


Totals = Callable[[], dict[Total, int]]
Counts = Callable[[], dict[Series, int]]
Levels = Callable[[], Mapping[Gauged, int]]
T = TypeVar("T", bound=Hashable)
_NO_SPAN: Final = nullcontext()
NO_ATTRIBUTES: Final[Mapping[str, str]] = {}


class Telemetry:
    """Telemetry that is off: every method returns at once. `on` is False, so that callers do not read their clock."""

    on = False

    @property
    def spans(self) -> bool:
        """Whether calls are recorded as spans; an L1 hit then has one too, and is slower for it. Read when a store is opened."""
        return False

    def watch(self, totals: Totals, counts: Counts, levels: Levels = dict) -> Callable[[], None]:
        """Read them whenever a collector asks. Calling what is returned stops that; what was counted until then stays."""
        return _nothing

    def observe(self, name: Histogram, value: float) -> None:
        """One duration in seconds or one size in bytes."""

    def call(self, store: str, operation: str, seconds: float, error: type[BaseException] | None) -> None:
        """One public call that L1 did not answer at once, and the class of what it raised."""

    def span(self, operation: str, attributes: Mapping[str, str] = NO_ATTRIBUTES) -> AbstractContextManager[object]:
        """A span around one public operation, such as "schemas.get". It records an error that leaves it."""
        return _NO_SPAN

    def close(self) -> None:
        """Remove all metrics from the collector."""


OFF: Final = Telemetry()


def _nothing() -> None:
    return None


def error_label(error: type[BaseException]) -> str:
    """The name of a class of `tierstore.errors`, and one word for all other errors, so that the label has few values."""
    if issubclass(error, StorageError) and error.__module__ == StorageError.__module__:
        return error.__name__
    return OTHER_ERROR if issubclass(error, Exception) else CANCELLED


class _Watching(Telemetry):
    """Sums what every store that is watched counts, and counts the calls itself."""

    on = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: list[tuple[Totals, Counts, Levels]] = []
        self._totals: dict[Total, int] = dict.fromkeys(TOTALS, 0)
        self._counts: Counter[Series] = Counter()
        self._shown: dict[Total | Series, int] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_renew_lock, weakref.ref(self)))

    def watch(self, totals: Totals, counts: Counts, levels: Levels = dict) -> Callable[[], None]:
        source = totals, counts, levels
        self._sources.append(source)

        def unwatch() -> None:
            with self._lock:
                if source in self._sources:
                    self._sources.remove(source)
                    _add(self._totals, totals())
                    _add(self._counts, counts())

        return unwatch

    def call(self, store: str, operation: str, seconds: float, error: type[BaseException] | None) -> None:
        with self._lock:
            self._counts[Series("tierstore.calls", store, operation)] += 1
            if error is not None:
                self._counts[Series("tierstore.errors", store, operation, error=error_label(error))] += 1
        self._observe_call(store, operation, seconds)

    def _observe_call(self, store: str, operation: str, seconds: float) -> None:
        raise NotImplementedError

    def _sum(self) -> dict[Total, int]:
        with self._lock:
            summed = dict(self._totals)
            for totals, _, _ in self._sources:
                _add(summed, totals())
            return self._risen(summed)

    def _sums(self) -> dict[Series, int]:
        with self._lock:
            summed = dict(self._counts)
            for _, counts, _ in self._sources:
                _add(summed, counts())
            return self._risen(summed)

    def _levels(self) -> dict[Gauged, int]:
        found: dict[Gauged, int] = {}
        with self._lock:
            for _, _, levels in self._sources:
                for gauged, value in levels().items():
                    before = found.get(gauged)
                    if before is None or gauged.level != "tierstore.up":
                        found[gauged] = (before or 0) + value
                    else:
                        found[gauged] = min(before, value)
        return found

    def _risen(self, summed: dict[T, int]) -> dict[T, int]:
        """A count that corrects itself by one between two looks must not look like a restart to a collector."""
        shown: dict[Any, int] = self._shown
        for name, value in summed.items():
            shown[name] = summed[name] = max(value, shown.get(name, 0))
        return summed


def _renew_lock(watching: weakref.ref[_Watching]) -> None:
    """In a forked child, where a thread that no longer exists may have held it."""
    if (known := watching()) is not None:
        known._lock = threading.Lock()


def _add(summed: dict[Any, int], more: Mapping[Any, int]) -> None:
    for name, value in more.items():
        summed[name] = summed.get(name, 0) + value


class Prometheus(_Watching):
    """Metrics in `registry` (default: the process's own). Dots in the names become underscores; counters end in `_total`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__()
        import prometheus_client

        self._client = prometheus_client
        self._registry = registry or prometheus_client.REGISTRY
        self._histograms = {
            name: prometheus_client.Histogram(_flat(name), f"{name} ({unit})", registry=self._registry, buckets=bounds)
            for name, (unit, bounds) in HISTOGRAMS.items()
        }
        self._durations = prometheus_client.Histogram(
            f"{_flat(CALL_DURATION)}_seconds",
            CALL_DURATION_HELP,
            ["store", "operation"],
            registry=self._registry,
            buckets=_DURATIONS_S,
        )
        self._duration_of: dict[tuple[str, str], Any] = {}
        self._registry.register(self)  # a collector is anything with collect()

    def collect(self) -> Iterator[Any]:
        """Called by prometheus_client at each scrape."""
        counter = self._client.metrics_core.CounterMetricFamily
        for name, value in self._sum().items():
            yield counter(_flat(name), name, value=value)
        sums = self._sums()
        for metric, (_, description, labels) in METRICS.items():
            family = counter(_flat(metric), description, labels=labels)
            for series, value in sums.items():
                if series.metric == metric:
                    family.add_metric(series.labels(), value)
            yield family
        levels = self._levels()
        for level, (_, description) in LEVELS.items():
            gauge = self._client.metrics_core.GaugeMetricFamily(_flat(level), description, labels=["tier"])
            for gauged, value in levels.items():
                if gauged.level == level:
                    gauge.add_metric([gauged.tier], value)
            yield gauge

    def observe(self, name: Histogram, value: float) -> None:
        self._histograms[name].observe(value)

    def _observe_call(self, store: str, operation: str, seconds: float) -> None:
        duration = self._duration_of.get((store, operation))
        if duration is None:
            duration = self._duration_of[store, operation] = self._durations.labels(store, operation)
        duration.observe(seconds)

    def close(self) -> None:
        self._registry.unregister(self)
        for histogram in (self._durations, *self._histograms.values()):
            self._registry.unregister(histogram)


def _flat(name: str) -> str:
    return name.replace(".", "_")


NEVER_SAMPLED: Final = "AlwaysOffSampler"
"""How the specification has such a sampler describe itself."""
OTEL_NAMES: Final = {"error": "error.type"}
"""Labels that have another name in OpenTelemetry's conventions."""


class OpenTelemetry(_Watching):
    """Metrics and spans by the given providers (default: the global ones). Spans are made only if the tracer provider records them."""

    def __init__(self, meter_provider: Any = None, tracer_provider: Any = None) -> None:
        super().__init__()
        from opentelemetry import metrics, trace

        meter = metrics.get_meter("tierstore", meter_provider=meter_provider)
        self._trace = trace
        self._tracer = trace.get_tracer("tierstore", tracer_provider=tracer_provider)
        self._histograms = {
            name: meter.create_histogram(name, unit=unit, explicit_bucket_boundaries_advisory=bounds)
            for name, (unit, bounds) in HISTOGRAMS.items()
        }
        self._durations = meter.create_histogram(
            CALL_DURATION, "s", CALL_DURATION_HELP, explicit_bucket_boundaries_advisory=_DURATIONS_S
        )
        for name in TOTALS:
            meter.create_observable_counter(name, [self._reader(name)])
        for metric, (unit, description, _) in METRICS.items():
            meter.create_observable_counter(metric, [self._series_reader(metric)], unit, description)
        for level, (unit, description) in LEVELS.items():
            meter.create_observable_gauge(level, [self._level_reader(level)], unit, description)

    @property
    def spans(self) -> bool:
        tracer: Any = self._tracer
        if isinstance(tracer, self._trace.ProxyTracer):  # made before the application chose its provider
            tracer = self._trace.get_tracer_provider().get_tracer("tierstore")
        if isinstance(tracer, (self._trace.NoOpTracer, self._trace.ProxyTracer)):
            return False
        sampler = getattr(tracer, "sampler", None)
        return sampler is None or sampler.get_description() != NEVER_SAMPLED

    def _reader(self, name: Total) -> Callable[[CallbackOptions], Iterable[Observation]]:
        from opentelemetry.metrics import Observation

        return lambda _options: [Observation(self._sum()[name])]

    def _series_reader(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        from opentelemetry.metrics import Observation

        names = [OTEL_NAMES.get(name, name) for name in METRICS[metric][2]]
        return lambda _options: [
            Observation(value, dict(zip(names, series.labels(), strict=True)))
            for series, value in self._sums().items()
            if series.metric == metric
        ]

    def _level_reader(self, level: Level) -> Callable[[CallbackOptions], Iterable[Observation]]:
        from opentelemetry.metrics import Observation

        return lambda _options: [
            Observation(value, {"tier": gauged.tier})
            for gauged, value in self._levels().items()
            if gauged.level == level
        ]

    def observe(self, name: Histogram, value: float) -> None:
        self._histograms[name].record(value)

    def _observe_call(self, store: str, operation: str, seconds: float) -> None:
        self._durations.record(seconds, {"store": store, "operation": operation})

    def span(self, operation: str, attributes: Mapping[str, str] = NO_ATTRIBUTES) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(f"tierstore.{operation}", attributes=attributes)

    def close(self) -> None:
        self._sources.clear()
