# The stand-in for Slack of the development stack, with its page. It is for a
# laptop: messages are kept in memory, and every client that reaches the port can
# read them.
FROM golang:1.26.8 AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS=-buildvcs=false \
    GOMODCACHE=/cache/modules GOCACHE=/cache/build
COPY schemas schemas
COPY services services
COPY devstack devstack
RUN --mount=type=cache,target=/cache/modules \
    --mount=type=cache,target=/cache/build \
    cd devstack && go build -trimpath -ldflags "-s -w" -o /out/slack ./cmd/slack

FROM scratch
COPY --from=build /out/slack /slack
USER 65532:65532
EXPOSE 8089
ENTRYPOINT ["/slack"]
