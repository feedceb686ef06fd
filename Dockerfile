# syntax=docker/dockerfile:1
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin pairbot

FROM debian:bookworm-slim
# git does the work on branches; the certificates let it, and the server, speak to GitHub; bubblewrap cages commands.
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap ca-certificates git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin pairbot \
    && install -d -o pairbot -g pairbot -m 0700 /data
COPY --from=build /src/target/release/pairbot /usr/local/bin/pairbot
USER 10001
ENV HOST=0.0.0.0 PORT=3000 PAIRBOT_DATA_DIR=/data LOG_FORMAT=json
VOLUME /data
EXPOSE 3000
# The image has no HTTP client; the shell can ask for one line.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -u 3 _ status _ && [ \"$status\" = 200 ]"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["pairbot"]
CMD ["serve"]
