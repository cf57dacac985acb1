# syntax=docker/dockerfile:1
# Kindred's server. Models are pulled into the volume at the first start; nothing of them is in the image.
#
#   docker build -t kindred .
#   docker run -p 8080:8080 -v kindred:/var/lib/kindred -e KINDRED_ALLOW_ANONYMOUS=1 kindred
#   docker run -v kindred:/var/lib/kindred -v ~/media:/media:ro kindred kindred ingest /media
ARG PYTHON_TAG=3.11-slim-bookworm

FROM python:${PYTHON_TAG} AS build
# Where torch comes from: the CPU build. For a GPU: EXTRA=gpu and an index with the CUDA build.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRA=cpu
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY encoders encoders
COPY indexer indexer
COPY search_api search_api
COPY index_configs index_configs
COPY benchmarks benchmarks
RUN python -m venv /opt/kindred \
    && /opt/kindred/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --extra-index-url "${TORCH_INDEX}" -c constraints.txt ".[${EXTRA},clip]"

FROM python:${PYTHON_TAG}
LABEL org.opencontainers.image.title="Kindred" \
      org.opencontainers.image.description="Search audio, video, images and text by what they contain" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --home-dir /var/lib/kindred --create-home --shell /usr/sbin/nologin kindred
COPY --from=build /opt/kindred /opt/kindred
ENV PATH=/opt/kindred/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KINDRED_DATA_DIR=/var/lib/kindred/data \
    KINDRED_MODELS_DIR=/var/lib/kindred/models \
    KINDRED_HOST=0.0.0.0 \
    KINDRED_PORT=8080
# By number, so that a host which demands a user other than root can tell.
USER 10001
WORKDIR /var/lib/kindred
VOLUME /var/lib/kindred
EXPOSE 8080
# The first process of a container ignores SIGTERM until it says otherwise; SIGINT Python always hears.
STOPSIGNAL SIGINT
# The first start pulls 280 MB of models before anything listens.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"KINDRED_PORT\"]}/healthz', timeout=4)"]
CMD ["kindred", "serve", "--pull-models"]
