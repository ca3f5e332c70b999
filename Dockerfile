# docker build --build-arg VERSION=v1.2.3 -t ferry .

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
# No cgo, because the image below has no C library. No VCS stamp, because .git is
# not in the context.
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath \
    -ldflags "-s -w -X main.version=$VERSION" \
    -o /out/ferry ./cmd/ferry

# Only the program, and the certificates for verifying Auth0.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ferry /ferry
USER 65532:65532
# Loopback is not reachable from outside the container. ferry refuses to listen on
# these addresses without TLS (FERRY_TLS_CERT_FILE and FERRY_TLS_KEY_FILE) or
# FERRY_INSECURE_LISTEN=true, because passwords arrive here.
ENV FERRY_LISTEN=0.0.0.0:4480 \
    FERRY_ADMIN_LISTEN=0.0.0.0:4481
EXPOSE 4480 4481
ENTRYPOINT ["/ferry"]
CMD ["serve"]
