# The service as it is: TypeScript that Node runs, so there is no build step and no development dependency.
# To pin the base: --build-arg NODE_IMAGE=node:26-slim@sha256:…
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Installs the lockfile without install scripts and workspaces, then deletes source maps and type files.
RUN npm ci --omit=dev --ignore-scripts --workspaces=false --no-audit --no-fund \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="The Focus API" \
  org.opencontainers.image.description="Identity, credits and paid jobs for a family of apps: one account service" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

# Only for the embedded database, where there is no DATABASE_URL; the only writable folder.
RUN mkdir /data && chown 1000:1000 /data
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules node_modules
COPY migrations migrations
COPY views views
COPY docs docs
COPY src src

ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
# The image's user `node`. Numeric, so that orchestrators can verify that it is not root.
USER 1000:1000
EXPOSE 3000
# Node handles this signal itself, also as process 1: it finishes running requests and exits within 10 s.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "-r", "./src/commands/check-node.cjs", "src/server.ts"]
