"""What other libraries expect of a store of vectors, kept by hither. Each module is imported only when asked for:

    langchain      HitherVectorStore, HitherEmbeddings
    llama_index    HitherVectorStore
    haystack       HitherDocumentStore, HitherEmbeddingRetriever
    txtai          Hither, an ANN backend
    sklearn        HitherNeighbors, HitherNeighborsTransformer
    mteb           HitherSearchIndex, HitherEncoder, search_model

They need the library they are for, and nothing else; ``import hither`` imports none of them.
"""
