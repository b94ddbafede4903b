# The programs are built outside (`make docker-build` does both): Go compiles for every platform by itself, and the image
# is made in seconds, without a registry for the base. One target for each program; the last one is the default.
ARG BASE=scratch
FROM ${BASE} AS program

# From the builder, for each platform.
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=v0.0.0-dev

LABEL org.opencontainers.image.source="https://github.com/subaccount-operator/subaccount-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"

# The folder has one program. The root certificates are in it; where others are needed, mount them and name them by SSL_CERT_FILE.
COPY bin/image/${TARGETOS}/${TARGETARCH}/ /

# By number: there is no /etc/passwd, and runAsNonRoot wants to be sure.
USER 65532:65532

FROM program AS plivo-sim
LABEL org.opencontainers.image.title="plivo-sim" \
      org.opencontainers.image.description="Simulates the Subaccount API of Plivo for tests and demonstrations"
ENTRYPOINT ["/plivo-sim"]

FROM program AS manager
LABEL org.opencontainers.image.title="subaccount-operator" \
      org.opencontainers.image.description="Turns Subaccount resources into Plivo subaccounts and their credentials into Secrets"
ENTRYPOINT ["/manager"]
