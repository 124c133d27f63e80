/* Remembers what a power cut would undo: preloaded (LD_PRELOAD) into a process, it writes down,
   for files below POWER_ROOT, the old bytes of every write and every change of a name, in
   POWER_LOG, and forgets them when fsync or fdatasync has made them last. power.py undoes.

   What is kept: the bytes of a file by its own fsync; a new file's name by the file's or its
   folder's fsync; a rename, a link and an unlink by the folder's fsync alone. What C's stdio
   writes is not seen and counts as kept. POWER_LIES=1: fsync keeps nothing. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
#define LONGEST (2 * PATH_MAX)

static const char *root, *notes;
static int lies;

__attribute__((constructor)) static void begin(void) {
    /* Copies: PostgreSQL writes its processes' titles over the environment. */
    root = getenv("POWER_ROOT") ? strdup(getenv("POWER_ROOT")) : NULL;
    notes = getenv("POWER_LOG") ? strdup(getenv("POWER_LOG")) : NULL;
    lies = getenv("POWER_LIES") != NULL;
}

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int below(const char *path) {
    size_t length = root && notes ? strlen(root) : 0;
    return length && !strncmp(path, root, length) && path[length] == '/';
}

/* The absolute path of a name that is relative to an open folder; 0 when it is not watched. */
static int resolve(int at, const char *name, char *path) {
    if (!root || !name) return 0;
    if (name[0] == '/') {
        snprintf(path, LONGEST, "%s", name);
        return below(path);
    }
    char link[64], folder[PATH_MAX];
    if (at == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t n = readlink(link, folder, sizeof folder - 1);
    if (n <= 0) return 0;
    folder[n] = 0;
    snprintf(path, LONGEST, "%s/%s", folder, name);
    return below(path);
}

static int watched(int fd, char *path) {
    char link[64];
    if (!root) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, LONGEST - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

static int hold(const char *name) {
    char path[LONGEST];
    snprintf(path, sizeof path, "%s/%s", notes, name);
    int fd = REAL(open)(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || flock(fd, LOCK_EX)) abort();
    return fd;
}

static void put(int fd, const void *data, size_t length) {
    if (REAL(write)(fd, data, length) != (ssize_t)length) abort();
}

/* The file's own list, held until it is closed; -1 for what is no plain file. */
static int list(int fd, struct stat *now) {
    char name[64];
    if (fstat(fd, now) || !S_ISREG(now->st_mode)) return -1;
    snprintf(name, sizeof name, "data-%llu", (unsigned long long)now->st_ino);
    int held = hold(name);
    fstat(fd, now);
    return held;
}

static void remember(int held, int fd, const struct stat *now, int64_t from, int64_t length) {
    int64_t size = now->st_size;
    int64_t kept = from >= size ? 0 : (from + length > size ? size - from : length);
    int64_t head[3] = {from, size, kept};
    char link[64], *old = malloc(kept + 1);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (kept) {
        int reading = REAL(open)(link, O_RDONLY | O_CLOEXEC);
        if (reading < 0 || pread(reading, old, kept, from) != kept) abort();
        close(reading);
    }
    put(held, head, sizeof head);
    put(held, old, kept);
    free(old);
}

/* Before a change of a file's bytes: its held list, or -1. */
static int changing(int fd, int64_t from, int64_t length) {
    char path[LONGEST];
    struct stat now;
    int before = errno;
    int held = watched(fd, path) ? list(fd, &now) : -1;
    if (held >= 0) {
        if (from < 0) from = fcntl(fd, F_GETFL) & O_APPEND ? now.st_size : lseek(fd, 0, SEEK_CUR);
        remember(held, fd, &now, from, length);
    }
    errno = before;
    return held;
}

static void done(int held) {
    int before = errno;
    if (held >= 0) close(held);
    errno = before;
}

static int64_t total(const struct iovec *parts, int count) {
    int64_t sum = 0;
    for (int i = 0; i < count; i++) sum += parts[i].iov_len;
    return sum;
}

#define CHANGE(fd, from, length, call) \
    int held = changing(fd, from, length); \
    __typeof__(call) result = call; \
    done(held); \
    return result

ssize_t write(int fd, const void *data, size_t n) { CHANGE(fd, -1, n, REAL(write)(fd, data, n)); }
ssize_t writev(int fd, const struct iovec *v, int n) {
    CHANGE(fd, -1, total(v, n), REAL(writev)(fd, v, n));
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    CHANGE(fd, at, n, REAL(pwrite)(fd, data, n, at));
}
ssize_t pwrite64(int fd, const void *data, size_t n, off_t at) {
    CHANGE(fd, at, n, REAL(pwrite)(fd, data, n, at));
}
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) {
    CHANGE(fd, at, total(v, n), REAL(pwritev)(fd, v, n, at));
}
ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at) {
    CHANGE(fd, at, total(v, n), REAL(pwritev)(fd, v, n, at));
}
int ftruncate(int fd, off_t size) { CHANGE(fd, size, INT32_MAX, REAL(ftruncate)(fd, size)); }
int ftruncate64(int fd, off_t size) { CHANGE(fd, size, INT32_MAX, REAL(ftruncate)(fd, size)); }
int posix_fallocate(int fd, off_t at, off_t n) {
    CHANGE(fd, INT64_MAX / 2, 0, REAL(posix_fallocate)(fd, at, n));
}
int posix_fallocate64(int fd, off_t at, off_t n) {
    CHANGE(fd, INT64_MAX / 2, 0, REAL(posix_fallocate)(fd, at, n));
}

/* Changes of names: one line each, fields between tabs: what, whose folder, paths. */
static void note(int held, char what, const char *path, const char *other, const char *saved) {
    char line[4 * LONGEST];
    int folder = (int)(strrchr(path, '/') - path);
    int n = snprintf(line, sizeof line, "%c\t%.*s\t%s\t%s\t%s\n", what, folder, path, path, other,
                     saved);
    put(held, line, n);
}

/* Another name for what a change of names would lose. */
static void save(const char *path, char *saved) {
    static unsigned long number;
    struct stat now;
    saved[0] = 0;
    if (lstat(path, &now) || !S_ISREG(now.st_mode)) return;
    snprintf(saved, LONGEST, "%s/saved-%d-%lu", notes, getpid(), number++);
    if (REAL(link)(path, saved)) abort();
}

static void forget(const char *folder, const char *created) {
    int held = hold("names");
    off_t size = lseek(held, 0, SEEK_END);
    char *all = malloc(size + 1), *line, *next, *to = all, from[LONGEST + 2], made[LONGEST + 2];
    if (pread(held, all, size, 0) != size) abort();
    all[size] = 0;
    snprintf(from, sizeof from, "\t%s\t", folder);
    snprintf(made, sizeof made, "\t%s\t", created);
    for (line = all; *line; line = next) {
        next = strchr(line, '\n') + 1;
        char *path = strchr(line + 2, '\t');
        int gone = folder[0] && !strncmp(line + 1, from, strlen(from));
        gone |= created[0] && *line == 'C' && !strncmp(path, made, strlen(made));
        if (!gone) {
            memmove(to, line, next - line);
            to += next - line;
        }
    }
    if (REAL(ftruncate)(held, 0)) abort();
    put(held, all, to - all);
    free(all);
    close(held);
}

static int synced(int fd, int (*sync)(int)) {
    char path[LONGEST];
    struct stat now;
    if (!watched(fd, path) || fstat(fd, &now)) return sync(fd);
    if (lies) return 0;
    int held = list(fd, &now), result = sync(fd);
    if (result == 0) {
        if (held >= 0 && REAL(ftruncate)(held, 0)) abort();
        forget(S_ISDIR(now.st_mode) ? path : "", S_ISREG(now.st_mode) ? path : "");
    }
    done(held);
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

static int opened(int at, const char *name, int flags, mode_t mode) {
    char path[LONGEST];
    struct stat now;
    if (!(flags & (O_CREAT | O_TRUNC)) || !resolve(at, name, path))
        return REAL(openat)(at, name, flags, mode);
    int fresh = lstat(path, &now) != 0, fd;
    if (!fresh && flags & O_TRUNC && S_ISREG(now.st_mode) && now.st_size) {
        fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            int held = changing(fd, 0, now.st_size);
            if (REAL(ftruncate)(fd, 0)) abort();
            done(held);
            close(fd);
        }
    }
    int held = hold("names");
    fd = REAL(openat)(at, name, flags, mode);
    if (fresh && fd >= 0 && flags & O_CREAT) note(held, 'C', path, "", "");
    done(held);
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode);
}
int openat(int at, const char *name, int flags, ...) {
    MODE(flags)
    return opened(at, name, flags, mode);
}
int openat64(int at, const char *name, int flags, ...) {
    MODE(flags)
    return opened(at, name, flags, mode);
}

int renameat(int from, const char *old, int to, const char *new) {
    char path[LONGEST], other[LONGEST], saved[LONGEST];
    if (!resolve(to, new, path) || !resolve(from, old, other))
        return REAL(renameat)(from, old, to, new);
    int held = hold("names");
    save(path, saved);
    int result = REAL(renameat)(from, old, to, new);
    if (result == 0) note(held, 'R', path, other, saved);
    done(held);
    return result;
}
int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
    char path[LONGEST];
    if (!resolve(to, new, path)) return REAL(linkat)(from, old, to, new, flags);
    int held = hold("names");
    int result = REAL(linkat)(from, old, to, new, flags);
    if (result == 0) note(held, 'L', path, "", "");
    done(held);
    return result;
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int at, const char *name, int flags) {
    char path[LONGEST], saved[LONGEST];
    if (flags || !resolve(at, name, path)) return REAL(unlinkat)(at, name, flags);
    int held = hold("names");
    save(path, saved);
    int result = REAL(unlinkat)(at, name, flags);
    if (result == 0 && saved[0]) note(held, 'U', path, "", saved);
    done(held);
    return result;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
