#include "check.h"
#include "rcp_errno.h"
#include "rcp_sites.h"

static const rcp_site_t table[] = {
    {118, 118, 4, 30}, {118, 120, 17, 5}, {121, 121, 8, 47}, {7, 7, 0, 0},
    {-1, -1, -1, -1}, {INT32_MAX, INT32_MAX, INT32_MAX, -1}, {0, INT32_MAX, -1, INT32_MAX},
};
enum { count = sizeof table / sizeof table[0] };

void test_sites_round_trip(void)
{
    uint8_t bytes[256];
    size_t size, planned;
    rcp_sites_t sites;
    uint32_t i, n;
    for (n = 0; n <= count; n++) {
        CHECK_EQ(rcp_sites_encode(table, n, NULL, 0, &planned), 0);
        CHECK_EQ(rcp_sites_encode(table, n, bytes, sizeof bytes, &size), 0);
        CHECK_EQ(size, planned);
        CHECK_EQ(rcp_sites_init(&sites, bytes, size, NULL), 0);
        CHECK_EQ(sites.count, n);
        for (i = 0; i < n; i++)
            CHECK(memcmp(rcp_sites_at(&sites, i), &table[i], sizeof table[i]) == 0);
        CHECK(rcp_sites_at(&sites, n) == NULL);
        rcp_sites_free(&sites);
        rcp_sites_free(&sites);
    }
}

void test_sites_bytes(void)
{
    static const rcp_site_t two[] = {{10, 10, 4, 9}, {12, 11, 3, -1}};
    static const uint8_t expected[] = {0x11, 2, 20, 0, 8, 10, 4, 1, 1, 7};
    uint8_t bytes[32];
    size_t size;
    CHECK_EQ(rcp_sites_encode(two, 2, bytes, sizeof bytes, &size), 0);
    CHECK_EQ(size, sizeof expected);
    CHECK(memcmp(bytes, expected, size) == 0);
}

void test_sites_refused(void)
{
    static const rcp_site_t wrong = {-2, 1, 0, 0};
    uint8_t bytes[256], spare[256];
    size_t size, cut;
    rcp_sites_t sites;
    CHECK_EQ(rcp_sites_encode(&wrong, 1, bytes, sizeof bytes, &size), RCP_ERANGE);
    CHECK_EQ(rcp_sites_encode(table, count, bytes, 5, &size), RCP_ESPACE);
    CHECK(size > 5);
    CHECK_EQ(rcp_sites_encode(table, count, bytes, sizeof bytes, &size), 0);
    /* Every beginning of it is too short. */
    for (cut = 0; cut < size; cut++)
        CHECK_EQ(rcp_sites_init(&sites, bytes, cut, NULL), RCP_ETRUNCATED);
    bytes[size] = 0;
    CHECK_EQ(rcp_sites_init(&sites, bytes, size + 1, NULL), RCP_EFORMAT);
    memcpy(spare, bytes, size);
    spare[0] = 0x12;
    CHECK_EQ(rcp_sites_init(&sites, spare, size, NULL), RCP_EVERSION);
    /* More sites than the bytes could hold: found before memory is taken. */
    memcpy(spare, "\x11\xff\xff\xff\xff\x0f\0\0\0\0", 10);
    CHECK_EQ(rcp_sites_init(&sites, spare, 10, NULL), RCP_ETRUNCATED);
    /* A number longer than it need be, one that is too great, and a line below -1. */
    CHECK_EQ(rcp_sites_init(&sites, (const uint8_t *)"\x11\x81\0\0\0\0\0", 7, NULL), RCP_EFORMAT);
    CHECK_EQ(rcp_sites_init(&sites, (const uint8_t *)"\x11\x01\xff\xff\xff\xff\xff\x01\0\0\0", 11, NULL), RCP_EFORMAT);
    CHECK_EQ(rcp_sites_init(&sites, (const uint8_t *)"\x11\x01\x03\0\0\0", 6, NULL), RCP_ERANGE);
    CHECK_EQ(sites.count, 0);
}

void test_sites_out_of_memory(void)
{
    uint8_t bytes[256];
    size_t size;
    rcp_sites_t sites;
    counting_t counting = {0, 0};
    rcp_alloc_t alloc = counting_alloc(&counting);
    rcp_sites_encode(table, count, bytes, sizeof bytes, &size);
    CHECK_EQ(rcp_sites_init(&sites, bytes, size, &alloc), RCP_ENOMEM);
    counting.left = 1;
    CHECK_EQ(rcp_sites_init(&sites, bytes, size, &alloc), 0);
    rcp_sites_free(&sites);
    CHECK_EQ(counting.out, 0);
}
