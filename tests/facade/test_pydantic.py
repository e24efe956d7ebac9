"""pydantic and FastAPI take what the library answers as it is: the JSON is that of `to_json`, and OpenAPI describes it."""

import asyncio
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import httpx
import pydantic
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, TypeAdapter

import tierstore
from tests.core.golden_records import Colour, Everything, Point, everything
from tierstore import Health, Page, Popular, Record, Schema, SchemaInfo, SearchHit, Statistics, codec
from tierstore.records import field


class Node(Record, kind=60210):
    """A tree."""

    name: str
    size: codec.u8 = 0
    body: bytes = b""
    children: Sequence["Node"] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    mood: Literal["good", "bad"] = "good"
    secret: str = field(default="", exposed=False)

    @property
    @tierstore.exposed
    def count(self) -> int:
        """How many children."""
        return len(self.children)


TREE = Node("root", 1, b"\xff", (Node("leaf"),), {"a": b"\x00"})


def app_over(store: tierstore.Store) -> FastAPI:
    app = FastAPI()

    @app.get("/latest/{subject}", response_model=Schema)
    async def latest(subject: str) -> Any:
        return await store.schemas.get_latest(subject)

    @app.get("/without_content/{subject}", response_model=Schema, response_model_exclude={"content"})
    async def without_content(subject: str) -> Any:
        return await store.schemas.get_latest(subject)

    @app.get("/perhaps/{subject}")
    async def perhaps(subject: str) -> Schema | None:
        return await store.schemas.get_latest(subject)

    @app.get("/versions/{subject}")
    async def versions(subject: str) -> Page[SchemaInfo]:
        return await store.schemas.list(subject)

    @app.get("/as_list/{subject}")
    async def as_list(subject: str) -> list[SchemaInfo]:
        return list((await store.schemas.list(subject)).items)

    @app.get("/found")
    async def found(text: str) -> Page[SearchHit]:
        return await store.schemas.search(text)

    @app.get("/popular")
    async def popular() -> list[Popular]:
        return [Popular("a", 1)]

    @app.get("/health")
    async def health() -> Health:
        return await store.health()

    @app.get("/statistics")
    async def statistics() -> Statistics:
        return await store.statistics()

    @app.post("/echo")
    async def echo(node: Annotated[Node, Body()]) -> Node:
        assert isinstance(node, Node)
        return node

    return app


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> dict[str, Any]:
    """What each path answers, and the document that describes them."""

    async def ask() -> dict[str, Any]:
        async with tierstore.open(tmp_path_factory.mktemp("store")) as store:
            content = b'{"a": "\xc3\xa9"}'
            schema = await store.schemas.register(
                "orders", "1.0.0", content, tags=("t",), description="d", metadata={"k": 1}
            )
            found = await store.schemas.list("orders")
            transport = httpx.ASGITransport(app_over(store))
            paths = ("latest", "without_content", "perhaps", "versions", "as_list")
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                asked = {name: await client.get(f"/{name}/orders") for name in paths}
                asked["nothing"] = await client.get("/perhaps/nothing")
                for name in ("popular", "health", "statistics", "openapi.json"):
                    asked[name] = await client.get(f"/{name}")
                asked["found"] = await client.get("/found", params={"text": "orders"})
                asked["echo"] = await client.post("/echo", json=json.loads(TREE.to_json()))
                asked["refused"] = await client.post("/echo", json={"name": "n", "size": 300, "body": "?", "mood": "x"})
            answers = {name: answer.json() for name, answer in asked.items()}
            return answers | {"schema": schema, "page": found, "statuses": {a: b.status_code for a, b in asked.items()}}

    return asyncio.run(ask())


def test_fastapi_answers_with_records_and_pages(answered):
    whole, info = json.loads(answered["schema"].to_json()), json.loads(answered["page"].items[0].to_json())
    assert answered["latest"] == answered["perhaps"] == whole
    assert whole["metadata"] == {"k": 1, "tags": ["t"], "description": "d"}
    assert answered["without_content"] == {name: value for name, value in whole.items() if name != "content"}
    assert answered["nothing"] is None
    assert answered["versions"] == {"items": [info], "next": None}
    assert answered["as_list"] == [info]
    assert answered["found"] == {"items": [{"schema": info, "score": 1.0}], "next": None}
    assert answered["popular"] == [{"id": "a", "access_count": 1}]
    assert answered["health"]["ok"] is True
    assert answered["statistics"]["stores"]["schemas"]["total_schemas"] == 1


def test_openapi_describes_them(answered):
    document = answered["openapi.json"]
    schemas = document["components"]["schemas"]
    answer = document["paths"]["/latest/{subject}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Schema"}
    properties = schemas["Schema"]["properties"]
    assert set(schemas["Schema"]["required"]) == set(properties) == set(answered["schema"].asdict())
    assert properties["state"]["enum"] == ["draft", "active", "deprecated", "disabled", "archived"]
    assert properties["content"] == {"type": "string", "contentEncoding": "base64", "title": "Content"}
    assert properties["created_at"]["format"] == "date-time"
    assert properties["metadata"]["type"] == "object"
    assert "One version of a subject" in schemas["Schema"]["description"]
    items = schemas["Page_SchemaInfo_"]["properties"]["items"]
    assert items["items"] == {"$ref": "#/components/schemas/SchemaInfo"}
    assert schemas["SearchHit"]["properties"]["schema"] == {"$ref": "#/components/schemas/SchemaInfo"}
    assert set(schemas["Health"]["properties"]) == {"tiers", "warnings", "ok"}


def test_a_record_is_a_request_body(answered):
    assert answered["echo"] == json.loads(TREE.to_json())
    assert answered["statuses"]["refused"] == 422
    assert {tuple(each["loc"]) for each in answered["refused"]["detail"]} == {
        ("body", "size"),
        ("body", "body"),
        ("body", "mood"),
    }
    document = answered["openapi.json"]
    post = document["paths"]["/echo"]["post"]
    taken = described(document, post["requestBody"])
    given = described(document, post["responses"]["200"])
    assert (taken["title"], given["title"]) == ("NodeInput", "Node")
    assert taken["required"] == ["name"]
    assert set(given["required"]) == set(given["properties"]) == set(TREE.asdict())
    assert set(given["properties"]) - set(taken["properties"]) == {"count"}
    assert (taken["properties"]["size"]["minimum"], taken["properties"]["size"]["maximum"]) == (0, 255)
    assert given["properties"]["children"]["items"] == post["responses"]["200"]["content"]["application/json"]["schema"]
    assert taken["properties"]["children"]["items"] == post["requestBody"]["content"]["application/json"]["schema"]


def described(document: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]


@pytest.mark.parametrize(
    "record", [TREE, Node.from_bytes(codec.encode(TREE)), everything()], ids=["made", "received", "everything"]
)
def test_pydantic_writes_what_to_json_writes_and_reads_it_back(record):
    adapter = TypeAdapter(type(record))
    assert json.loads(adapter.dump_json(record)) == json.loads(record.to_json())
    assert adapter.dump_python(record) == record.asdict()
    assert adapter.validate_json(record.to_json()) == record
    assert adapter.validate_python(record) is record


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ({"include": {"name", "count"}}, {"name": "root", "count": 1}),
        ({"include": {"name": True, "children": {0: {"name"}}}}, {"name": "root", "children": [{"name": "leaf"}]}),
        ({"include": {"size", "count"}, "exclude": {"count": True, "size": False}}, {"size": 1}),
        ({"include": {"children": {"__all__": ...}}, "exclude": {"children": {0}}}, {"children": []}),
    ],
)
def test_parts_of_it(choice, left):
    assert TypeAdapter(Node).dump_python(TREE, mode="json", **choice) == left


def test_parts_of_a_page():
    choice = {"items": {"__all__": {"body"}}}
    page = TypeAdapter(Page[Node]).dump_python(Page((TREE,), None), mode="json", exclude=choice)
    whole = json.loads(TREE.to_json())
    assert page["items"] == [{name: value for name, value in whole.items() if name != "body"}]


def test_in_a_model_of_pydantic():
    class Answer(BaseModel):
        node: Node
        either: Point | Node
        maybe: Everything | None = None
        colour: Colour = Colour.RED

    answer = Answer(node=TREE, either=Node("n"))
    dumped = json.loads(answer.model_dump_json())
    assert (dumped["node"], dumped["either"]) == (json.loads(TREE.to_json()), json.loads(Node("n").to_json()))
    assert Answer(node={"name": "x"}, either=Point(1)).node == Node("x")
    assert {"Node", "Point", "Everything"} <= Answer.model_json_schema(mode="serialization")["$defs"].keys()
    assert {"NodeInput", "PointInput"} <= Answer.model_json_schema()["$defs"].keys()


def test_what_only_a_store_makes_is_not_made_of_a_dict():
    class Holder(BaseModel):
        schema_: Schema

    with pytest.raises(pydantic.ValidationError, match="instance of Schema, which only a store makes"):
        Holder(schema_={"id": "x"})
    assert "Schema" in Holder.model_json_schema()["$defs"]
    with pytest.raises(pydantic.ValidationError):
        TypeAdapter(tierstore.Meta).validate_python({"tier": "l1"})


def test_an_open_page_and_wrong_values():
    page = Page((1,), None)
    assert json.loads(TypeAdapter(Page).dump_json(page)) == {"items": [1], "next": None}
    assert TypeAdapter(Page[int]).validate_python({"items": ["3"], "next": None}) == Page((3,), None)
    with pytest.raises(pydantic.ValidationError, match="base64"):
        TypeAdapter(Node).validate_python({"name": "n", "body": "not base64"})


def test_the_hints_of_a_call_that_answers_a_page_can_be_read():
    """`typing` builds an alias anew to resolve it; FastAPI does the same with an annotation that is text."""
    hints = typing.get_type_hints(tierstore.SchemaStore.search)
    assert typing.get_args(hints["return"]) == (SearchHit,)
    assert typing.get_origin(hints["return"]) is Page
