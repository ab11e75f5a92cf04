#include "check.h"
#include "recompyle.h"

void test_base_version(void)
{
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", RCP_VERSION_MAJOR, RCP_VERSION_MINOR, RCP_VERSION_PATCH);
    CHECK_STR(rcp_version(), expected);
}
