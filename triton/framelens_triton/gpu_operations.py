"""Image operations on a GPU: a batch is decoded, resized and cut there, and given to the engines where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from framelens_triton.cuda.arrays import DeviceArray, DeviceImage
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.gpu import CudaGpu, Gpu
from framelens_triton.images.boxes import Box
from framelens_triton.images.encode import CROP_MAX_SIDE, CROP_MIN_SIDE, encode_crop
from framelens_triton.images.errors import InvalidRegion, PictureError
from framelens_triton.images.gpu_decode import GpuDecoder, GpuPicture, NvImageCodec, Wanted
from framelens_triton.images.gpu_resize import SOURCE, GpuResizer, source
from framelens_triton.images.resize import Placement
from framelens_triton.models import EngineInput
from framelens_triton.recognition import (
    FoundObject,
    Recognition,
    found_objects,
    looked_at_closely,
    take_regions,
)
from framelens_triton.stage_clock import StageClock


def gpu_operations(ordinal: int) -> "GpuOperations":
    """Those of a GPU of this machine. Raises CudaUnavailable, CudaError."""
    device = Device.open(ordinal)
    gpu = CudaGpu(device, source(), SOURCE.name)
    resizer = GpuResizer(gpu)
    return GpuOperations(gpu, resizer, GpuDecoder(NvImageCodec(gpu), resizer), str(device))


@dataclass(frozen=True)
class GpuOperations:
    """`recognition.Operations` of one GPU; `name` says which. Raises CudaError from everything."""

    gpu: Gpu
    resizer: GpuResizer
    decoder: GpuDecoder
    name: str

    def frames(
        self, results: Sequence[Recognition], spec: EngineInput, clock: StageClock
    ) -> tuple[list[tuple[Recognition, Placement]], DeviceArray]:
        with clock.stage("decode"):
            usable = self._decoded([(r, Wanted(r.request.data, r.request.limits)) for r in results])
        with clock.stage("resize"):
            pixels = [picture.pixels for _, picture in usable]
            batch, placements = self.resizer.frames_to_input(pixels, spec.height, spec.width, spec.fit)
            self.gpu.synchronize()
        return [(result, to) for (result, _), to in zip(usable, placements, strict=True)], batch

    def crops(
        self, results: Sequence[Recognition], spec: EngineInput, clock: StageClock
    ) -> tuple[list[tuple[Recognition, FoundObject]], DeviceArray]:
        with clock.stage("decode"):
            pictures = self._sharp_enough(results)
        with clock.stage("crop"):
            usable = [result for result in results if _regions_taken(result, pictures.get(id(result)))]
            pairs = found_objects(usable)
            parts = [_part(pictures[id(result)], found) for result, found in pairs]
            batch = self.resizer.crops_to_input(parts, spec.height, spec.width, spec.fit)
            self._keep_crops(pairs, parts)
            self.gpu.synchronize()
        return pairs, batch

    def finish(self) -> None:
        self.gpu.forget()

    def close(self) -> None:
        self.decoder.close()

    def _decoded(self, wanted: Sequence[tuple[Recognition, Wanted]]) -> list[tuple[Recognition, GpuPicture]]:
        """Those that could be; the others get their errors."""
        usable = []
        decoded = self.decoder.decode([each for _, each in wanted])
        for (result, _), found in zip(wanted, decoded, strict=True):
            if isinstance(found, PictureError):
                result.error = found
            else:
                result.picture = found
                usable.append((result, found))
        self.gpu.synchronize()
        return usable

    def _sharp_enough(self, results: Sequence[Recognition]) -> dict[int, GpuPicture]:
        """The picture that is there, or one that was decoded anew where objects have too few pixels in it."""
        pictures: dict[int, GpuPicture] = {}
        anew = []
        for result in results:
            regions, side = looked_at_closely(result)
            if isinstance(result.picture, GpuPicture) and result.picture.shows(regions, side):
                pictures[id(result)] = result.picture
            else:
                anew.append((result, Wanted(result.request.data, result.request.limits, regions, side)))
        return pictures | {id(result): picture for result, picture in self._decoded(anew)}

    def _keep_crops(
        self, pairs: Sequence[tuple[Recognition, FoundObject]], parts: Sequence[tuple[DeviceImage, Box]]
    ) -> None:
        kept = [at for at, (result, _) in enumerate(pairs) if result.request.keep_crops]
        cuts = self.resizer.cuts([parts[at] for at in kept], CROP_MAX_SIDE, CROP_MIN_SIDE)
        for at, cut in zip(kept, cuts, strict=True):
            pairs[at][1].crop = encode_crop(Image.fromarray(self.resizer.pixels(cut)))


def _regions_taken(result: Recognition, picture: GpuPicture | None) -> bool:
    """Whether a picture can be cut from; a region outside it is its error."""
    if picture is None:
        return False
    try:
        take_regions(result, picture)
    except InvalidRegion as error:
        result.error = error
        return False
    return True


def _part(picture: GpuPicture, found: FoundObject) -> tuple[DeviceImage, Box]:
    return picture.pixels, picture.in_pixels(found.box)
