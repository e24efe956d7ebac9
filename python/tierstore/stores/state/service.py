"""Facts about one thing under one id, each with its own type: a thin layer over `store.state`, on either face.

    service = tierstore.StateService(store.state, prefix="polly", ttl=86_400)
    await service.store_pr_number(sha, 17)              # under "polly:pr_number:<sha>", for a day
    await service.get_pr_number(sha)                    # 17; 0 if it is not there
    await service.find_pr_number(sha)                   # 17; None if it is not there
    await service.delete_pr_number(sha)                 # whether it was there

    class Builds(tierstore.StateService):
        build_id = tierstore.StateField(int)
        stage = tierstore.StateField(str, ttl=600)
        store_stage, get_stage, find_stage, delete_stage = stage.calls()     # for type checkers; at run time they are there anyway

    await builds.store_build_id(sha, 5)
    await builds.build_id.store(sha, 5)                 # the same, and a type checker sees that it takes an int

Over `tierstore.blocking` the same calls return at once, without `await`.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar, cast, get_origin, overload

from tierstore.errors import InvalidKeyError, ValidationError
from tierstore.plan.values import check_name
from tierstore.runtime import drive
from tierstore.stores.state import values
from tierstore.stores.state.arguments import ttl_ms
from tierstore.stores.state.model import DEFAULT, Default

_T = TypeVar("_T")
_V = TypeVar("_V", contravariant=True)
_A = TypeVar("_A", covariant=True)
Answer = Coroutine[Any, Any, _T]
DAY_S: Final = 86_400
_PLAIN: Final = (bool, int, float, str, bytes)
_WITH_ZERO: Final = (*_PLAIN, list, dict, tuple, set, frozenset)


class Storing(Protocol[_V]):
    """As `Fact.store`."""

    def __call__(self, id: str, value: _V, /, *, timeout: float | None = None) -> Answer[str]: ...


class Asking(Protocol[_A]):
    """As `Fact.get`, `Fact.find` and `Fact.delete`."""

    def __call__(self, id: str, /, *, timeout: float | None = None) -> Answer[_A]: ...


class Call(Generic[_A]):
    """One call of a field as a method of its service: `get_pr_number` for one."""

    def __init__(self, field: StateField[Any], verb: str) -> None:
        self._field = field
        self._verb = verb
        self.__doc__ = getattr(Fact, verb).__doc__

    def __get__(self, instance: StateService | None, owner: type[StateService]) -> _A:
        bound: _A = self if instance is None else getattr(Fact(instance, self._field), self._verb)  # type: ignore[assignment]
        return bound


class StateField(Generic[_T]):
    """A fact of a `StateService`, declared in its class: `build_id = StateField(int)`.

    `type`: an annotation that `store.state` reads. `ttl`: seconds or a timedelta, None for no end, DEFAULT for the service's. On an
    instance it is the fact itself, with the calls of `Fact`; the service has `store_<name>`, `get_<name>`, `find_<name>` and
    `delete_<name>` too.
    """

    name = ""

    def __init__(self, type: type[_T], *, ttl: float | timedelta | Default | None = DEFAULT) -> None:
        if type not in _PLAIN:  # checking loads msgspec, and this file is loaded with every store
            values.check_type(type)
        ttl_ms(ttl, None)
        self.type = type
        self.ttl = ttl

    def __set_name__(self, owner: type[StateService], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type[StateService]) -> Self: ...
    @overload
    def __get__(self, instance: StateService, owner: type[StateService]) -> Fact[_T]: ...
    def __get__(self, instance: StateService | None, owner: type[StateService]) -> Self | Fact[_T]:
        return self if instance is None else Fact(instance, self)

    def calls(self) -> tuple[Call[Storing[_T]], Call[Asking[_T]], Call[Asking[_T | None]], Call[Asking[bool]]]:
        """The methods `store_<name>`, `get_<name>`, `find_<name>`, `delete_<name>`, to be named in the class for type checkers."""
        return Call(self, "store"), Call(self, "get"), Call(self, "find"), Call(self, "delete")

    def zero(self) -> Any:
        """What stands for a fact that is not there: 0, "", [], …; None for a type that has no such value."""
        kind = get_origin(self.type) or self.type
        return kind() if kind in _WITH_ZERO else None


class Fact(Generic[_T]):
    """One field of one service. Each call takes the id of the thing that the fact is about, and `timeout` in seconds."""

    __slots__ = ("_field", "_service")

    def __init__(self, service: StateService, field: StateField[_T]) -> None:
        self._service = service
        self._field = field

    def key(self, id: str) -> str:
        """The key in `store.state`. InvalidKeyError unless `id` is a text that is not empty."""
        return self._service._key(self._field.name, id)

    def store(self, id: str, value: _T, *, timeout: float | None = None) -> Answer[str]:
        """Replace the fact and its end; returns its etag. ValidationError for a value that is not of the field's type."""
        if value.__class__ is not self._field.type:
            values.decode(values.encode(value), self._field.type)
        ttl = self._service._ttl if self._field.ttl is DEFAULT else self._field.ttl
        etag: Answer[str] = self._service._state.set(self.key(id), value, ttl=ttl, timeout=timeout)
        return etag

    def get(self, id: str, *, timeout: float | None = None) -> Answer[_T]:
        """The fact; 0, "" or the like if it is not there (`StateField.zero`)."""
        fact: Answer[_T] = self._read(id, self._field.zero(), timeout)
        return fact

    def find(self, id: str, *, timeout: float | None = None) -> Answer[_T | None]:
        """The fact; None if it is not there, so that a stored 0 is told from none."""
        fact: Answer[_T | None] = self._read(id, None, timeout)
        return fact

    def delete(self, id: str, *, timeout: float | None = None) -> Answer[bool]:
        """Whether it was there."""
        deleted: Answer[bool] = self._service._state.delete(self.key(id), timeout=timeout)
        return deleted

    def _read(self, id: str, absent: Any, timeout: float | None) -> Any:
        return self._service._state.get(self.key(id), type=self._field.type, default=absent, timeout=timeout)


class StateService:
    """Facts under ids, in `store.state` of either face. `prefix`: before every key; `ttl`: seconds or a timedelta, None for no end."""

    pr_number = StateField(int)
    vuln_check_run_id = StateField(int)
    license_check_run_id = StateField(int)
    workflow_run_id = StateField(int)

    store_pr_number, get_pr_number, find_pr_number, delete_pr_number = pr_number.calls()
    (
        store_vuln_check_run_id,
        get_vuln_check_run_id,
        find_vuln_check_run_id,
        delete_vuln_check_run_id,
    ) = vuln_check_run_id.calls()
    (
        store_license_check_run_id,
        get_license_check_run_id,
        find_license_check_run_id,
        delete_license_check_run_id,
    ) = license_check_run_id.calls()
    (
        store_workflow_run_id,
        get_workflow_run_id,
        find_workflow_run_id,
        delete_workflow_run_id,
    ) = workflow_run_id.calls()

    fields: ClassVar[tuple[str, ...]] = ("pr_number", "vuln_check_run_id", "license_check_run_id", "workflow_run_id")
    """The names of the class's fields, those of its bases first."""

    def __init__(self, state: Any, *, prefix: str = "polly", ttl: float | timedelta | None = DAY_S) -> None:
        if not callable(getattr(state, "get_many", None)):
            raise ValidationError(
                f"state must be store.state of an open store, not {type(state).__name__}", place="state"
            )
        ttl_ms(ttl, None)
        self._state = state
        self._prefix = check_name(prefix, "prefix")
        self._ttl = ttl
        self._is_blocking = not inspect.iscoroutinefunction(state.get)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {name: member for name, member in vars(cls).items() if isinstance(member, StateField)}
        for name, field in own.items():
            for call in field.calls():
                if f"{call._verb}_{name}" not in vars(cls):
                    setattr(cls, f"{call._verb}_{name}", call)
        cls.fields = tuple(dict.fromkeys([*cls.fields, *own]))

    def all_state(self, id: str, *, timeout: float | None = None) -> Answer[dict[str, Any]]:
        """Every fact about `id` that is there, by the name of its field, in one round trip."""
        found = self._all_state(self._keys(id), timeout)
        answer: Any = drive(found) if self._is_blocking else found
        return cast("Answer[dict[str, Any]]", answer)

    def delete_all_state(self, id: str, *, timeout: float | None = None) -> Answer[int]:
        """Forget every fact about `id`, in one round trip; returns how many were there."""
        deleted: Answer[int] = self._state.delete_many(self._keys(id).values(), timeout=timeout)
        return deleted

    async def _all_state(self, keys: dict[str, str], timeout: float | None) -> dict[str, Any]:
        found = self._state.get_many(keys.values(), timeout=timeout)
        stored = await found if inspect.isawaitable(found) else found
        types = {name: getattr(type(self), name).type for name in keys}
        return {
            name: values.decode(values.encode(value), types[name], keys[name])
            for name, value in zip(keys, stored, strict=True)
            if value is not None
        }

    def _keys(self, id: str) -> dict[str, str]:
        return {name: self._key(name, id) for name in self.fields}

    def _key(self, name: str, id: object) -> str:
        if not isinstance(id, str) or not id:
            got = "an empty one" if id == "" else type(id).__name__
            raise InvalidKeyError(f"the id must be a str that is not empty, got {got}", place="id")
        return f"{self._prefix}:{name}:{id}"
