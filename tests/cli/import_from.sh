# --from hands the work to Python, with the operands in the order that hither.importers takes them.
. "$HERE/lib.sh"
printf '#!/bin/sh\nprintf "<%%s>" "$@"\necho\n' > python; chmod +x python
HITHER_PYTHON=./python; export HITHER_PYTHON
try hither import a.hither c --from chroma folder
try hither import a.hither c --from hnswlib 'a file' --table dot --metric l2
try hither import a.hither c --from pinecone folder
HITHER_PYTHON=./none try hither import a.hither c --from faiss index
try hither import a.hither c rows.parquet
