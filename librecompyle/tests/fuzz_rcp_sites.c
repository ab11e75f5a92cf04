/* Any bytes: either refused, or a table that encodes to the same bytes again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "rcp_sites.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rcp_sites_t table;
    uint8_t *again;
    size_t planned = 0, written = 0;
    uint32_t i;
    if (rcp_sites_init(&table, data, size, NULL) != 0)
        return 0;
    FUZZ_CHECK(rcp_sites_encode(table.sites, table.count, NULL, 0, &planned) == 0 && planned == size);
    again = malloc(size);
    FUZZ_CHECK(again != NULL);
    FUZZ_CHECK(rcp_sites_encode(table.sites, table.count, again, size, &written) == 0 && written == size);
    FUZZ_CHECK(memcmp(again, data, size) == 0);
    for (i = 0; i < table.count; i++)
        FUZZ_CHECK(rcp_sites_at(&table, i)->line >= -1);
    free(again);
    rcp_sites_free(&table);
    return 0;
}

size_t fuzz_seed(uint8_t *out, size_t capacity, uint32_t (*random)(void))
{
    rcp_site_t sites[16];
    uint32_t i, count = random() % 17;
    size_t size = 0;
    for (i = 0; i < count; i++) {
        rcp_site_t site = {(int32_t)(random() % 5000), (int32_t)(random() % 5000), (int32_t)(random() % 120) - 1,
                           (int32_t)(random() >> (random() % 31 + 1))};
        sites[i] = site;
    }
    return rcp_sites_encode(sites, count, out, capacity, &size) == 0 ? size : 0;
}
