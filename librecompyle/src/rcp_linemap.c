#include "rcp_linemap.h"

#include "rcp__internal.h"
#include "rcp__varint.h"

enum { head = 2 << 4 | RCP_LINEMAP_VERSION, smallest_entry = 3 };

typedef rcp_linemap_entry_t entry_t;

/* Order of two places. */
static int compare(int32_t line, int32_t column, int32_t other_line, int32_t other_column)
{
    if (line != other_line)
        return line < other_line ? -1 : 1;
    return column < other_column ? -1 : column > other_column;
}

int rcp_linemap_encode(const rcp_linemap_entry_t *entries, uint32_t count, uint8_t *out, size_t capacity, size_t *size)
{
    writer_t w = {out, capacity, 0};
    int64_t original_line = 0, original_column = 0;
    int32_t line = 0, column = -1;
    uint32_t i;
    put_byte(&w, head);
    put_varint(&w, count);
    for (i = 0; i < count; i++) {
        const entry_t *e = &entries[i];
        bool inserted = e->original_line == -1;
        if (e->line < 0 || e->column < 0 || e->original_line < -1
            || (inserted ? e->original_column != -1 : e->original_column < 0))
            return RCP_ERANGE;
        if (compare(e->line, e->column, line, column) <= 0)
            return RCP_EINVAL;
        put_varint(&w, (uint64_t)(e->line - line));
        put_varint(&w, (uint64_t)(e->line == line ? (int64_t)e->column - column - 1 : e->column));
        put_signed(&w, e->original_line - original_line);
        if (!inserted) {
            put_signed(&w, e->original_column - original_column);
            original_line = e->original_line;
            original_column = e->original_column;
        }
        line = e->line;
        column = e->column;
    }
    return written(&w, size);
}

static void decode(reader_t *r, entry_t *entries, uint32_t count)
{
    int64_t original_line = 0, original_column = 0;
    int64_t line = 0, column = -1;
    uint32_t i;
    for (i = 0; i < count && r->error == 0; i++) {
        entry_t *e = &entries[i];
        uint64_t lines = get_varint(r), columns = get_varint(r);
        line = e->line = in_range(r, line + (int64_t)lines, 0);
        column = e->column = in_range(r, (lines == 0 ? column + 1 : 0) + (int64_t)columns, 0);
        e->original_line = in_range(r, original_line + get_signed(r), -1);
        if (e->original_line == -1) {
            e->original_column = -1;
            continue;
        }
        e->original_column = in_range(r, original_column + get_signed(r), 0);
        original_line = e->original_line;
        original_column = e->original_column;
    }
}

/* By original place; of equal ones the first in the rewritten source first. */
static int by_original(const entry_t *entries, uint32_t a, uint32_t b)
{
    int order = compare(entries[a].original_line, entries[a].original_column, entries[b].original_line,
                        entries[b].original_column);
    return order != 0 ? order : a < b ? -1 : 1;
}

/* Sift the item at `root` down its heap. Heap sort: no recursion, no bad case, and qsort has no context argument. */
static void sift(const entry_t *entries, uint32_t *items, uint32_t root, uint32_t count)
{
    uint32_t item = items[root];
    while (root < count / 2) {
        uint32_t child = root * 2 + 1;
        if (child + 1 < count && by_original(entries, items[child], items[child + 1]) < 0)
            child++;
        if (by_original(entries, item, items[child]) > 0)
            break;
        items[root] = items[child];
        root = child;
    }
    items[root] = item;
}

static void sort_by_original(const entry_t *entries, uint32_t *items, uint32_t count)
{
    uint32_t i;
    for (i = count / 2; i-- > 0;)
        sift(entries, items, i, count);
    for (i = count; i > 1;) {
        uint32_t greatest = items[0];
        items[0] = items[--i];
        items[i] = greatest;
        sift(entries, items, 0, i);
    }
}

int rcp_linemap_init(rcp_linemap_t *map, const uint8_t *bytes, size_t size, const rcp_alloc_t *alloc)
{
    reader_t r = {bytes, bytes + size, 0};
    uint32_t i;
    map->alloc = rcp__alloc_or_libc(alloc);
    map->entries = NULL;
    map->copied = NULL;
    map->copied_count = 0;
    map->count = get_head(&r, head, smallest_entry);
    if (map->count != 0) {
        map->entries = rcp__take_zeroed(&map->alloc, map->count, sizeof *map->entries);
        map->copied = rcp__take_zeroed(&map->alloc, map->count, sizeof *map->copied);
        if (map->entries == NULL || map->copied == NULL)
            r.error = RCP_ENOMEM;
        decode(&r, map->entries, map->count);
    }
    if (read_to_end(&r) != 0) {
        rcp_linemap_free(map);
        return r.error;
    }
    for (i = 0; i < map->count; i++)
        if (map->entries[i].original_line >= 0)
            map->copied[map->copied_count++] = i;
    sort_by_original(map->entries, map->copied, map->copied_count);
    return 0;
}

void rcp_linemap_free(rcp_linemap_t *map)
{
    rcp__give(&map->alloc, map->entries);
    rcp__give(&map->alloc, map->copied);
    map->entries = NULL;
    map->copied = NULL;
    map->count = map->copied_count = 0;
}

/* A place as far behind the second beginning as it lies behind the first one; false if its line does not exist. */
static bool shift(int32_t line, int32_t column, int32_t from_line, int32_t from_column, int32_t to_line,
                  int32_t to_column, int32_t *result_line, int32_t *result_column)
{
    int64_t l = (int64_t)to_line + (line - from_line);
    int64_t c = line == from_line ? (int64_t)to_column + (column - from_column) : column;
    if (l > INT32_MAX || c > INT32_MAX)
        return false;
    *result_line = (int32_t)l;
    *result_column = (int32_t)c;
    return true;
}

bool rcp_linemap_to_original(const rcp_linemap_t *map, int32_t line, int32_t column, int32_t *original_line,
                             int32_t *original_column)
{
    const entry_t *e;
    uint32_t low = 0, high = map->count;   /* entries before `low` begin at or before the place */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        e = &map->entries[middle];
        if (compare(e->line, e->column, line, column) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    e = &map->entries[low - 1];
    return e->original_line >= 0 && shift(line, column, e->line, e->column, e->original_line, e->original_column,
                                          original_line, original_column);
}

/* How many copied pieces begin before an original place, or, if `at` is set, before or at it. */
static uint32_t count_before(const rcp_linemap_t *map, int32_t line, int32_t column, bool at)
{
    uint32_t low = 0, high = map->copied_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const entry_t *e = &map->entries[map->copied[middle]];
        if (compare(e->original_line, e->original_column, line, column) < (at ? 1 : 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool rcp_linemap_to_rewritten(const rcp_linemap_t *map, int32_t original_line, int32_t original_column, int32_t *line,
                              int32_t *column)
{
    uint32_t begun = count_before(map, original_line, original_column, true), first;
    const entry_t *e;
    int32_t l, c;
    if (begun == 0)
        return false;
    e = &map->entries[map->copied[begun - 1]];
    first = map->copied[count_before(map, e->original_line, e->original_column, false)];
    e = &map->entries[first];
    if (!shift(original_line, original_column, e->original_line, e->original_column, e->line, e->column, &l, &c))
        return false;
    if (first + 1 < map->count && compare(l, c, e[1].line, e[1].column) >= 0)
        return false;
    *line = l;
    *column = c;
    return true;
}
