/* Preloaded into a program: before each change of a file below POWER_ROOT, and after each sync, it asks the recorder
 * (tests/power.py) at the socket POWER_SOCKET to look at the disk, and waits until that was done. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static void tell(const char *what, unsigned long inode)
{
    const char *path = getenv("POWER_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char text[64], done;
    int before = errno, line;
    if (!path || strlen(path) >= sizeof to.sun_path || (line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
        return;
    strcpy(to.sun_path, path);
    int length = snprintf(text, sizeof text, "%s %lu\n", what, inode);
    if (connect(line, (struct sockaddr *)&to, sizeof to) == 0 && send(line, text, length, MSG_NOSIGNAL) == length)
        while (recv(line, &done, 1, 0) < 0 && errno == EINTR)
            ;
    close(line);
    errno = before;
}

static int is_ours(int file)
{
    char link[64], path[4096];
    const char *root = getenv("POWER_ROOT");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = root ? readlink(link, path, sizeof path - 1) : -1;
    return length > 0 && !strncmp(path, root, strlen(root));
}

static void before(void) { tell("change", 0); }

static int synced(int file, int result)
{
    struct stat found;
    if (result == 0 && fstat(file, &found) == 0 && is_ours(file))
        tell("synced", found.st_ino);
    return result;
}

#define CHANGES(name, parameters, arguments) \
    int name parameters { REAL(name); before(); return real arguments; }
CHANGES(rename, (const char *a, const char *b), (a, b))
CHANGES(renameat, (int x, const char *a, int y, const char *b), (x, a, y, b))
CHANGES(renameat2, (int x, const char *a, int y, const char *b, unsigned f), (x, a, y, b, f))
CHANGES(link, (const char *a, const char *b), (a, b))
CHANGES(linkat, (int x, const char *a, int y, const char *b, int f), (x, a, y, b, f))
CHANGES(unlink, (const char *a), (a))
CHANGES(unlinkat, (int x, const char *a, int f), (x, a, f))
CHANGES(rmdir, (const char *a), (a))
CHANGES(mkdir, (const char *a, mode_t m), (a, m))
CHANGES(mkdirat, (int x, const char *a, mode_t m), (x, a, m))

#define WRITES(name, parameters, arguments, file) \
    ssize_t name parameters { REAL(name); if (is_ours(file)) before(); return real arguments; }
WRITES(write, (int f, const void *b, size_t n), (f, b, n), f)
WRITES(writev, (int f, const struct iovec *v, int n), (f, v, n), f)
WRITES(pwrite, (int f, const void *b, size_t n, off_t o), (f, b, n, o), f)
WRITES(pwrite64, (int f, const void *b, size_t n, off64_t o), (f, b, n, o), f)

#define TRUNCATES(name, parameters, arguments, file) \
    int name parameters { REAL(name); if (is_ours(file)) before(); return real arguments; }
TRUNCATES(ftruncate, (int f, off_t n), (f, n), f)
TRUNCATES(ftruncate64, (int f, off64_t n), (f, n), f)

#define SYNCS(name) \
    int name(int f) { REAL(name); if (is_ours(f)) before(); return synced(f, real(f)); }
SYNCS(fsync)
SYNCS(fdatasync)

#define OPENS(name, parameters, call) \
    int name parameters { REAL(name); mode_t mode = 0; \
        if (flags & (O_CREAT | O_TRUNC)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); \
            va_end(more); before(); } \
        return real call; }
OPENS(open, (const char *path, int flags, ...), (path, flags, mode))
OPENS(open64, (const char *path, int flags, ...), (path, flags, mode))
OPENS(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
OPENS(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))
