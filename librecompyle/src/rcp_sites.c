#include "rcp_sites.h"

#include "rcp__internal.h"
#include "rcp__varint.h"

enum { head = 1 << 4 | RCP_SITES_VERSION, smallest_site = 4 };

int rcp_sites_encode(const rcp_site_t *sites, uint32_t count, uint8_t *out, size_t capacity, size_t *size)
{
    writer_t w = {out, capacity, 0};
    int64_t line = 0, column = 0;
    uint32_t i;
    put_byte(&w, head);
    put_varint(&w, count);
    for (i = 0; i < count; i++) {
        const rcp_site_t *site = &sites[i];
        if (site->line < -1 || site->end_line < -1 || site->column < -1 || site->end_column < -1)
            return RCP_ERANGE;
        put_signed(&w, site->line - line);
        put_signed(&w, (int64_t)site->end_line - site->line);
        put_signed(&w, site->column - column);
        put_signed(&w, (int64_t)site->end_column - site->column);
        line = site->line;
        column = site->column;
    }
    return written(&w, size);
}

static void decode(reader_t *r, rcp_site_t *sites, uint32_t count)
{
    int64_t line = 0, column = 0;
    uint32_t i;
    for (i = 0; i < count && r->error == 0; i++) {
        line = sites[i].line = in_range(r, line + get_signed(r), -1);
        sites[i].end_line = in_range(r, line + get_signed(r), -1);
        column = sites[i].column = in_range(r, column + get_signed(r), -1);
        sites[i].end_column = in_range(r, column + get_signed(r), -1);
    }
}

int rcp_sites_init(rcp_sites_t *table, const uint8_t *bytes, size_t size, const rcp_alloc_t *alloc)
{
    reader_t r = {bytes, bytes + size, 0};
    table->alloc = rcp__alloc_or_libc(alloc);
    table->sites = NULL;
    table->count = get_head(&r, head, smallest_site);
    if (table->count != 0) {
        table->sites = rcp__take_zeroed(&table->alloc, table->count, sizeof(rcp_site_t));
        if (table->sites == NULL)
            r.error = RCP_ENOMEM;
        decode(&r, table->sites, table->count);
    }
    if (read_to_end(&r) != 0)
        rcp_sites_free(table);
    return r.error;
}

void rcp_sites_free(rcp_sites_t *table)
{
    rcp__give(&table->alloc, table->sites);
    table->sites = NULL;
    table->count = 0;
}

const rcp_site_t *rcp_sites_at(const rcp_sites_t *table, uint32_t number)
{
    return number < table->count ? &table->sites[number] : NULL;
}
