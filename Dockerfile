# What the workflow runs with, on a CPU: docker build -t manihot . (docs/install.md says how to use it).
FROM python:3.11-slim-bookworm

# git says of which commit a report is; libgomp1 is what XGBoost computes with.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/manihot
ENV PYTHONPATH=/opt/manihot/src TORCH=cpu UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1

# The locks before the sources: an edit of a source installs nothing again.
COPY envs envs
RUN python envs/install.py run

COPY Snakefile LICENSE ./
COPY config config
COPY profiles profiles
COPY src src
COPY workflow workflow

# Results go to the folder that is mounted here.
WORKDIR /study
ENTRYPOINT ["snakemake", "--snakefile", "/opt/manihot/Snakefile"]
CMD ["--cores", "all", "--", "results/report.html"]
