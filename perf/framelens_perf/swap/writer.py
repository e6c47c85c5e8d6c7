"""Writes to the catalogue during a swap, and knows afterwards what must be there: what was acknowledged."""

import itertools
import threading
import time
from collections.abc import Sequence

from framelens_client import Box, Client, FrameLensError, NotFound, Product, ProductUpsert, ReferencePicture
from framelens_client.settings import NO_RETRIES

# As many products, each with a picture of its own, are written again and again.
PRODUCTS = 12
_PREFIX = "written-in-swap-"
# Every this many upserts one of the earlier products is deleted.
_DELETE_EVERY = 4
_WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class Writer:
    """Upserts one product after the other, and deletes some, on a thread of its own.

    A write that failed may or may not have been done, so its product is not looked at.
    """

    def __init__(self, address: str, pictures: Sequence[bytes], pause_s: float) -> None:
        self.acknowledged = 0
        self._address, self._pictures, self._pause_s = address, pictures, pause_s
        self._there: dict[str, str] = {}
        self._gone: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def lost(self) -> list[str]:
        """Acknowledged writes that cannot be seen. Call it after `stop`."""
        with Client(self._address) as client:
            written = [*self._there, *self._gone]
            return [product for product in written if _title(client, product) != self._there.get(product)]

    def remove_all(self) -> None:
        """So that the next test begins with the catalogue as it was."""
        with Client(self._address) as client:
            ids = [each.product.id for each in client.all_products() if each.product.id.startswith(_PREFIX)]
            for at in range(0, len(ids), 1000):
                client.delete_products(ids[at : at + 1000])

    def _run(self) -> None:
        with Client(self._address, retries=NO_RETRIES) as client:
            for number in itertools.count():
                if self._stopping.is_set():
                    return
                self._upsert(client, number)
                if number % _DELETE_EVERY == 0 and self._there:
                    self._delete(client, next(iter(self._there)))
                time.sleep(self._pause_s)

    def _upsert(self, client: Client, number: int) -> None:
        product = f"{_PREFIX}{number % PRODUCTS}"
        title = f"write {number}"
        picture = self._pictures[number % PRODUCTS]
        self._forget(product)
        try:
            reference = ReferencePicture(picture, _WHOLE)
            stored = client.upsert_products([ProductUpsert(Product(product, title), (reference,))])
        except FrameLensError:
            return
        if stored.results[0].error is None:
            self._there[product] = title
            self.acknowledged += 1

    def _delete(self, client: Client, product: str) -> None:
        self._forget(product)
        try:
            client.delete_products([product])
        except FrameLensError:
            return
        self._gone.add(product)
        self.acknowledged += 1

    def _forget(self, product: str) -> None:
        self._there.pop(product, None)
        self._gone.discard(product)


def _title(client: Client, product: str) -> str | None:
    try:
        return client.get_product(product).product.title
    except NotFound:
        return None
