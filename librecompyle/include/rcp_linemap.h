/* The line map: between a place in rewritten source and the place it came from.
 *
 * Rewritten source is made of pieces copied from the original and pieces that were inserted. An entry stands where
 * a piece begins. A place inside a copied piece lies as far from its beginning as in the original; a place in an
 * inserted piece has no original.
 */
#ifndef RCP_LINEMAP_H
#define RCP_LINEMAP_H

#include "rcp_base.h"

/* The encoding, version 1. Varints as in rcp_sites.h. The same map always gives the same bytes, and no other bytes
 * are accepted for it.
 *
 *   byte 0     bits 0-3 version, bits 4-7 kind of table: 2
 *   varint     number of entries
 *   then for each entry:
 *     varint         line less the line of the entry before (of the first: less 0)
 *     varint         column; on the line of the entry before: column less the column of that entry, less 1
 *     signed varint  original_line less that of the newest copied piece before (of the first: less 0);
 *                    1 less than -that for an inserted piece, so that the sum is -1
 *     signed varint  original_column less that of the newest copied piece before; absent for an inserted piece */
#define RCP_LINEMAP_VERSION 1

/* Lines and columns count as in rcp_site_t, but are never unknown: all are 0 or more. original_line -1: an inserted
 * piece; original_column is then -1 as well. */
typedef struct rcp_linemap_entry {
    int32_t line, column, original_line, original_column;
} rcp_linemap_entry_t;

typedef struct rcp_linemap {
    uint32_t count;                 /* read-only */
    rcp_linemap_entry_t *entries;   /* read-only, by line and column */
    uint32_t copied_count;          /* private */
    uint32_t *copied;               /* private: numbers of the copied pieces, by their original place */
    rcp_alloc_t alloc;
} rcp_linemap_t;

/* Encode `count` entries, which must rise by line and column, into `out`, and set *size to the length. out NULL: only
 * the length is computed. Returns 0, RCP_ESPACE if it is more than `capacity` (*size is set all the same),
 * RCP_ERANGE for a value out of range, RCP_EINVAL if the order is wrong. */
RCP_API int rcp_linemap_encode(const rcp_linemap_entry_t *entries, uint32_t count, uint8_t *out, size_t capacity,
                               size_t *size);

/* Decode. The bytes may come from anywhere and are not needed afterwards. alloc NULL: libc. Returns 0, RCP_EVERSION,
 * RCP_ETRUNCATED, RCP_EFORMAT, RCP_ERANGE, RCP_ENOMEM; after an error there is nothing to free. */
RCP_API int rcp_linemap_init(rcp_linemap_t *map, const uint8_t *bytes, size_t size, const rcp_alloc_t *alloc);

/* Safe twice. */
RCP_API void rcp_linemap_free(rcp_linemap_t *map);

/* From a place in the rewritten source to its original. False if it lies in an inserted piece or before the first
 * entry; the results are then untouched. */
RCP_API bool rcp_linemap_to_original(const rcp_linemap_t *map, int32_t line, int32_t column, int32_t *original_line,
                                     int32_t *original_column);

/* From a place in the original to where it stands now. Only the copied piece that begins nearest before it is
 * considered; of several that begin there, the first. False if that piece ends before the place, which then was not
 * copied; the results are then untouched. */
RCP_API bool rcp_linemap_to_rewritten(const rcp_linemap_t *map, int32_t original_line, int32_t original_column,
                                      int32_t *line, int32_t *column);

#endif
