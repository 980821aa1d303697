# docker build -t order-service .                     the service: the last target is the default one
# docker build --target sandbox -t order-sandbox .    stand-ins for the four peers
#
# Only instructions that classic `docker build`, BuildKit and buildah share: no mounts, no here-documents, no COPY --chmod.
# `cargo dev image-test` builds all targets and runs them.
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
ARG SPIN_IMAGE=ghcr.io/spinframework/spin:v4.1.0
ARG DEBIAN_IMAGE=docker.io/library/debian:bookworm-slim

# The locked dependencies, in a layer that only a changed manifest makes anew: cargo needs every member of the workspace, but
# their sources may be empty.
FROM ${RUST_IMAGE} AS dependencies
WORKDIR /build
RUN test -d "$(rustc --print target-libdir --target wasm32-wasip2)" || rustup target add wasm32-wasip2
COPY Cargo.toml Cargo.lock ./
COPY dev/Cargo.toml dev/
COPY dev/floor/Cargo.toml dev/floor/
COPY dev/host/Cargo.toml dev/host/
COPY mqtt-publisher/Cargo.toml mqtt-publisher/
RUN mkdir -p src dev/src dev/floor/src dev/host/src mqtt-publisher/src \
    && touch src/lib.rs dev/src/lib.rs dev/floor/src/lib.rs mqtt-publisher/src/lib.rs \
    && echo 'fn main() {}' > dev/src/main.rs \
    && echo 'fn main() {}' > dev/host/src/main.rs \
    && cargo build --locked --target wasm32-wasip2 --release --package order-service \
    && cargo build --locked --target wasm32-wasip2 --release --package mqtt-publisher

FROM dependencies AS builder
COPY wit wit
COPY docs/openapi.json docs/
COPY src src
COPY mqtt-publisher mqtt-publisher
# COPY keeps the times of the sources, which are older than the build of the empty ones: to cargo they would seem unchanged.
RUN touch src/lib.rs mqtt-publisher/src/lib.rs \
    && cargo build --locked --target wasm32-wasip2 --release --package order-service \
    && cargo build --locked --target wasm32-wasip2 --release --package mqtt-publisher

FROM dependencies AS sandbox-builder
RUN cargo build --locked --package order-dev --bin dev
# The floor of the benchmark has the service's statements.
COPY src src
COPY dev dev
RUN touch dev/src/lib.rs dev/src/main.rs dev/floor/src/lib.rs \
    && cargo build --locked --package order-dev --bin dev \
    && strip --strip-debug -o sandbox target/debug/dev

FROM ${DEBIAN_IMAGE} AS sandbox
ARG VERSION=0.1.0
ARG REVISION=unknown
# /data belongs to the user, so that a new named volume does, too. curl is for the health check. Debian offers only the newest
# version of a package, so that none can be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 -g 10001 /data
COPY --from=sandbox-builder /build/sandbox /usr/local/bin/dev
LABEL org.opencontainers.image.title="order-sandbox" \
      org.opencontainers.image.description="Stand-ins for Catalog, Seating, Payment and Notification, for trying the order service" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
EXPOSE 4010
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "2", "--output", "/dev/null", "http://127.0.0.1:4010/control"]
ENTRYPOINT ["/usr/local/bin/dev"]
CMD ["peers", "--listen", "0.0.0.0:4010", "--callback-url", "http://order-service:4003/v1/payments/callback", "--state-file", "/data/sandbox.json"]

# Spin's own image is Debian with /usr/local/bin/spin as its entry point. Not its `-distroless` variant: the entry point needs a
# shell and psql.
FROM ${SPIN_IMAGE} AS runtime
ARG SPIN_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
USER 0:0
# Spin appends what the component writes to files of --log-dir, without an end, and to standard error: the files lead nowhere.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 order-service \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin order-service \
    && mkdir -p /app/log \
    && ln -s /dev/null /app/log/order-service_stdout.txt \
    && ln -s /dev/null /app/log/order-service_stderr.txt \
    && ln -s /dev/null /app/log/mqtt-publisher_stdout.txt \
    && ln -s /dev/null /app/log/mqtt-publisher_stderr.txt
WORKDIR /app
COPY migrations ./migrations
COPY deploy/runtime-config ./runtime-config
COPY spin.toml ./
COPY deploy/container/entrypoint.sh /usr/local/bin/order-service
COPY --from=builder /build/target/wasm32-wasip2/release/order_service.wasm /build/target/wasm32-wasip2/release/mqtt_publisher.wasm target/wasm32-wasip2/release/
# Whatever the umask was where the sources were checked out.
RUN chmod -R a+rX,go-w /app && chmod 755 /usr/local/bin/order-service
# Everything that is written goes to /tmp: Spin's copy of the application and its state. A cache of compiled code would have to
# be there, too, and would not outlive the container: without one a start takes a second longer.
ENV HOME=/tmp \
    TMPDIR=/tmp \
    SPIN_LOG_DIR=/app/log \
    DISABLE_WASMTIME_CACHE=1
LABEL org.opencontainers.image.title="order-service" \
      org.opencontainers.image.description="Takes ticket orders: holds the seats, takes the money, issues the tickets, and undoes all of it when something fails" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${SPIN_IMAGE}"
USER 10001:10001
EXPOSE 4003
# /health and not /health/live: due work is done after answers, so where nothing else calls the service this check keeps sweeps
# going; and "healthy" means that orders can be placed. Docker and Compose restart nothing for it. Swarm does, where a restart
# does not help against a database that is down: use --health-cmd with /health/live there. Kubernetes ignores it.
# The start may wait a minute for PostgreSQL.
HEALTHCHECK --interval=10s --timeout=5s --start-period=75s --retries=3 \
    CMD ["sh", "-c", "exec curl --silent --show-error --fail --noproxy '*' --max-time 4 --output /dev/null http://127.0.0.1:${PORT:-4003}/health"]
ENTRYPOINT ["/usr/local/bin/order-service"]
