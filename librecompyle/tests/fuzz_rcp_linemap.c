/* Any bytes: either refused, or a map that encodes to the same bytes again and whose look-ups are sound. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "rcp_linemap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rcp_linemap_t map;
    uint8_t *again;
    size_t planned = 0, written = 0;
    uint32_t i;
    int32_t line, column;
    if (rcp_linemap_init(&map, data, size, NULL) != 0)
        return 0;
    FUZZ_CHECK(rcp_linemap_encode(map.entries, map.count, NULL, 0, &planned) == 0 && planned == size);
    again = malloc(size);
    FUZZ_CHECK(again != NULL);
    FUZZ_CHECK(rcp_linemap_encode(map.entries, map.count, again, size, &written) == 0 && written == size);
    FUZZ_CHECK(memcmp(again, data, size) == 0);
    for (i = 0; i < map.count; i++) {
        const rcp_linemap_entry_t *e = &map.entries[i];
        bool copied = rcp_linemap_to_original(&map, e->line, e->column, &line, &column);
        FUZZ_CHECK(copied == (e->original_line >= 0));
        if (!copied)
            continue;
        FUZZ_CHECK(line == e->original_line && column == e->original_column);
        /* The beginning of a copied piece is found from its original, here or at an earlier copy of it. */
        FUZZ_CHECK(rcp_linemap_to_rewritten(&map, e->original_line, e->original_column, &line, &column));
        FUZZ_CHECK(line < e->line || (line == e->line && column <= e->column));
        FUZZ_CHECK(rcp_linemap_to_original(&map, line, column, &line, &column));
        FUZZ_CHECK(line == e->original_line && column == e->original_column);
    }
    rcp_linemap_to_original(&map, INT32_MAX, INT32_MAX, &line, &column);
    rcp_linemap_to_rewritten(&map, INT32_MAX, INT32_MAX, &line, &column);
    free(again);
    rcp_linemap_free(&map);
    return 0;
}

size_t fuzz_seed(uint8_t *out, size_t capacity, uint32_t (*random)(void))
{
    rcp_linemap_entry_t entries[16];
    uint32_t i, count = random() % 17;
    int32_t line = 0, column = -1;
    size_t size = 0;
    for (i = 0; i < count; i++) {
        int32_t lines = (int32_t)(random() % 3);
        rcp_linemap_entry_t entry = {line + lines, (int32_t)(random() % 40) + (lines == 0 ? column + 1 : 0), -1, -1};
        if (random() % 3 != 0) {
            entry.original_line = (int32_t)(random() % 300);
            entry.original_column = (int32_t)(random() % 100);
        }
        line = entry.line;
        column = entry.column;
        entries[i] = entry;
    }
    return rcp_linemap_encode(entries, count, out, capacity, &size) == 0 ? size : 0;
}
