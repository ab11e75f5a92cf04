#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "rcp_errno.h"
#include "rcp_sink.h"

static int put(rcp_sink_t *sink, const char *text)
{
    return rcp_sink_write(sink, text, strlen(text));
}

static int record(rcp_sink_t *sink, const char *text)
{
    put(sink, text);
    return rcp_sink_end(sink);
}

static size_t read_all(const char *path, char *out, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    size_t size;
    CHECK(file != NULL);
    size = fread(out, 1, capacity, file);
    fclose(file);
    return size;
}

static void check_file(const char *path, const char *expected)
{
    char text[4096];
    size_t size = read_all(path, text, sizeof text);
    CHECK_TEXT(text, size, expected);
}

void test_sink_null(void)
{
    rcp_sink_t sink;
    size_t size = 9;
    CHECK_EQ(rcp_sink_init_null(&sink), 0);
    CHECK_EQ(record(&sink, "gone"), 0);
    CHECK(rcp_sink_data(&sink, &size) == NULL);
    CHECK_EQ(size, 0);
    rcp_sink_free(&sink);
    rcp_sink_free(&sink);
}

void test_sink_memory(void)
{
    rcp_sink_t sink;
    size_t size;
    const char *data;
    int i;
    CHECK_EQ(rcp_sink_init_memory(&sink, NULL), 0);
    for (i = 0; i < 1000; i++)
        CHECK_EQ(record(&sink, "0123456789"), 0);
    data = rcp_sink_data(&sink, &size);
    CHECK_EQ(size, 10000);
    for (i = 0; i < 10000; i++)
        CHECK_EQ(data[i], '0' + i % 10);
    rcp_sink_clear(&sink);
    CHECK(rcp_sink_data(&sink, &size) == NULL);
    put(&sink, "again");
    data = rcp_sink_data(&sink, &size);
    CHECK_TEXT(data, size, "again");
    rcp_sink_free(&sink);
}

/* A record of which a piece is missing is dropped whole; the next one is good again. */
void test_sink_out_of_memory(void)
{
    rcp_sink_t sink;
    counting_t counting = {1, 0};
    rcp_alloc_t alloc = counting_alloc(&counting);
    char big[1000] = "", text[16];
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(rcp_sink_init_fd(&sink, ends[1], &alloc), 0);
    CHECK_EQ(put(&sink, "a"), 0);
    CHECK_EQ(rcp_sink_write(&sink, big, sizeof big), RCP_ENOMEM);
    CHECK_EQ(put(&sink, "b"), 0);
    CHECK_EQ(rcp_sink_end(&sink), RCP_ENOMEM);
    CHECK_EQ(sink.error, RCP_ENOMEM);
    CHECK_EQ(sink.os_error, 0);
    CHECK_EQ(record(&sink, "good"), 0);
    CHECK_EQ(sink.error, RCP_ENOMEM);   /* kept */
    rcp_sink_clear_error(&sink);
    CHECK_EQ(sink.error, 0);
    CHECK_EQ(read(ends[0], text, sizeof text), 4);
    CHECK_TEXT(text, 4, "good");
    rcp_sink_free(&sink);
    CHECK_EQ(counting.out, 0);
    /* The descriptor is still the caller's. */
    CHECK_EQ(close(ends[1]), 0);
    close(ends[0]);
    CHECK_EQ(rcp_sink_init_fd(&sink, -1, NULL), RCP_EINVAL);
}

static void ignore(int number)
{
    (void)number;
}

static void *drain(void *arg)
{
    int fd = *(int *)arg;
    char buffer[8192];
    size_t total = 0;
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) > 0)
        total += (size_t)got;
    return (void *)(uintptr_t)total;
}

/* A slow reader, and a writer that is interrupted again and again: nothing is lost. */
void test_sink_interrupted(void)
{
    enum { size = 1 << 20 };
    struct sigaction action = {.sa_handler = ignore};   /* no SA_RESTART: write() returns early */
    sigset_t alarms;
    pthread_t reader;
    rcp_sink_t sink;
    char *big = calloc(1, size);
    void *total;
    int ends[2];
    CHECK(big != NULL);
    CHECK_EQ(pipe(ends), 0);
    sigaction(SIGALRM, &action, NULL);
    rcp_sink_init_fd(&sink, ends[1], NULL);
    CHECK_EQ(rcp_sink_write(&sink, big, size), 0);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);   /* the reader inherits it: only the writer is disturbed */
    CHECK_EQ(pthread_create(&reader, NULL, drain, &ends[0]), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    ualarm(200, 200);
    CHECK_EQ(rcp_sink_end(&sink), 0);
    ualarm(0, 0);
    close(ends[1]);
    pthread_join(reader, &total);
    CHECK_EQ((uintptr_t)total, size);
    close(ends[0]);
    rcp_sink_free(&sink);
    free(big);
}

void test_sink_full(void)
{
    rcp_sink_t sink;
    int fd = open("/dev/full", O_WRONLY);
    if (fd < 0) {
        printf("  skipped: no /dev/full\n");
        return;
    }
    rcp_sink_init_fd(&sink, fd, NULL);
    CHECK_EQ(record(&sink, "x"), RCP_EIO);
    CHECK_EQ(sink.error, RCP_EIO);
    CHECK_EQ(sink.os_error, ENOSPC);
    CHECK_EQ(record(&sink, "y"), RCP_EIO);
    rcp_sink_free(&sink);
    close(fd);
}

void test_sink_append(void)
{
    char folder[] = "/tmp/rcp_sink_XXXXXX", path[64], moved[64];
    rcp_sink_t sink;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(moved, sizeof moved, "%s/log.1", folder);
    CHECK_EQ(rcp_sink_open_append(&sink, path, NULL), 0);
    CHECK(fcntl(sink.fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(record(&sink, "one\n"), 0);
    put(&sink, "half");
    check_file(path, "one\n");               /* nothing before its end */
    rcp_sink_clear(&sink);
    /* Rotated away: the next record makes the file anew. */
    CHECK_EQ(rename(path, moved), 0);
    CHECK_EQ(record(&sink, "two\n"), 0);
    check_file(moved, "one\n");
    check_file(path, "two\n");
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(record(&sink, "three\n"), 0);
    check_file(path, "three\n");
    rcp_sink_free(&sink);
    rcp_sink_free(&sink);
    /* What was there stays. */
    CHECK_EQ(rcp_sink_open_append(&sink, path, NULL), 0);
    CHECK_EQ(record(&sink, "four\n"), 0);
    check_file(path, "three\nfour\n");
    /* The path cannot be opened any more: go on with the open file, and keep the error. */
    unlink(path);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(record(&sink, "five\n"), 0);
    CHECK_EQ(sink.error, RCP_EIO);
    CHECK_EQ(sink.os_error, EISDIR);
    rcp_sink_free(&sink);
    rmdir(path);
    unlink(moved);
    rmdir(folder);
}

void test_sink_open_errors(void)
{
    rcp_sink_t sink;
    counting_t counting = {0, 0};
    rcp_alloc_t alloc = counting_alloc(&counting);
    CHECK_EQ(rcp_sink_open_append(&sink, "/tmp/unused", &alloc), RCP_ENOMEM);
    counting.left = -1;
    errno = 0;
    CHECK_EQ(rcp_sink_open_append(&sink, "/nowhere/at/all", &alloc), RCP_EIO);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(counting.out, 0);
}

/* Processes that append to one file do not mix their records. */
void test_sink_processes(void)
{
    enum { processes = 4, records = 200, length = 301 };
    char folder[] = "/tmp/rcp_sink_XXXXXX", path[64], line[length + 2];
    static char text[processes * records * length + 1];
    size_t size, i, j;
    int p, status;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/log", folder);
    for (p = 0; p < processes; p++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            rcp_sink_t sink;
            CHECK_EQ(rcp_sink_open_append(&sink, path, NULL), 0);
            memset(line, 'a' + p, length - 1);
            line[length - 1] = '\n';
            for (i = 0; i < records; i++) {
                for (j = 0; j < length; j += 43)
                    rcp_sink_write(&sink, line + j, 43);
                CHECK_EQ(rcp_sink_end(&sink), 0);
            }
            rcp_sink_free(&sink);
            _exit(0);
        }
    }
    for (p = 0; p < processes; p++) {
        CHECK(wait(&status) > 0);
        CHECK_EQ(status, 0);
    }
    size = read_all(path, text, sizeof text);
    CHECK_EQ(size, processes * records * length);
    for (i = 0; i < size; i += length) {
        for (j = 1; j < length - 1; j++)
            CHECK_EQ(text[i + j], text[i]);
        CHECK_EQ(text[i + length - 1], '\n');
    }
    unlink(path);
    rmdir(folder);
}
