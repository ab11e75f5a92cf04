/* Runs every test of list.h, or those named on the command line. */
#include <stdio.h>
#include <string.h>

#include "list.h"

#define TEST(name) void test_##name(void);
TEST_LIST
#undef TEST

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(void); } tests[] = {
#define TEST(name) {#name, test_##name},
        TEST_LIST
#undef TEST
    };
    size_t i, count = sizeof tests / sizeof tests[0], done = 0;
    int wanted;
    for (i = 0; i < count; i++) {
        bool chosen = argc < 2;
        for (wanted = 1; wanted < argc; wanted++)
            chosen = chosen || strcmp(argv[wanted], tests[i].name) == 0;
        if (!chosen)
            continue;
        printf("%s\n", tests[i].name);
        fflush(stdout);   /* a failing test ends the process */
        tests[i].run();
        done++;
    }
    if (done == 0) {
        fprintf(stderr, "no test of that name\n");
        return 2;
    }
    printf("%zu tests passed\n", done);
    return 0;
}
