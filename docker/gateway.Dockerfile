# The gateway: gRPC on 50051, HTTP on 8080, `framelens` and `framelens-index` beside it.
# Build from the repository's root: docker build -f docker/gateway.Dockerfile -t framelens/gateway .
FROM python:3.11.15-slim-bookworm AS build
WORKDIR /source
COPY constraints/gateway.txt constraints/
COPY client client
COPY gateway gateway
RUN python -m venv /opt/framelens \
    && /opt/framelens/bin/pip install --no-cache-dir --disable-pip-version-check \
       -c constraints/gateway.txt ./client ./gateway \
    && /opt/framelens/bin/pip uninstall --yes pip setuptools

FROM python:3.11.15-slim-bookworm
# A new volume takes the owner of the folder that it covers. Uploads of videos are too large for /tmp.
RUN groupadd --gid 10001 framelens \
    && useradd --uid 10001 --gid framelens --no-create-home --shell /usr/sbin/nologin framelens \
    && install --directory --owner framelens --group framelens \
       /var/lib/framelens/crops /var/lib/framelens/videos /var/lib/framelens/videos/arriving
COPY --from=build /opt/framelens /opt/framelens
ENV PATH=/opt/framelens/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FRAMELENS_HOST=0.0.0.0 \
    TMPDIR=/var/lib/framelens/videos/arriving \
    FRAMELENS_CROPS_DIR=/var/lib/framelens/crops \
    FRAMELENS_VIDEOS_DIR=/var/lib/framelens/videos
USER 10001:10001
WORKDIR /var/lib/framelens
VOLUME /var/lib/framelens/crops /var/lib/framelens/videos
EXPOSE 50051 8080
ENTRYPOINT ["framelens-gateway"]
