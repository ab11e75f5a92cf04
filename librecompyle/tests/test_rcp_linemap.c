#include "check.h"
#include "rcp_errno.h"
#include "rcp_linemap.h"

/* "x = f(a)" at line 10, rewritten to "x = END[f(START[a])]" at line 3:
 *  copied "x = ", inserted "END[", copied "f(", inserted "START[", copied "a)" ... */
static const rcp_linemap_entry_t call[] = {
    {3, 0, 10, 0}, {3, 4, -1, -1}, {3, 8, 10, 4}, {3, 10, -1, -1}, {3, 16, 10, 6}, {3, 17, -1, -1}, {3, 18, 10, 7},
    {3, 19, -1, -1}, {4, 0, 11, 0}, {9, 2, 5, 2}, {12, 0, -1, -1},
};
enum { call_count = sizeof call / sizeof call[0] };

static rcp_linemap_t make(const rcp_linemap_entry_t *entries, uint32_t count)
{
    uint8_t bytes[4096];
    size_t size, planned;
    rcp_linemap_t map;
    uint32_t i;
    CHECK_EQ(rcp_linemap_encode(entries, count, NULL, 0, &planned), 0);
    CHECK_EQ(rcp_linemap_encode(entries, count, bytes, sizeof bytes, &size), 0);
    CHECK_EQ(size, planned);
    CHECK_EQ(rcp_linemap_init(&map, bytes, size, NULL), 0);
    CHECK_EQ(map.count, count);
    for (i = 0; i < count; i++)
        CHECK(memcmp(&map.entries[i], &entries[i], sizeof *entries) == 0);
    return map;
}

static void check_original(const rcp_linemap_t *map, int32_t line, int32_t column, int32_t to_line, int32_t to_column)
{
    int32_t l = -7, c = -7;
    bool found = rcp_linemap_to_original(map, line, column, &l, &c);
    CHECK_EQ(found, to_line >= 0);
    CHECK_EQ(l, found ? to_line : -7);
    CHECK_EQ(c, found ? to_column : -7);
}

static void check_rewritten(const rcp_linemap_t *map, int32_t line, int32_t column, int32_t to_line, int32_t to_column)
{
    int32_t l = -7, c = -7;
    bool found = rcp_linemap_to_rewritten(map, line, column, &l, &c);
    CHECK_EQ(found, to_line >= 0);
    CHECK_EQ(l, found ? to_line : -7);
    CHECK_EQ(c, found ? to_column : -7);
}

void test_linemap_lookup(void)
{
    rcp_linemap_t map = make(call, call_count);
    check_original(&map, 2, 99, -1, -1);     /* before the first piece */
    check_original(&map, 3, 0, 10, 0);
    check_original(&map, 3, 3, 10, 3);
    check_original(&map, 3, 4, -1, -1);      /* END[ */
    check_original(&map, 3, 9, 10, 5);
    check_original(&map, 3, 16, 10, 6);
    check_original(&map, 3, 18, 10, 7);
    check_original(&map, 3, 40, -1, -1);
    check_original(&map, 4, 5, 11, 5);
    check_original(&map, 6, 5, 13, 5);       /* the same piece, two lines on */
    check_original(&map, 9, 1, 16, 1);
    check_original(&map, 9, 2, 5, 2);
    check_original(&map, 99, 2, -1, -1);
    check_rewritten(&map, 10, 0, 3, 0);
    check_rewritten(&map, 10, 5, 3, 9);
    check_rewritten(&map, 10, 6, 3, 16);
    check_rewritten(&map, 10, 7, 3, 18);
    check_rewritten(&map, 10, 8, -1, -1);    /* not copied */
    check_rewritten(&map, 13, 5, 6, 5);
    check_rewritten(&map, 16, 2, -1, -1);
    check_rewritten(&map, 5, 1, -1, -1);     /* before all that was copied */
    check_rewritten(&map, 5, 3, 9, 3);
    rcp_linemap_free(&map);
    rcp_linemap_free(&map);
    check_original(&map, 3, 0, -1, -1);
}

/* Every place that has an original is found again from there. */
void test_linemap_inverse(void)
{
    rcp_linemap_t map = make(call, call_count);
    int32_t line, column, l, c;
    int found = 0;
    for (line = 0; line < 12; line++)
        for (column = 0; column < 30; column++)
            if (rcp_linemap_to_original(&map, line, column, &l, &c) && l < 16) {
                check_rewritten(&map, l, c, line, column);
                found++;
            }
    CHECK(found > 100);
    rcp_linemap_free(&map);
}

void test_linemap_copies(void)
{
    static const rcp_linemap_entry_t copies[] = {{5, 0, 2, 0}, {6, 0, 2, 0}, {7, 0, 1, 0}, {8, 0, 2, 0}};
    rcp_linemap_t map = make(copies, 4);
    check_rewritten(&map, 2, 3, 5, 3);
    check_rewritten(&map, 1, 3, 7, 3);
    rcp_linemap_free(&map);
    map = make(copies, 0);
    check_rewritten(&map, 2, 3, -1, -1);
    check_original(&map, 2, 3, -1, -1);
    rcp_linemap_free(&map);
}

void test_linemap_extremes(void)
{
    static const rcp_linemap_entry_t far[] = {
        {0, 0, INT32_MAX, INT32_MAX}, {0, INT32_MAX, 0, 0}, {INT32_MAX, INT32_MAX, INT32_MAX, 0}};
    rcp_linemap_t map = make(far, 3);
    check_original(&map, 0, 0, INT32_MAX, INT32_MAX);
    check_original(&map, 0, 1, -1, -1);          /* there is no such column */
    check_original(&map, INT32_MAX, INT32_MAX, INT32_MAX, 0);
    check_rewritten(&map, 0, 0, 0, INT32_MAX);
    check_rewritten(&map, 0, 1, -1, -1);
    rcp_linemap_free(&map);
}

void test_linemap_bytes(void)
{
    static const rcp_linemap_entry_t three[] = {{3, 0, 10, 4}, {3, 6, -1, -1}, {5, 2, 9, 300}};
    static const uint8_t expected[] = {0x21, 3, 3, 0, 20, 8, 0, 5, 21, 2, 2, 1, 0xd0, 4};
    uint8_t bytes[32];
    size_t size;
    CHECK_EQ(rcp_linemap_encode(three, 3, bytes, sizeof bytes, &size), 0);
    CHECK_EQ(size, sizeof expected);
    CHECK(memcmp(bytes, expected, size) == 0);
}

void test_linemap_refused(void)
{
    rcp_linemap_entry_t entry[2] = {{1, 1, 1, 1}, {1, 1, 2, 2}};
    uint8_t bytes[256];
    size_t size, cut;
    rcp_linemap_t map;
    CHECK_EQ(rcp_linemap_encode(entry, 2, bytes, sizeof bytes, &size), RCP_EINVAL);
    entry[1].column = 2;
    entry[1].original_column = -1;
    CHECK_EQ(rcp_linemap_encode(entry, 2, bytes, sizeof bytes, &size), RCP_ERANGE);
    entry[1].original_column = 3;
    CHECK_EQ(rcp_linemap_encode(entry, 2, bytes, 3, &size), RCP_ESPACE);
    CHECK_EQ(rcp_linemap_encode(call, call_count, bytes, sizeof bytes, &size), 0);
    for (cut = 0; cut < size; cut++)
        CHECK_EQ(rcp_linemap_init(&map, bytes, cut, NULL), RCP_ETRUNCATED);
    bytes[size] = 0;
    CHECK_EQ(rcp_linemap_init(&map, bytes, size + 1, NULL), RCP_EFORMAT);
    bytes[0] = 0x11;
    CHECK_EQ(rcp_linemap_init(&map, bytes, size, NULL), RCP_EVERSION);
    CHECK_EQ(rcp_linemap_init(&map, (const uint8_t *)"\x21\x01\0\0\x03\0", 6, NULL), RCP_ERANGE);
    CHECK_EQ(map.count, 0);
}

void test_linemap_out_of_memory(void)
{
    uint8_t bytes[256];
    size_t size;
    rcp_linemap_t map;
    long left;
    rcp_linemap_encode(call, call_count, bytes, sizeof bytes, &size);
    for (left = 0; left < 3; left++) {
        counting_t counting = {left, 0};
        rcp_alloc_t alloc = counting_alloc(&counting);
        CHECK_EQ(rcp_linemap_init(&map, bytes, size, &alloc), left < 2 ? RCP_ENOMEM : 0);
        rcp_linemap_free(&map);
        CHECK_EQ(counting.out, 0);
    }
}
