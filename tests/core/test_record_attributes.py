"""A record's attribute is what the class says it is now, although fields are looked up in a cache of their own."""

from __future__ import annotations

import gc
import threading

import pytest

from tierstore import _native, codec
from tierstore.records import Record, field


def received(record):
    return codec.decode(codec.encode(record))


def read_twice(record, name):
    """The second time from the cache."""
    first = getattr(record, name)
    assert getattr(record, name) == first
    return first


def test_methods_properties_and_class_variables_beside_fields():
    class Page(Record, kind=60130):
        limit = 10
        title: str
        size: int

        @property
        def line(self):
            return f"{self.title}: {self.size}"

        def doubled(self):
            return self.size * 2

    page = received(Page("one", 7))
    for _ in range(3):
        assert (page.title, page.size, page.line, page.doubled(), page.limit) == ("one", 7, "one: 7", 14, 10)
        assert page.replace(size=8).size == 8


def test_a_field_that_a_subclass_declares_anew_is_its_own():
    class Base(Record, kind=60131):
        name: str
        size: int

    class Child(Base, kind=60132):
        size: str

    base, child = received(Base("b", 1)), received(Child("c", "large"))
    for _ in range(3):
        assert [read_twice(record, name) for record in (base, child) for name in ("name", "size")] == [
            "b",
            1,
            "c",
            "large",
        ]


def test_what_is_assigned_to_the_class_counts_at_once():
    class Base(Record, kind=60133):
        name: str

    class Child(Base, kind=60134):
        size: int

    base, child = received(Base("b")), received(Child("c", 2))
    fields = {owner: vars(owner)["name"] for owner in (Base, Child)}
    assert (read_twice(base, "name"), read_twice(child, "name")) == ("b", "c")
    Base.name = property(lambda self: "a property")
    assert (read_twice(base, "name"), read_twice(child, "name")) == ("a property", "c")
    del Child.name
    assert read_twice(child, "name") == "a property"
    Child.name = fields[Child]
    del Base.name
    assert read_twice(child, "name") == "c"
    with pytest.raises(AttributeError):
        read_twice(base, "name")
    Base.name = fields[Base]
    assert read_twice(base, "name") == "b"


def test_a_class_that_answers_for_what_is_missing():
    class Open(Record, kind=60135):
        name: str

        def __getattr__(self, name):
            return f"made {name}"

    class Plain(Record, kind=60136):
        name: str

    own, plain = received(Open("n")), received(Plain("p"))
    assert (read_twice(own, "name"), read_twice(own, "other")) == ("n", "made other")
    for _ in range(2):
        with pytest.raises(AttributeError):
            read_twice(plain, "other")
        Plain.__getattr__ = lambda self, name: f"later {name}"
        assert (read_twice(plain, "name"), read_twice(plain, "other")) == ("p", "later other")
        del Plain.__getattr__


class Upper:
    """A descriptor around a field's, as instrumentation puts there."""

    def __init__(self, inner, of_class=None):
        self.inner, self.of_class, self.asked = inner, of_class, 0

    def __get__(self, record, owner=None):
        if record is None:
            self.asked += 1
            return self.of_class() if self.of_class else self.inner
        return self.inner.__get__(record, owner).upper()


def test_a_descriptor_around_a_field_is_asked_each_time():
    class Page(Record, kind=60137):
        name: str

    page, inner = received(Page("p")), vars(Page)["name"]

    def fail():
        raise TypeError

    for of_class in (None, fail, lambda: _native.field_descriptor(Page.__layout__, 0)):
        Page.name = around = Upper(inner, of_class)
        assert [page.name for _ in range(4)] == ["P"] * 4
        assert around.asked == 0
        gc.collect()
    Page.name = inner
    assert page.name == "p"


def test_a_field_that_is_deleted_while_its_default_is_made():
    def deleting():
        for name in ("added", "name", "__layout__"):
            delattr(Page, name)
        gc.collect()
        return "made"

    class Old(Record, kind=60141):
        name: str

    class Page(Record, kind=60141, revision=2, oldest_reader=1, replaces=Old):
        name: str
        added: str = field(revision=2, default_factory=deleting)

    page = Page.from_bytes(codec.encode(Old("n")))
    assert page.name == "n"
    assert page.added == "made"


def test_names_that_are_made_on_the_way_and_die():
    class Page(Record, kind=60138):
        name: str
        size: int

    page = received(Page("p", 3))
    for number in range(20_000):
        assert getattr(page, "".join(["na", "me"])) == "p"
        with pytest.raises(AttributeError):
            getattr(page, f"name{number % 7}")
        assert page.size == 3


def test_classes_that_come_and_go():
    """Each with its fields in another order than the one before."""
    for number in range(300):
        names = ("first", "second") if number % 2 else ("second", "first")
        made = type(Record)("Made", (Record,), {"__annotations__": dict.fromkeys(names, "str")})
        record = made(*names)
        assert [read_twice(record, name) for name in names] == list(names)
        del made, record
        if number % 50 == 0:
            gc.collect()


def test_classes_that_change_while_threads_read():
    class Page(Record, kind=60139):
        name: str
        size: int

    own, stop, wrong = vars(Page)["name"], threading.Event(), []

    def read():
        while not stop.is_set():
            page = received(Page("p", 3))
            if (page.size, page.size) != (3, 3) or page.name not in {"p", "over"}:
                wrong.append(page)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        Page.name = property(lambda self: "over")
        assert Page("q", 1).name == "over"
        Page.name = own
        assert Page("q", 1).name == "q"
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
