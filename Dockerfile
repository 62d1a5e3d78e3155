# CT Loupe in a container. How to build and use it: docs/containers.md
#
#     docker build -t ctloupe .
#     docker build -t ctloupe:cuda --build-arg DEVICE=cuda .

# A digest can be given instead: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build

ARG DEVICE=cpu
# Where the builds of torch without CUDA are. Those on PyPI bring CUDA with them.
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=dicom,tiff,cluster

ENV PATH=/opt/ctloupe/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

WORKDIR /source
RUN python -m venv /opt/ctloupe

# In the order in which things change: torch, other libraries, the source.
COPY constraints.txt ./
RUN case "${DEVICE}" in \
        cpu) pip install --constraint constraints.txt --index-url "${TORCH_CPU_INDEX}" torch ;; \
        cuda) pip install --constraint constraints.txt torch ;; \
        *) echo "DEVICE ${DEVICE}: expected cpu or cuda" >&2; exit 2 ;; \
    esac

# What the package needs is read out of its description, so that a change of the source installs nothing again.
COPY pyproject.toml ./
RUN python -c "import sys, tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = [one for name in sys.argv[1].split(',') if name for one in project['optional-dependencies'][name]]; \
print('setuptools', *project['dependencies'], *extras, sep='\n')" "${EXTRAS}" > requirements.txt \
    && pip install --constraint constraints.txt --requirement requirements.txt

# A C compiler for the convolutions that come as source; it stays in this stage.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

COPY README.md LICENSE setup.py ./
COPY src ./src
RUN pip install --no-deps --no-build-isolation --no-index . \
    && ctloupe --version


FROM ${PYTHON_IMAGE}

LABEL org.opencontainers.image.title="CT Loupe" \
      org.opencontainers.image.description="From clinical CT to micro-CT scale. Research use only." \
      org.opencontainers.image.licenses="Apache-2.0"

# Also for a user whom the image does not know (docker run --user): a home that can be written, and a name.
ENV PATH=/opt/ctloupe/bin:$PATH \
    HOME=/tmp \
    USER=ctloupe \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

COPY --from=build /opt/ctloupe /opt/ctloupe

# By number, so that a cluster which refuses root can see that it is not.
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["ctloupe"]
CMD ["--help"]
