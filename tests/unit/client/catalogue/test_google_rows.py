from pathlib import Path

import pytest
from PIL import Image

from framelens_client.catalogue.formats import format_of, opened
from framelens_client.catalogue.rows import Rejection, Row
from framelens_client.results import Box, Product

HEADER = "image-uri,image-id,product-set-id,product-id,product-category,product-display-name,labels,bounding-poly\n"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A picture as it lay in its bucket, and one that lies in the one folder there is."""
    folder = tmp_path / "images"
    (folder / "shop").mkdir(parents=True)
    Image.new("RGB", (200, 100)).save(folder / "shop" / "a.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (200, 100)).save(folder / "b.jpg", exif=turned)
    (folder / "c.jpg").write_bytes(b"no picture")
    return folder


def read(images: Path, content: str) -> tuple[list[Row | Rejection], tuple[str, ...], tuple[str, ...]]:
    path = images.parent / "bulk.csv"
    path.write_text(content)
    assert format_of(path) == "google"
    with opened(path, images) as found:
        return list(found.rows()), found.notes, found.unused_columns


ROW = 'gs://bucket/shop/a.jpg,img-1,winter,p1,apparel-v2,Blue coat,"price=9.90,currency=EUR,style=long","{poly}"\n'


def test_a_row_as_google_takes_it(images: Path) -> None:
    rows, notes, unused = read(images, ROW.format(poly="0.1,0.2,0.9,0.2,0.9,0.8,0.1,0.8"))
    product = Product("p1", "Blue coat", category="apparel-v2", price=9.9, currency="EUR")
    assert rows == [Row(1, product, "shop/a.jpg", Box(0.1, 0.2, 0.9, 0.8))]
    assert notes == ("product-set-id is ignored: all products are in one catalogue", "labels not used: style")
    assert unused == ()


def test_labels_that_are_fields(images: Path) -> None:
    labels = "price=5, merchant = Shop ,url=http://x/?a=b,availability=in_stock,boost=0.1,colour=red,colour=blue"
    (row,), notes, _ = read(images, f'gs://b/shop/a.jpg,,,p1,toys-v2,,"{labels}",\n')
    product = Product("p1", "", "http://x/?a=b", "Shop", "toys-v2", 5.0, "", "in_stock", 0.1)
    assert row == Row(1, product, "shop/a.jpg", None)
    assert notes == ("labels not used: colour",)


def test_a_header_may_name_the_columns_in_any_order(images: Path) -> None:
    rows, notes, unused = read(images, "product_id,Image-URI,shelf\np1,gs://b/b.jpg,7\n")
    assert rows == [Row(2, Product("p1"), "b.jpg", None)]
    assert (notes, unused) == ((), ("shelf",))
    assert [row.line for row in read(images, HEADER + ROW.format(poly=""))[0]] == [2]


@pytest.mark.parametrize(
    ("uri", "image"),
    [
        ("gs://bucket/shop/a.jpg", "shop/a.jpg"),
        ("gs://bucket/2024/b.jpg", "b.jpg"),
        ("gs://bucket/b.jpg", "b.jpg"),
        ("gs://bucket/2024/missing.jpg", "2024/missing.jpg"),
        ("gs://bucket/../../b.jpg", "b.jpg"),
        ("gs://bucket/../secret.jpg", "../secret.jpg"),
    ],
)
def test_pictures_lie_as_in_their_bucket_or_in_one_folder(images: Path, uri: str, image: str) -> None:
    (row,), _, _ = read(images, f"{uri},,set,p1,toys-v2,,,\n")
    assert isinstance(row, Row) and row.image == image


@pytest.mark.parametrize(
    ("uri", "poly", "region"),
    [
        ("gs://b/shop/a.jpg", "50,25,150,25,150,75,50,75", Box(0.25, 0.25, 0.75, 0.75)),
        ("gs://b/shop/a.jpg", "0,0,200,100", Box(0, 0, 1, 1)),
        ("gs://b/shop/a.jpg", "0.5,0,1,0.25,0.75,1", Box(0.5, 0, 1, 1)),
        ("gs://b/shop/a.jpg", "0,0,1,1", Box(0, 0, 1, 1)),
        ("gs://b/b.jpg", "0,0,50,100", Box(0, 0, 0.5, 0.5)),
    ],
    ids=["pixels", "all pixels", "normalised", "ones", "pixels of a picture that is turned"],
)
def test_a_polygon_becomes_the_box_around_it(images: Path, uri: str, poly: str, region: Box) -> None:
    (row,), _, _ = read(images, f'{uri},,set,p1,toys-v2,,,"{poly}"\n')
    assert isinstance(row, Row) and row.region == region


@pytest.mark.parametrize(
    ("row", "report"),
    [
        ("gs://b/shop/a.jpg,,set,p1\n", "4 fields where there are 8: image-uri,"),
        (ROW.format(poly="").replace("\n", ",x\n"), "9 fields where there are 8: image-uri,"),
        ("gs://b/shop/a.jpg,,set,,toys-v2,,,\n", "no id"),
        (",,set,p1,toys-v2,,,\n", 'product "p1": no image'),
        ("gs://b/shop/a.jpg,,set,p1,toys-v2,,blue,\n", "product \"p1\": label 'blue' is not key=value"),
        ('gs://b/shop/a.jpg,,set,p1,toys-v2,,"price=1,price=2",\n', "product \"p1\": label price is both '1' and '2'"),
        ("gs://b/shop/a.jpg,,set,p1,toys-v2,,price=cheap,\n", "product \"p1\": price 'cheap' is not a number"),
        (ROW.format(poly="0.1,0.2"), "product \"p1\": bounding-poly '0.1,0.2' is not a list of two or more points"),
        (ROW.format(poly="1,2,3"), "product \"p1\": bounding-poly '1,2,3' is not a list of two or more points"),
        (ROW.format(poly="a,b,c,d"), "product \"p1\": bounding-poly 'a,b,c,d' is not a list of numbers"),
        (ROW.format(poly="0,0,nan,1"), 'product "p1": '),
        (
            ROW.format(poly="0,0,300,50"),
            "product \"p1\": bounding-poly '0,0,300,50' reaches out of the picture of 200x",
        ),
        (ROW.format(poly="-5,0,100,50"), 'product "p1": region '),
        (ROW.format(poly="50,50,50,90"), 'product "p1": region '),
        ('gs://b/c.jpg,,set,p1,toys-v2,,,"0,0,5,5"\n', 'product "p1": the picture\'s size, which bounding-poly needs'),
    ],
)
def test_a_bad_row_is_rejected_and_its_neighbours_are_not(images: Path, row: str, report: str) -> None:
    before, rejection, after = read(images, ROW.format(poly="") + row + ROW.format(poly=""))[0]
    assert str(rejection).startswith(f"line 2: {report}")
    assert isinstance(before, Row) and isinstance(after, Row)


def test_a_polygon_in_a_picture_that_is_missing_leaves_the_telling_to_the_image(images: Path) -> None:
    (row,), _, _ = read(images, 'gs://b/none.jpg,,set,p1,toys-v2,,,"0,0,50,50"\n')
    assert isinstance(row, Row) and row.image == "none.jpg"
