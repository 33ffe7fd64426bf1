# The access service's image, for Kubernetes. Build it from daypass's folder:
# docker build -f deploy/image/service.Dockerfile -t REGISTRY/daypass:TAG .
FROM golang:1.26 AS daypass
COPY . /src
RUN make -C /src install DESTDIR=/out

FROM debian:stable-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=daypass /out/usr/local/bin/daypass /out/usr/local/bin/daypassd /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/daypass"]
CMD ["serve"]
