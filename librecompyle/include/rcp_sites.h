/* The site table: from a probe's number to where its site stands in the source.
 *
 * Encoded it takes about four bytes a site and can be stored; decoded it is an array.
 */
#ifndef RCP_SITES_H
#define RCP_SITES_H

#include "rcp_base.h"

/* The encoding, version 1. The same table always gives the same bytes, and no other bytes are accepted for it.
 *
 *   byte 0     bits 0-3 version, bits 4-7 kind of table: 1
 *   varint     number of sites
 *   then for each site four signed varints:
 *              line        less the line of the site before (of the first: less 0)
 *              end_line    less line
 *              column      less the column of the site before (of the first: less 0)
 *              end_column  less column
 *
 * A varint holds 7 bits a byte, lowest first; bit 7 says that another byte follows; the last byte is 0 only if it
 * is also the first; the value is less than 2^33. A signed varint is the varint of 2n for n >= 0, of -2n-1 for n < 0. */
#define RCP_SITES_VERSION 1

/* Lines count from 1, columns from 0 in bytes of UTF-8; -1 is unknown. No value is below -1. */
typedef struct rcp_site {
    int32_t line, end_line, column, end_column;
} rcp_site_t;

typedef struct rcp_sites {
    uint32_t count;         /* read-only */
    rcp_site_t *sites;      /* read-only */
    rcp_alloc_t alloc;
} rcp_sites_t;

/* Encode `count` sites into `out` and set *size to the length. out NULL: only the length is computed. Returns 0,
 * RCP_ESPACE if it is more than `capacity` (*size is set all the same), RCP_ERANGE for a value below -1. */
RCP_API int rcp_sites_encode(const rcp_site_t *sites, uint32_t count, uint8_t *out, size_t capacity, size_t *size);

/* Decode. The bytes may come from anywhere and are not needed afterwards. alloc NULL: libc. Returns 0, RCP_EVERSION,
 * RCP_ETRUNCATED, RCP_EFORMAT, RCP_ERANGE, RCP_ENOMEM; after an error there is nothing to free. */
RCP_API int rcp_sites_init(rcp_sites_t *table, const uint8_t *bytes, size_t size, const rcp_alloc_t *alloc);

/* Safe twice. */
RCP_API void rcp_sites_free(rcp_sites_t *table);

/* The site of that number, NULL if there is none; valid until the table is freed. */
RCP_API const rcp_site_t *rcp_sites_at(const rcp_sites_t *table, uint32_t number);

#endif
