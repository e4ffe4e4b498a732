# noether-scheduler in a container: slim, not root, UTC.
#
#   docker build -t noether-scheduler .
#   docker run -v "$PWD/scheduler.json:/work/scheduler.json:ro" -v noether:/work/.noether noether-scheduler
#
# Python and Bash stages run as it is; for JavaScript stages build with --build-arg PACKAGES=nodejs.

FROM python:3.12-slim AS build
COPY . /source
RUN python -m venv /opt/noether && /opt/noether/bin/pip install --no-cache-dir /source

FROM python:3.12-slim
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then \
      apt-get update && apt-get install -y --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*; \
    fi \
 && useradd --system --create-home --home-dir /work --shell /usr/sbin/nologin noether
COPY --from=build /opt/noether /opt/noether
ENV PATH=/opt/noether/bin:$PATH TZ=UTC PYTHONUNBUFFERED=1
USER noether
WORKDIR /work
RUN mkdir -m 700 .noether
STOPSIGNAL SIGTERM
# Healthy while the service answers on its control socket.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["noether-scheduler", "status", "--alive"]
ENTRYPOINT ["noether-scheduler"]
CMD ["--config", "scheduler.json"]
