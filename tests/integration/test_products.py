"""Availability, boosts, updates and main objects of products against the real stack."""

import io
from collections.abc import Callable, Iterator

import grpc
import httpx
import pytest
from PIL import Image

from framelens_client import Client
from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.v1 import framelens_pb2_grpc as pb_grpc

WHOLE = pb.Box(x_max=1, y_max=1)
CATEGORY = "of test_products"


class Gateway:
    """The contract itself, as a client of another language would use it."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.catalog = pb_grpc.CatalogStub(self.channel)
        self.search = pb_grpc.VisualSearchStub(self.channel)

    def store(self, product_id: str, *pictures: pb.ReferencePicture, **fields: object) -> pb.StoredProduct:
        product = pb.Product(id=product_id, category=CATEGORY, **fields)
        upsert = pb.ProductUpsert(product=product, pictures=pictures)
        (result,) = self.catalog.UpsertProducts(pb.UpsertProductsRequest(products=[upsert])).results
        assert not result.HasField("error"), result.error
        return self.stored(product_id)

    def stored(self, product_id: str) -> pb.StoredProduct:
        return self.catalog.GetProduct(pb.GetProductRequest(id=product_id))

    def update(self, *updates: pb.ProductUpdate) -> list[str]:
        answer = self.catalog.UpdateProducts(pb.UpdateProductsRequest(updates=updates))
        return [result.error.reason for result in answer.results]

    def matches(self, picture: bytes, availabilities: tuple[str, ...] = (), **options: object) -> list[pb.Match]:
        wanted = pb.Filter(categories=[CATEGORY], availabilities=availabilities)
        search = pb.SearchOptions(filter=wanted, **options)
        asked = pb.SearchRegionRequest(picture=picture, region=WHOLE, search=search)
        return list(self.search.SearchRegion(asked).matches)


@pytest.fixture
def gateway(stack: object, client: Client) -> Iterator[Gateway]:
    connected = Gateway(stack["grpc"])
    yield connected
    listed = connected.catalog.ListProducts(pb.ListProductsRequest(filter=pb.Filter(categories=[CATEGORY])))
    if listed.products:
        ids = [stored.product.id for stored in listed.products]
        connected.catalog.DeleteProducts(pb.DeleteProductsRequest(ids=ids))
    connected.channel.close()


@pytest.fixture
def shown(sample: Callable[[str], bytes]) -> Callable[..., pb.ReferencePicture]:
    """A sample as a reference picture: all of it, or its main object."""

    def show(name: str, whole: bool = True) -> pb.ReferencePicture:
        return pb.ReferencePicture(picture=sample(name), region=WHOLE if whole else None)

    return show


def test_an_update_is_seen_by_the_next_search_and_leaves_pictures_alone(
    gateway: Gateway, shown: Callable, sample: Callable
) -> None:
    before = gateway.store("cup", shown("coffee.png"), shown("coins.png"), title="Cup", price=9.5, currency="EUR")
    for n, availability in enumerate(("in_stock", "out_of_stock", "preorder", "backorder", "")):
        change = pb.ProductUpdate(id="cup", price=n, availability=availability)
        assert gateway.update(change, pb.ProductUpdate(id="nobody", price=1)) == ["", "NOT_FOUND"]
        (match,) = gateway.matches(sample("coffee.png"))
        assert (match.price, match.availability, match.title) == (n, availability, "Cup")
        assert match.score == pytest.approx(1, abs=0.02)
    after = gateway.stored("cup")
    assert after.pictures == before.pictures
    assert after.updated_at > before.updated_at
    assert gateway.update(pb.ProductUpdate(id="cup", price=-1)) == [""]
    assert not gateway.matches(sample("coffee.png"))[0].HasField("price")


def test_updates_over_http(gateway: Gateway, stack: object, shown: Callable) -> None:
    gateway.store("cup", shown("coffee.png"))
    body = {"updates": [{"id": "cup", "boost": 0.1, "title": "Mug"}, {"id": "cup", "boost": 0.2}, {"id": "no"}]}
    answer = httpx.post(f"http://{stack['http']}/v1/products:update", json=body, timeout=30)
    errors = [result.get("error", {}).get("reason") for result in answer.json()["results"]]
    assert errors == [None, "INVALID_PRODUCT", "INVALID_PRODUCT"]
    assert gateway.stored("cup").product.boost == pytest.approx(0.1)
    product = httpx.get(f"http://{stack['http']}/v1/products/cup", timeout=30).json()["product"]
    assert (product["boost"], product["availability"], product["title"]) == (0.1, "", "Mug")


def test_searches_and_lists_are_filtered_by_availability(gateway: Gateway, shown: Callable, sample: Callable) -> None:
    for name, availability in (("grass", "in_stock"), ("gravel", "out_of_stock"), ("brick", "")):
        gateway.store(name, shown(f"{name}.png"), availability=availability)
    found = gateway.matches(sample("grass.png"), ("out_of_stock", "preorder"))
    assert [(match.id, match.availability) for match in found] == [("gravel", "out_of_stock")]
    wanted = pb.Filter(categories=[CATEGORY], availabilities=["in_stock"])
    listed = gateway.catalog.ListProducts(pb.ListProductsRequest(filter=wanted)).products
    assert [stored.product.id for stored in listed] == ["grass"]
    with pytest.raises(grpc.RpcError, match="in_stock, out_of_stock, preorder, backorder"):
        gateway.matches(sample("grass.png"), ("sold",))


def test_a_boost_is_off_by_default_and_reported_where_it_is_used(
    gateway: Gateway, shown: Callable, sample: Callable
) -> None:
    gateway.store("same", shown("grass.png"), boost=-0.2)
    gateway.store("near", shown("gravel.png"), shown("brick.png"))
    plain = gateway.matches(sample("grass.png"))
    assert [match.id for match in plain] == ["same", "near"]
    assert not plain[0].HasField("boost") and not plain[0].HasField("rank_without_boost")
    gap = plain[0].score - plain[1].score
    gateway.update(pb.ProductUpdate(id="near", boost=0.2))
    ranked = gateway.matches(sample("grass.png"), use_boost=True)
    expected = ["near", "same"] if gap < 0.4 else ["same", "near"]
    assert [match.id for match in ranked] == expected
    assert {match.id: match.rank_without_boost for match in ranked} == {"same": 1, "near": 2}
    assert {match.id: round(match.boost, 6) for match in ranked} == {"same": -0.2, "near": 0.2}
    by_id = {match.id: match for match in plain}
    assert all(match.score == by_id[match.id].score for match in ranked)
    assert all(match.picture_id == by_id[match.id].picture_id for match in ranked)


@pytest.mark.parametrize("use_boost", [False, True])
def test_a_product_with_three_pictures_comes_once_with_the_best(
    gateway: Gateway, shown: Callable, sample: Callable, use_boost: bool
) -> None:
    stored = gateway.store("three", *map(shown, ("gravel.png", "coffee.png", "brick.png")), boost=0.1)
    gateway.store("other", shown("moon.png"))
    for n, name in enumerate(("gravel.png", "coffee.png", "brick.png")):
        found = gateway.matches(sample(name), use_boost=use_boost)
        assert sorted(match.id for match in found) == ["other", "three"]
        assert (found[0].id, found[0].picture_id) == ("three", stored.pictures[n].picture_id)
    frame = pb.RecognizeRequest(picture=sample("coffee.png"), search=pb.SearchOptions(use_boost=use_boost, top_k=50))
    for found in gateway.search.Recognize(frame).objects:
        ids = [match.id for match in found.matches]
        assert len(ids) == len(set(ids)), "each product once in each object"


def test_without_a_region_the_main_object_is_what_is_stored(
    gateway: Gateway, shown: Callable, sample: Callable
) -> None:
    main = gateway.store("main", shown("motorcycle_left.png", whole=False)).pictures[0].region
    whole = gateway.store("whole", shown("motorcycle_left.png")).pictures[0].region
    assert whole == WHOLE
    frame = pb.RecognizeRequest(picture=sample("motorcycle_left.png"))
    (motorcycle,) = gateway.search.Recognize(frame).objects
    assert motorcycle.label == "motorcycle"
    for side in ("x_min", "y_min", "x_max", "y_max"):
        assert getattr(main, side) == pytest.approx(getattr(motorcycle.box, side), abs=1e-5)
    with Image.open(io.BytesIO(sample("motorcycle_left.png"))) as picture:
        width, height = picture.size
        cut = picture.crop((main.x_min * width, main.y_min * height, main.x_max * width, main.y_max * height))
        buffer = io.BytesIO()
        cut.convert("RGB").save(buffer, "PNG")
    scores = {match.id: match.score for match in gateway.matches(buffer.getvalue())}
    assert scores["main"] > 0.97 > scores["whole"]
    explicit = gateway.store("explicit", pb.ReferencePicture(picture=sample("motorcycle_left.png"), region=main))
    assert explicit.pictures[0].region == main


def test_a_picture_of_nothing_that_is_known_is_stored_whole(gateway: Gateway, shown: Callable) -> None:
    assert gateway.store("turf", shown("grass.png", whole=False)).pictures[0].region == WHOLE
