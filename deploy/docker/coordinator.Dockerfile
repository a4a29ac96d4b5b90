# The coordinator: decides, commands trainers, serves the API (7722), /metrics and /healthz (7723).
# Build from the top of the repository: docker build -f deploy/docker/coordinator.Dockerfile -t wattsweep-coordinator .
FROM node:20-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN node setup/ready.mjs --only=modules,build && npm prune --omit=dev --ignore-scripts
# Without sources it is an installed package, which is never rebuilt.
RUN mkdir /app && cp -r package.json bin dist setup proto node_modules /app/ \
 && mkdir -p /app/services/trainer && cp -r services/trainer/engine /app/services/trainer/

FROM gcr.io/distroless/nodejs20-debian12:nonroot
WORKDIR /app
COPY --from=build /app /app
EXPOSE 7722 7723
ENTRYPOINT ["/nodejs/bin/node", "/app/bin/wattsweep.js", "coordinator", "--listen", "0.0.0.0", "--data", "/tmp/wattsweep"]
