# The trainer of one GPU box. It brings TensorFlow with CUDA (about 12 GB) and CIFAR-10; the driver comes from the host
# (NVIDIA Container Toolkit). A container that restarts loses its attempts: on a box of its own, systemd is better.
# Build from the top of the repository: docker build -f deploy/docker/trainer.Dockerfile -t wattsweep-trainer .
FROM node:20-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ make python3 python3-pip ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
ENV WATTSWEEP_HOME=/opt/wattsweep
RUN node setup/ready.mjs --only=modules,build,engine,cifar10 --gpu && npm prune --omit=dev --ignore-scripts
RUN mkdir /app && cp -r package.json bin dist setup proto node_modules /app/ \
 && mkdir -p /app/services/trainer && cp -r services/trainer/engine /app/services/trainer/

FROM node:20-bookworm-slim
# The same folder as above: the engine finds its libraries by path.
ENV WATTSWEEP_HOME=/opt/wattsweep \
    WATTSWEEP_GPU=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build /opt/wattsweep /opt/wattsweep
COPY --from=build /app /app
WORKDIR /data
VOLUME /data
ENTRYPOINT ["node", "/app/bin/wattsweep.js", "trainer", "--data", "/data"]
