"""What goes into calls and comes out of them, in the words and units of the contract (framelens.proto)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """Normalised to 0..1 of the picture as displayed."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, slots=True)
class Filter:
    """All given conditions must hold; within a tuple any one value suffices. Prices are inclusive."""

    categories: tuple[str, ...] = ()
    merchants: tuple[str, ...] = ()
    min_price: float | None = None
    max_price: float | None = None
    availabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VideoMatch:
    """What looks alike in another video. Times are seconds of the video, `published_at` is since the epoch."""

    account: str
    published_at: float
    start_s: float
    end_s: float
    at_s: float
    label: str


@dataclass(frozen=True, slots=True)
class Match:
    """Of a product, or of a video, which `video` tells of.

    Where a search asked for `use_boost`, `boost` was added to the score to rank it, from `rank_without_boost`.
    """

    kind: str
    id: str
    title: str
    score: float
    url: str
    merchant: str
    category: str
    price: float | None
    currency: str
    picture_id: str
    availability: str = ""
    boost: float | None = None
    rank_without_boost: int | None = None
    video: VideoMatch | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class PictureSize:
    """Pixels as displayed."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Served:
    """What answered, and the milliseconds that each stage took."""

    engines: tuple[Engine, ...]
    collections: tuple[str, ...]
    stages_ms: Mapping[str, float]
    picture: PictureSize | None
    # What answered in place of the live engines, in a canary: a model, or the alias of a space.
    candidate: str = ""
    # "picture", or "moments" where what is stored of the video answered.
    source: str = ""


@dataclass(frozen=True, slots=True)
class RecognizedObject:
    label: str
    score: float
    box: Box
    route: str
    matches: tuple[Match, ...]
    note: str
    next_page_token: str
    # Of the label "object": the score that its best product had to reach.
    match_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Recognition:
    objects: tuple[RecognizedObject, ...]
    served: Served


@dataclass(frozen=True, slots=True)
class RegionSearch:
    region: Box
    matches: tuple[Match, ...]
    next_page_token: str
    served: Served


@dataclass(frozen=True, slots=True)
class Product:
    """The catalogue's entry; `currency` is ISO 4217.

    `availability` is in_stock, out_of_stock, preorder, backorder or, where it is not known, empty. `boost`, -0.2 to
    0.2, is added to its scores to rank it where a search asks for that.
    """

    id: str
    title: str = ""
    url: str = ""
    merchant: str = ""
    category: str = ""
    price: float | None = None
    currency: str = ""
    availability: str = ""
    boost: float = 0.0


@dataclass(frozen=True, slots=True)
class ProductUpdate:
    """What changes of a stored product: what is None stays as it is, and a price below 0 takes the price away."""

    id: str
    title: str | None = None
    url: str | None = None
    merchant: str | None = None
    category: str | None = None
    price: float | None = None
    currency: str | None = None
    availability: str | None = None
    boost: float | None = None


@dataclass(frozen=True, slots=True)
class ReferencePicture:
    """An encoded picture, and the part of it that shows the product: without `region`, its main object."""

    picture: bytes
    region: Box | None = None


@dataclass(frozen=True, slots=True)
class ProductUpsert:
    """A product with 1 to 16 pictures, which replace those that were stored."""

    product: Product
    pictures: tuple[ReferencePicture, ...]


@dataclass(frozen=True, slots=True)
class RowError:
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """The fate of one product; it is stored, for good, when `error` is None."""

    id: str
    error: RowError | None


@dataclass(frozen=True, slots=True)
class Upsert:
    """One result for each product sent, in that order."""

    results: tuple[UpsertResult, ...]
    served: Served


@dataclass(frozen=True, slots=True)
class Deletion:
    """`missing` ids were not in the catalogue: also when an attempt whose answer was lost had deleted them."""

    deleted: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredPicture:
    picture_id: str
    region: Box | None


@dataclass(frozen=True, slots=True)
class StoredProduct:
    """`updated_at` is in seconds since the epoch."""

    product: Product
    pictures: tuple[StoredPicture, ...]
    updated_at: float


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Products in the order of their ids; the token is empty on the last page."""

    products: tuple[StoredProduct, ...]
    next_page_token: str
