# contactd as an image: built on Debian 12, run on Debian 12 without the tools of the build.

FROM debian:12-slim AS build
WORKDIR /src
# The packages alone first: they stay cached while the sources change.
COPY dev ./
RUN ./dev setup build
COPY . .
RUN ./dev build pgo contactd && strip build/pgo/contactd

FROM debian:12-slim
COPY dev /usr/local/share/contactd/dev
RUN /usr/local/share/contactd/dev setup serve \
 && rm -rf /var/lib/apt/lists/* /usr/local/share/contactd \
 && useradd --system --uid 10001 --home-dir /var/lib/contactd --create-home contactd
COPY --from=build /src/build/pgo/contactd /usr/local/bin/contactd

USER contactd
WORKDIR /var/lib/contactd
ENV CONTACTD_LISTEN=0.0.0.0:8080 \
    CONTACTD_DATA_DIR=/var/lib/contactd/data \
    CONTACTD_LOG_FORMAT=json
VOLUME /var/lib/contactd
EXPOSE 8080
# The server drains on SIGTERM: give `docker stop` more time than CONTACTD_DRAIN_TIMEOUT_MS.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["contactd"]
CMD ["serve"]
