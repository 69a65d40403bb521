# The image of the action, of GitLab's jobs, and of the service. Static binaries beside the roots of trust.
#
# With binaries that exist already nothing is compiled: the stage `build` is then a folder that holds
# out/secretzero, out/secretzero-webhook and etc/ssl/certs/ca-certificates.crt. The tests and the
# release build so, with .github/release/build-image.

FROM docker.io/library/rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY webhook webhook
# Static linking is asked for on our own two programs alone, so their build scripts and macros are
# built as ever; glibc needs no plugins for hosts and dns, so names resolve in an empty image too.
RUN cargo rustc --locked --release --package secretzero --bin secretzero -- -C target-feature=+crt-static \
  && cargo rustc --locked --release --package secretzero-webhook --bin secretzero-webhook -- -C target-feature=+crt-static \
  && install -D -t /out target/release/secretzero target/release/secretzero-webhook

FROM scratch AS webhook
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/secretzero-webhook /secretzero-webhook
USER 65532:65532
ENTRYPOINT ["/secretzero-webhook"]

# GitLab runs a job's script with a shell, and no entrypoint may stand before it:
# https://docs.gitlab.com/ci/docker/using_docker_images/#override-the-entrypoint-of-an-image
FROM docker.io/library/busybox:1.37.0-musl@sha256:fc6dddc4c44b1bfe37f41cae8e67d1693828e8f42a91862816d7953e2c9d3f23 AS gitlab
LABEL org.opencontainers.image.source=https://github.com/secretzero/action
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/secretzero /usr/local/bin/secretzero

# Last, since GitHub builds the last stage. Root, since GitHub's runner mounts its files for root:
# https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support#user
FROM scratch AS action
LABEL org.opencontainers.image.source=https://github.com/secretzero/action
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/secretzero /secretzero
ENTRYPOINT ["/secretzero", "ci"]
