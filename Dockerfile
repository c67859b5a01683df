# weir in a container. The image listens on all its addresses, so publish the port to whom it is meant for:
#
#     docker build -t weir .
#     docker run -p 127.0.0.1:9347:9347 -v ~/models:/models:ro -v weir-cache:/var/cache/weir -m 8g weir
#
# The memory limit of the container is the machine that weir sees: no --memory is needed. docs/operations.md
# says more. No init is needed: weir reaps what it starts.
FROM debian:12 AS build
WORKDIR /src
COPY scripts/install-packages scripts/
RUN scripts/install-packages run && apt-get clean
COPY . .
RUN cmake --workflow --preset package

FROM debian:12-slim
COPY --from=build /src/build/package/*.deb /tmp/
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl /tmp/*.deb \
    && rm -rf /tmp/*.deb /var/lib/apt/lists/* \
    && useradd --system --home-dir /nonexistent weir \
    && mkdir -p /models /var/cache/weir \
    && chown weir: /var/cache/weir
USER weir
ENV WEIR_LISTEN=0.0.0.0:9347 WEIR_MODELS=/models XDG_CACHE_HOME=/var/cache
VOLUME /var/cache/weir
EXPOSE 9347
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:9347/health/live"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["weir"]
CMD ["serve"]
