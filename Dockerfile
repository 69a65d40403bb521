# The image of the action, and of the service. Static binaries on nothing but the roots of trust.
#
# The base is pinned by tag here; a release replaces the tag by the digest it has built and tested
# with, and its action.yml names the finished image, so that no workflow compiles anything.
#
# With a binary that exists already only the last stages are built, from a folder that holds
# out/secretzero, out/secretzero-webhook and etc/ssl/certs/ca-certificates.crt:
#   buildah bud --build-context build=FOLDER --target action .

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY webhook webhook
# Static linking is asked for on our own two programs alone, so their build scripts and macros are
# built as ever; glibc needs no plugins for hosts and dns, so names resolve in an empty image too.
RUN cargo rustc --locked --profile dist --package secretzero --bin secretzero -- -C target-feature=+crt-static \
  && cargo rustc --locked --profile dist --package secretzero-webhook --bin secretzero-webhook -- -C target-feature=+crt-static \
  && install -D -t /out target/dist/secretzero target/dist/secretzero-webhook

FROM scratch AS webhook
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/secretzero-webhook /secretzero-webhook
USER 65532:65532
ENTRYPOINT ["/secretzero-webhook"]

# Last, since GitHub builds the last stage. Root, since GitHub's runner mounts its files for root:
# https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support#user
FROM scratch AS action
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/secretzero /secretzero
ENTRYPOINT ["/secretzero", "ci"]
