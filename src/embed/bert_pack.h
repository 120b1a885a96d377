/*
 * bert_pack.h: an encoder by bytes as it lies in memory, kept in a file of a folder of the user's, so that the next
 * process maps it instead of reading and packing the weights again. A cache: whatever is wrong with it or with its
 * folder, the weights are read; removing it costs time alone. Inside src/embed/ only. Any thread.
 *
 * It is taken for the file of weights that it was made of while that has the same device, number, size and times (of
 * its numbers and of its status, to the nanosecond). What was changed less than two seconds ago is not packed, since a
 * later change might leave the same times. A file that is not the user's own, or that others may write to, is not
 * looked at; of one that is, every byte is checked against its checksum before it is used.
 */
#ifndef HT_EMBED_BERT_PACK_H
#define HT_EMBED_BERT_PACK_H

#include "embed/bert.h"

typedef struct ht_bert_pack_source {
    const char *cache;  /* the folder of packs */
    const char *folder; /* of the model */
    const char *file;   /* of the weights, in that folder */
    ht_bert_shape shape;
} ht_bert_pack_source;

/* NULL where there is none that fits. */
ht_bert *ht_bert_pack_open(const ht_io *io, const ht_bert_pack_source *source, uint64_t *digest);
/* Makes or replaces it, if that is possible. */
void ht_bert_pack_write(const ht_io *io, const ht_bert_pack_source *source, const ht_bert *bert, uint64_t digest);

#endif
