/* Counts the calls that change files below one directory, and fails or kills at a chosen one.

   Loaded with LD_PRELOAD. Nothing is counted until `shim_arm`. A process that is forked afterwards keeps the settings and
   shares the counter, one that is executed does not. Calls within glibc, such as the writes of stdio, are not seen.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OFF, COUNT, KILL, FAIL, FAIL_FROM };

static char root[PATH_MAX];
static size_t root_length;
static int mode = OFF, error_number, log_file = -1;
static long chosen;
static atomic_long *counter;

/* mode: COUNT, KILL at call `at`, FAIL call `at` with `error`, FAIL_FROM: fail it and all later ones.
   log: a descriptor that gets a line "operation path" for each call, or -1. */
int shim_arm(const char *directory, int how, long at, int error, int log) {
    if (realpath(directory, root) == NULL) return -1;
    root_length = strlen(root);
    chosen = at;
    error_number = error;
    log_file = log;
    counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counter == MAP_FAILED) return -1;
    atomic_store(counter, 0);
    mode = how;
    return 0;
}

long shim_count(void) { return counter == NULL ? 0 : atomic_load(counter); }

void shim_disarm(void) { mode = OFF; }

static int below(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static int place_of_descriptor(int descriptor, char *into) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, into, PATH_MAX - 1);
    if (length < 0) return 0;
    into[length] = 0;
    return 1;
}

static int place_of(int directory, const char *path, char *into) {
    if (path[0] == '/') {
        snprintf(into, PATH_MAX, "%s", path);
        return 1;
    }
    char base[PATH_MAX];
    if (directory == AT_FDCWD ? getcwd(base, sizeof base) == NULL : !place_of_descriptor(directory, base)) return 0;
    snprintf(into, PATH_MAX, "%.*s/%s", (int)(PATH_MAX - strlen(path) - 2), base, path);
    return 1;
}

/* 1 if the call must fail with `errno` set. */
static int struck(const char *operation, const char *place) {
    long number = atomic_fetch_add(counter, 1) + 1;
    if (log_file >= 0) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%s %s\n", operation, place + (place[root_length] == '/') + root_length);
        syscall(SYS_write, log_file, line, length);
    }
    if (mode == KILL && number == chosen) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    if ((mode == FAIL && number == chosen) || (mode == FAIL_FROM && number >= chosen)) {
        errno = error_number;
        return 1;
    }
    return 0;
}

static int by_path(const char *operation, int directory, const char *path) {
    char place[PATH_MAX];
    if (mode == OFF || path == NULL || !place_of(directory, path, place) || !below(place)) return 0;
    return struck(operation, place);
}

static int by_descriptor(const char *operation, int descriptor) {
    char place[PATH_MAX];
    if (mode == OFF || !place_of_descriptor(descriptor, place) || !below(place)) return 0;
    return struck(operation, place);
}

#define REAL(name) static __typeof__(name) *real; if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define WRITES(flags) (((flags) & (O_CREAT | O_TRUNC)) != 0)
#define OPENED(name, directory, path, flags, ...)                                 \
    REAL(name);                                                                   \
    mode_t permissions = 0;                                                       \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                        \
        va_list rest;                                                             \
        va_start(rest, flags);                                                    \
        permissions = va_arg(rest, mode_t);                                       \
        va_end(rest);                                                             \
    }                                                                             \
    if (WRITES(flags) && by_path("open", directory, path)) return -1;             \
    return real(__VA_ARGS__, permissions)

int open(const char *path, int flags, ...) { OPENED(open, AT_FDCWD, path, flags, path, flags); }
int open64(const char *path, int flags, ...) { OPENED(open64, AT_FDCWD, path, flags, path, flags); }
int openat(int directory, const char *path, int flags, ...) { OPENED(openat, directory, path, flags, directory, path, flags); }
int openat64(int directory, const char *path, int flags, ...) { OPENED(openat64, directory, path, flags, directory, path, flags); }

#define ON_DESCRIPTOR(kind, name, parameters, descriptor, ...) \
    kind name parameters { REAL(name); return by_descriptor(#name, descriptor) ? -1 : real(__VA_ARGS__); }
#define ON_PATH(name, parameters, directory, path, ...) \
    int name parameters { REAL(name); return by_path(#name, directory, path) ? -1 : real(__VA_ARGS__); }

ON_DESCRIPTOR(ssize_t, write, (int to, const void *data, size_t size), to, to, data, size)
ON_DESCRIPTOR(ssize_t, writev, (int to, const struct iovec *parts, int count), to, to, parts, count)
ON_DESCRIPTOR(ssize_t, pwrite, (int to, const void *data, size_t size, off_t at), to, to, data, size, at)
ON_DESCRIPTOR(ssize_t, pwrite64, (int to, const void *data, size_t size, off64_t at), to, to, data, size, at)
ON_DESCRIPTOR(ssize_t, pwritev, (int to, const struct iovec *parts, int count, off_t at), to, to, parts, count, at)
ON_DESCRIPTOR(ssize_t, sendfile, (int to, int from, off_t *at, size_t size), to, to, from, at, size)
ON_DESCRIPTOR(ssize_t, sendfile64, (int to, int from, off64_t *at, size_t size), to, to, from, at, size)
ON_DESCRIPTOR(ssize_t, copy_file_range, (int from, off64_t *there, int to, off64_t *at, size_t size, unsigned flags), to,
              from, there, to, at, size, flags)
ON_DESCRIPTOR(int, fsync, (int file), file, file)
ON_DESCRIPTOR(int, fdatasync, (int file), file, file)
ON_DESCRIPTOR(int, ftruncate, (int file, off_t size), file, file, size)
ON_DESCRIPTOR(int, ftruncate64, (int file, off64_t size), file, file, size)

ON_PATH(rename, (const char *from, const char *to), AT_FDCWD, to, from, to)
ON_PATH(renameat, (int a, const char *from, int b, const char *to), b, to, a, from, b, to)
ON_PATH(renameat2, (int a, const char *from, int b, const char *to, unsigned flags), b, to, a, from, b, to, flags)
ON_PATH(link, (const char *from, const char *to), AT_FDCWD, to, from, to)
ON_PATH(linkat, (int a, const char *from, int b, const char *to, int flags), b, to, a, from, b, to, flags)
ON_PATH(symlink, (const char *target, const char *path), AT_FDCWD, path, target, path)
ON_PATH(symlinkat, (const char *target, int directory, const char *path), directory, path, target, directory, path)
ON_PATH(unlink, (const char *path), AT_FDCWD, path, path)
ON_PATH(unlinkat, (int directory, const char *path, int flags), directory, path, directory, path, flags)
ON_PATH(rmdir, (const char *path), AT_FDCWD, path, path)
ON_PATH(mkdir, (const char *path, mode_t mode_), AT_FDCWD, path, path, mode_)
ON_PATH(mkdirat, (int directory, const char *path, mode_t mode_), directory, path, directory, path, mode_)
ON_PATH(truncate, (const char *path, off_t size), AT_FDCWD, path, path, size)
ON_PATH(truncate64, (const char *path, off64_t size), AT_FDCWD, path, path, size)
