#!/usr/bin/env bash
# The same with the index on a server: PostgreSQL with pgvector, or Qdrant.
#   examples/scale/server.sh TABLE OUT 'postgresql://db.host/archive?table=cxr'
#   examples/scale/server.sh TABLE OUT qdrant://qdrant.host:6334/cxr        knobs: see job.sh
# Passwords come from ~/.pgpass, $PGPASSWORD or $QDRANT_API_KEY, never from here.
set -euo pipefail
source "$(dirname "$0")/job.sh"
[ $# -eq 3 ] || usage TABLE OUT URL
embed -o "$out/embeddings.parquet" >&2
finish "$out/embeddings.parquet" "$3"
