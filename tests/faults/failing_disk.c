/* A disk that fails when told to, preloaded into a process (LD_PRELOAD).

   Every call below that touches something under a given folder is one step. The n-th step fails with a given error,
   it alone or it and all after it, or the process is killed in its place. A file whose flush failed is remembered,
   and every later flush of it is counted: after a failed fsync the kernel may have dropped the dirty pages, so that
   a second one says nothing (security.md, D31). Arm it from inside the process by fault_arm(). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { COUNT, ONCE, FROM_THEN_ON, KILL };
enum kind { GROWS, FLUSHES, REMOVES };
enum { REMEMBERED = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length; /* 0: not armed */
static long steps, fails_at, flushed_again;
static int mode, error_number;
static char failed_at[PATH_MAX + 32];
static struct { dev_t device; ino_t inode; char path[PATH_MAX]; } unflushed[REMEMBERED];
static int unflushed_count;

void fault_arm(const char *folder, long at, int how, int error) {
    pthread_mutex_lock(&lock);
    snprintf(root, sizeof root, "%s", folder);
    steps = flushed_again = 0;
    unflushed_count = 0;
    failed_at[0] = 0;
    fails_at = at, mode = how, error_number = error;
    root_length = strlen(root);
    pthread_mutex_unlock(&lock);
}

long fault_disarm(void) {
    root_length = 0;
    return steps;
}

long fault_flushed_again(void) { return flushed_again; }

const char *fault_failed_at(void) { return failed_at; }

static int is_ours(const char *path) {
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* Whether this step fails; errno is set. */
static int step(const char *name, const char *path, enum kind kind) {
    pthread_mutex_lock(&lock);
    steps++;
    int hit = mode != COUNT && (mode == FROM_THEN_ON ? steps >= fails_at : steps == fails_at);
    if (hit && kind == REMOVES && error_number == ENOSPC) hit = 0; /* a full disk lets you delete */
    if (hit && !failed_at[0]) snprintf(failed_at, sizeof failed_at, "%s %s", name, path + root_length);
    pthread_mutex_unlock(&lock);
    if (hit && mode == KILL) {
        kill(getpid(), SIGKILL);
        pause();
    }
    if (hit) errno = error_number;
    return hit;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = root_length ? readlink(link, path, PATH_MAX - 1) : -1;
    if (length < 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

static int absolute(int folder, const char *name, char *path) {
    if (!root_length || !name) return 0;
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return is_ours(path);
    }
    char base[PATH_MAX];
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
    }
    if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
    return is_ours(path);
}

static int fails_on_file(const char *name, int fd) {
    char path[PATH_MAX];
    return path_of(fd, path) && step(name, path, GROWS);
}

static int fails_on_path(const char *name, int folder, const char *where, enum kind kind) {
    char path[PATH_MAX];
    return absolute(folder, where, path) && step(name, path, kind);
}

static int fails_to_flush(const char *name, int fd) {
    char path[PATH_MAX];
    struct stat file;
    if (!path_of(fd, path) || fstat(fd, &file)) return 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < unflushed_count; i++)
        if (unflushed[i].device == file.st_dev && unflushed[i].inode == file.st_ino && !strcmp(unflushed[i].path, path))
            flushed_again++;
    pthread_mutex_unlock(&lock);
    if (!step(name, path, FLUSHES)) return 0;
    pthread_mutex_lock(&lock);
    if (S_ISREG(file.st_mode) && unflushed_count < REMEMBERED) { /* SQLite does not look at a folder's */
        unflushed[unflushed_count].device = file.st_dev, unflushed[unflushed_count].inode = file.st_ino;
        snprintf(unflushed[unflushed_count++].path, PATH_MAX, "%s", path);
    }
    pthread_mutex_unlock(&lock);
    errno = error_number;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(type, name, parameters, arguments, fails)                                                                 \
    type name parameters {                                                                                             \
        static __typeof__(&name) real;                                                                                 \
        if (!real) real = REAL(name);                                                                                  \
        return root_length && (fails) ? -1 : real arguments;                                                           \
    }

WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), fails_on_file("write", fd))
WRAP(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), fails_on_file("writev", fd))
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at),
     fails_on_file("pwrite", fd))
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at),
     fails_on_file("pwrite", fd))
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), fails_on_file("ftruncate", fd))
WRAP(int, ftruncate64, (int fd, off64_t size), (fd, size), fails_on_file("ftruncate", fd))
WRAP(int, fsync, (int fd), (fd), fails_to_flush("fsync", fd))
WRAP(int, fdatasync, (int fd), (fd), fails_to_flush("fdatasync", fd))
WRAP(int, rename, (const char *from, const char *to), (from, to), fails_on_path("rename", AT_FDCWD, to, GROWS))
WRAP(int, renameat, (int from_folder, const char *from, int to_folder, const char *to),
     (from_folder, from, to_folder, to), fails_on_path("rename", to_folder, to, GROWS))
WRAP(int, link, (const char *from, const char *to), (from, to), fails_on_path("link", AT_FDCWD, to, GROWS))
WRAP(int, linkat, (int from_folder, const char *from, int to_folder, const char *to, int flags),
     (from_folder, from, to_folder, to, flags), fails_on_path("link", to_folder, to, GROWS))
WRAP(int, mkdir, (const char *path, mode_t bits), (path, bits), fails_on_path("mkdir", AT_FDCWD, path, GROWS))
WRAP(int, mkdirat, (int folder, const char *path, mode_t bits), (folder, path, bits),
     fails_on_path("mkdir", folder, path, GROWS))
WRAP(int, unlink, (const char *path), (path), fails_on_path("unlink", AT_FDCWD, path, REMOVES))
WRAP(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags),
     fails_on_path("unlink", folder, path, REMOVES))
WRAP(int, rmdir, (const char *path), (path), fails_on_path("rmdir", AT_FDCWD, path, REMOVES))

/* Opening is a step only where it makes a file. */
#define WRAP_OPEN(name, head, folder, forward)                                                                         \
    int name head {                                                                                                    \
        static __typeof__(&name) real;                                                                                 \
        if (!real) real = REAL(name);                                                                                  \
        mode_t bits = 0;                                                                                               \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                                           \
            va_list rest;                                                                                              \
            va_start(rest, flags);                                                                                     \
            bits = va_arg(rest, mode_t);                                                                               \
            va_end(rest);                                                                                              \
        }                                                                                                              \
        if (root_length && (flags & O_CREAT) && faccessat(folder, path, F_OK, 0) &&                                    \
            fails_on_path("create", folder, path, GROWS))                                                              \
            return -1;                                                                                                 \
        return real forward;                                                                                           \
    }

WRAP_OPEN(open, (const char *path, int flags, ...), AT_FDCWD, (path, flags, bits))
WRAP_OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, (path, flags, bits))
WRAP_OPEN(openat, (int folder, const char *path, int flags, ...), folder, (folder, path, flags, bits))
WRAP_OPEN(openat64, (int folder, const char *path, int flags, ...), folder, (folder, path, flags, bits))
