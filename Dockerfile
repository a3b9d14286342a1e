# The image of the ingress, the worker and the command line, and that of deploy/https.yml: see docker-compose.yml.

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM node:24-bookworm-slim AS app
ENV NODE_ENV=production
WORKDIR /app
# A new volume takes its owner from the folder that it is mounted on. Nothing else in the image belongs to the user that runs it.
# `doctor` does not miss here what runs in other containers.
RUN mkdir /data && chown node:node /data && touch .one-process-each && ln -s /app/dist/cli/main.js /usr/local/bin/b24-events
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
COPY handlers handlers
USER node
CMD ["b24-events", "--help"]

FROM caddy:2-alpine AS tls
# A copy lacks the file's capability to open ports below 1024: with it the program does not start where all capabilities are dropped.
RUN cp /usr/bin/caddy /usr/bin/caddy.copy && mv /usr/bin/caddy.copy /usr/bin/caddy \
  && mkdir -p /var/lib/tls && chown 1000:1000 /var/lib/tls
USER 1000:1000
