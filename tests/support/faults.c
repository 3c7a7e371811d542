/* What a machine does to a program when its clock is set, its disk is full or its disk fails.
 *
 * Preloaded into a program under test (LD_PRELOAD); driven by faults.py through a file of seven 64-bit numbers
 * that both map: the offset of the wall clock in nanoseconds, the errno of syncs, the errno of writes (0: none), how
 * many syncs and writes were failed, the errno of new sockets, and how many were failed. Only files under TOCSIN_FAULTS_DIR are concerned. A write to a full disk first
 * takes half of what it is given, as real ones do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
  volatile int64_t wall_offset_ns;
  volatile int64_t sync_errno;
  volatile int64_t write_errno;
  volatile int64_t syncs_failed;
  volatile int64_t writes_failed;
  volatile int64_t socket_errno;
  volatile int64_t sockets_failed;
};

static struct control none;
static struct control *control = &none;
static char directory[4096];

__attribute__((constructor)) static void attach(void) {
  const char *path = getenv("TOCSIN_FAULTS");
  const char *where = getenv("TOCSIN_FAULTS_DIR");
  if (where != NULL) snprintf(directory, sizeof directory, "%s", where);
  const int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) control = at;
  close(fd);
}

static int concerns(int fd) {
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0 || directory[0] == '\0') return 0;
  path[size] = '\0';
  return strncmp(path, directory, strlen(directory)) == 0 && path[strlen(directory)] == '/';
}

/* -- the wall clock -- */

int clock_gettime(clockid_t id, struct timespec *t) {
  const long r = syscall(SYS_clock_gettime, id, t);
  if (r != 0 || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return (int)r;
  const int64_t ns = t->tv_sec * INT64_C(1000000000) + t->tv_nsec + control->wall_offset_ns;
  t->tv_sec = ns / 1000000000;
  t->tv_nsec = ns % 1000000000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (out != NULL) *out = t.tv_sec;
  return t.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  (void)zone;
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  out->tv_sec = t.tv_sec;
  out->tv_usec = t.tv_nsec / 1000;
  return 0;
}

/* -- sockets: the kernel has no memory, no buffers or no descriptors for one -- */

int socket(int domain, int type, int protocol) {
  if (control->socket_errno == 0) return (int)syscall(SYS_socket, domain, type, protocol);
  __atomic_add_fetch(&control->sockets_failed, 1, __ATOMIC_RELAXED);
  errno = (int)control->socket_errno;
  return -1;
}

/* -- syncs -- */

static int fail_sync(int fd) {
  if (control->sync_errno == 0 || !concerns(fd)) return 0;
  __atomic_add_fetch(&control->syncs_failed, 1, __ATOMIC_RELAXED);
  errno = (int)control->sync_errno;
  return 1;
}

int fsync(int fd) { return fail_sync(fd) ? -1 : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return fail_sync(fd) ? -1 : (int)syscall(SYS_fdatasync, fd); }

/* -- writes -- */

static __thread int half_taken;

/* How many of `size` bytes may be written; -1: none, errno is set. */
static ssize_t allowed(int fd, size_t size) {
  if (control->write_errno == 0 || !concerns(fd)) return (ssize_t)size;
  if (size > 1 && !half_taken && control->write_errno == ENOSPC) {
    half_taken = 1;
    return (ssize_t)(size / 2);
  }
  half_taken = 0;
  __atomic_add_fetch(&control->writes_failed, 1, __ATOMIC_RELAXED);
  errno = (int)control->write_errno;
  return -1;
}

ssize_t write(int fd, const void *from, size_t size) {
  const ssize_t n = allowed(fd, size);
  return n < 0 ? -1 : syscall(SYS_write, fd, from, (size_t)n);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
  const ssize_t n = allowed(fd, size);
  return n < 0 ? -1 : syscall(SYS_pwrite64, fd, from, (size_t)n, at);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
  return pwrite64(fd, from, size, at);
}

/* A full disk cannot grow a file by other ways either. */
static int grows(int fd) {
  if (control->write_errno == 0 || !concerns(fd)) return 0;
  __atomic_add_fetch(&control->writes_failed, 1, __ATOMIC_RELAXED);
  return (int)control->write_errno;
}

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  const int error = grows(fd);
  if (error == 0) return (int)syscall(SYS_fallocate, fd, mode, at, size);
  errno = error;
  return -1;
}

int fallocate(int fd, int mode, off_t at, off_t size) { return fallocate64(fd, mode, at, size); }
