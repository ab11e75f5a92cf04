#include "check.h"
#include "rcp_errno.h"

void test_errno_texts(void)
{
    CHECK_STR(rcp_strerror(RCP_ENOMEM), "out of memory");
    CHECK_STR(rcp_err_name(RCP_ENOMEM), "ENOMEM");
    CHECK_STR(rcp_strerror(0), "ok");
    CHECK_STR(rcp_err_name(0), "OK");
    CHECK_STR(rcp_strerror(-12345), "unknown error");
    CHECK_STR(rcp_err_name(12345), "UNKNOWN");
}

void test_errno_numbers(void)
{
    static const int numbers[] = {
#define XX(name, number, text) RCP_##name,
        RCP_ERRNO_MAP(XX)
#undef XX
    };
    size_t i, j, count = sizeof numbers / sizeof numbers[0];
    for (i = 0; i < count; i++) {
        CHECK(numbers[i] < 0);
        for (j = 0; j < i; j++)
            CHECK(numbers[i] != numbers[j]);
    }
}
