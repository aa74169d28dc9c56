# SPDX-License-Identifier: Apache-2.0
FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        cmake gcc libc6-dev libcurl4-openssl-dev libisal-dev libssl-dev \
        libuv1-dev libyajl-dev libyaml-dev ninja-build pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cmake --preset release -DTALLYMAN_TESTS=OFF \
    && cmake --build --preset release \
    && strip build/release/tallyman

FROM debian:bookworm-slim
ARG VERSION=unknown
LABEL org.opencontainers.image.title="tallyman" \
      org.opencontainers.image.description="Ships the Kubernetes audit log, every event once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libcurl4 libisal2 libssl3 libuv1 libyajl2 libyaml-0-2 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/release/tallyman /usr/local/bin/tallyman
# A number, so that runAsNonRoot can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["tallyman"]
CMD ["run", "-c", "/etc/tallyman/tallyman.yaml"]
