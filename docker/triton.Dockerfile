# NVIDIA's Triton with what the model `recognizer` imports, its image operations on a GPU included. Engines come by a
# mounted model repository.
# Build from the repository's root: docker build -f docker/triton.Dockerfile -t framelens/triton .
FROM nvcr.io/nvidia/tritonserver:26.07-py3
WORKDIR /opt/framelens
COPY constraints/server.txt constraints/
COPY triton triton
COPY docker/triton/serve.py ./
# Into the image's own Python: the Python backend finds packages through the first `python3` in PATH.
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --break-system-packages \
    -c constraints/server.txt "./triton[gpu]" pydantic-settings
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FRAMELENS_TRITON_HOST=0.0.0.0 \
    FRAMELENS_TRITON_MODEL_REPOSITORY=/models
# `triton-server`, the user that NVIDIA's image brings for this.
USER 1000:1000
EXPOSE 8000 8001 8002
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh", "python3", "/opt/framelens/serve.py"]
