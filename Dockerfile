# The image of a worker: `docker build -t slipway .`, or with a registry of your own
# `--build-arg RUST_IMAGE=... --build-arg BASE_IMAGE=...`.
#
# The base has glibc, whose resolver asks every name server and search domain that the machine has: a static musl binary
# does not in every network.
ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-trixie
ARG BASE_IMAGE=docker.io/library/debian:trixie-slim

FROM ${RUST_IMAGE} AS build
# aws-lc, the core of TLS, is C.
RUN command -v cc >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends build-essential; }
WORKDIR /source
COPY Cargo.toml Cargo.lock imagedefinitions.schema.json ./
COPY src src
RUN cargo build --locked --release --bin slipway
# What the worker owns, with the ids of a user that no other image knows by name.
RUN mkdir -p /root-of-image/usr/local/bin /root-of-image/etc/ssl/certs \
 && cp target/release/slipway /root-of-image/usr/local/bin/ \
 && cp /etc/ssl/certs/ca-certificates.crt /root-of-image/etc/ssl/certs/ \
 && install -d -o 10001 -g 10001 -m 0750 /root-of-image/var/lib/slipway /root-of-image/var/tmp/slipway

FROM ${BASE_IMAGE}
COPY --from=build /root-of-image/ /

# Jobs that are held, which must outlive the container, and artifacts, which need not.
ENV SLIPWAY_STATE_DIR=/var/lib/slipway \
    SLIPWAY_WORK_DIR=/var/tmp/slipway \
    TMPDIR=/var/tmp/slipway \
    SLIPWAY_HEALTH_LISTEN=127.0.0.1:8080 \
    SLIPWAY_LOG_FORMAT=json
VOLUME ["/var/lib/slipway", "/var/tmp/slipway"]

# Not root. For builds the Docker socket is mounted, which its group may use:
#   docker run -v /var/run/docker.sock:/var/run/docker.sock --group-add "$(stat -c %g /var/run/docker.sock)" slipway
# Where no group can be added, as on ECS, the user is `10001:GROUP` with the number that this `stat` prints.
USER 10001:10001

# The image has no HTTP client but slipway itself.
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s \
    CMD ["/usr/local/bin/slipway", "worker", "--probe", "127.0.0.1:8080"]

# SIGTERM hands deploys back and lets builds end, for as long as `--grace` and whoever stops the container allow.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/slipway"]
CMD ["worker"]
