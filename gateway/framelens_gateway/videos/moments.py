"""From tracks to moments: what stands out, and when the button shows. Computed from what is stored, without a frame."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.geometry import area, centrality
from framelens_gateway.routing import Routing
from framelens_gateway.settings_faults import file_faults

_MINUTE_S = 60.0


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Weights(_Part):
    score: float = Field(ge=0)
    area: float = Field(ge=0)
    centrality: float = Field(ge=0)
    duration: float = Field(gt=0)

    @property
    def total(self) -> float:
        return self.score + self.area + self.centrality + self.duration


class _LeastCertainty(_Part):
    small: float = Field(ge=0, le=1)
    large: float = Field(ge=0, le=1)

    def of(self, size: float) -> float:
        """`size` is 0 to 1, 1 where a thing has full marks for its area."""
        return self.small + (self.large - self.small) * size


class _Salience(_Part):
    least: float = Field(ge=0, le=1)
    weights: _Weights
    full_area: float = Field(gt=0, le=1)
    full_duration_s: float = Field(gt=0)
    least_score: float = Field(ge=0, le=1)
    least_certainty: _LeastCertainty
    least_area: float = Field(ge=0, le=1)
    least_duration_s: float = Field(ge=0)


class _Button(_Part):
    bridge_s: float = Field(ge=0)
    least_s: float = Field(ge=0)
    most_per_minute: int = Field(ge=1)


class MomentPolicy(_Part):
    """What is salient, and when the button shows; a YAML file like the packaged `moments.yaml`."""

    salience: _Salience
    labels: dict[str, float] = {}
    button: _Button

    @classmethod
    def load(cls, path: Path | None) -> "MomentPolicy":
        """Reads a policy file, the packaged one for None. Raises ValueError, naming the file and what is wrong."""
        try:
            text = (path or files("framelens_gateway.videos") / "moments.yaml").read_text(encoding="utf-8")
            return cls.model_validate(yaml.safe_load(text))
        except OSError as error:
            raise ValueError(f"policy file {path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ValueError(f"policy file {path or 'moments.yaml'}: {file_faults(error)}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"policy file {path or 'moments.yaml'} is not YAML: {error}") from error

    def salience_of(self, track: pb.Track) -> float:
        """0 to 1; 0 for a track that is no moment whatever else is true."""
        rules = self.salience
        duration_s, share = _duration_s(track), area(track.box)
        size = min(1.0, share / rules.full_area)
        if (
            track.score < rules.least_score
            or _certainty(track) < rules.least_certainty.of(size)
            or share < rules.least_area
            or duration_s < rules.least_duration_s
            or not self.labels.get(track.label, 1.0)
        ):
            return 0.0
        weights = rules.weights
        marks = (
            weights.score * track.score
            + weights.area * size
            + weights.centrality * centrality(track.box)
            + weights.duration * min(1.0, duration_s / rules.full_duration_s)
        )
        return min(1.0, self.labels.get(track.label, 1.0) * marks / weights.total)


@dataclass(frozen=True)
class Moments:
    """Computes what the feed is told of a video, by one policy and one routing; `policy` names both."""

    rules: MomentPolicy
    route_of: Callable[[str], str]
    policy: str

    @classmethod
    def by(cls, rules: MomentPolicy, routing: Routing) -> "Moments":
        described = json.dumps([rules.model_dump(), routing.default, routing.by_label], sort_keys=True)
        return cls(rules, routing.of, hashlib.sha256(described.encode()).hexdigest()[:16])

    def of(self, stored: pb.StoredVideo) -> pb.VideoMoments:
        moments = [self._moment(track, salience) for track, salience in self._salient(stored)]
        return pb.VideoMoments(
            video_id=stored.video.id,
            moments=sorted(moments, key=lambda moment: moment.start_s),
            button=_button(moments, self.rules.button, stored.duration_s),
            policy=self.policy,
        )

    def salient(self, stored: pb.StoredVideo) -> list[pb.Track]:
        """The tracks that are moments."""
        return [track for track, _ in self._salient(stored)]

    def _salient(self, stored: pb.StoredVideo) -> list[tuple[pb.Track, float]]:
        known = [(track, self.rules.salience_of(track)) for track in stored.tracks]
        return [(track, salience) for track, salience in known if salience >= self.rules.salience.least]

    def _moment(self, track: pb.Track, salience: float) -> pb.Moment:
        return pb.Moment(
            start_s=track.sightings[0].at_s,
            end_s=track.sightings[-1].at_s,
            at_s=track.at_s,
            box=track.box,
            label=track.label,
            score=track.score,
            salience=salience,
            route=self.route_of(track.label),
            picture_id=track.picture_id,
        )


@dataclass
class _Offer:
    """A span in which the button could show, and how much of what it offers stands out."""

    start_s: float
    end_s: float
    salience: float


def _button(moments: Sequence[pb.Moment], rules: _Button, duration_s: float) -> list[pb.Span]:
    offers = _bridged(moments, rules.bridge_s)
    for offer in offers:
        offer.end_s = max(offer.end_s, min(offer.start_s + rules.least_s, duration_s))
    return [pb.Span(start_s=offer.start_s, end_s=offer.end_s) for offer in _rationed(offers, rules.most_per_minute)]


def _bridged(moments: Sequence[pb.Moment], bridge_s: float) -> list[_Offer]:
    offers: list[_Offer] = []
    for moment in sorted(moments, key=lambda moment: moment.start_s):
        if offers and moment.start_s - offers[-1].end_s <= bridge_s:
            offers[-1].end_s = max(offers[-1].end_s, moment.end_s)
            offers[-1].salience = max(offers[-1].salience, moment.salience)
        else:
            offers.append(_Offer(moment.start_s, moment.end_s, moment.salience))
    return offers


def _rationed(offers: Sequence[_Offer], most_per_minute: int) -> list[_Offer]:
    """Takes those that stand out most first, each only where no minute would then have too many."""
    kept: list[_Offer] = []
    for offer in sorted(offers, key=lambda offer: -offer.salience):
        begins = sorted(each.start_s for each in (*kept, offer))
        crowded = any(
            later - earlier < _MINUTE_S for earlier, later in zip(begins, begins[most_per_minute:], strict=False)
        )
        if not crowded:
            kept.append(offer)
    return sorted(kept, key=lambda offer: offer.start_s)


def _duration_s(track: pb.Track) -> float:
    return track.sightings[-1].at_s - track.sightings[0].at_s


def _certainty(track: pb.Track) -> float:
    return sum(sighting.score for sighting in track.sightings) / len(track.sightings)
