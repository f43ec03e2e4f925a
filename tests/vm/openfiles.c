/* Tells Java that it may open 65536 files, whatever its true limit is: for software that refuses to start below that
 * number, on a machine that may not raise it. The true limit stays, and everybody else sees it: systemd would try to set
 * what it is told. Loaded by /etc/ld.so.preload. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_java(void) {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  return n >= 5 && memcmp(path + n - 5, "/java", 5) == 0;
}

int getrlimit64(__rlimit_resource_t what, struct rlimit64 *told) {
  int r = (int)syscall(SYS_prlimit64, 0, what, 0, told);
  if (r == 0 && what == RLIMIT_NOFILE && is_java()) told->rlim_cur = told->rlim_max = 65536;
  return r;
}

int getrlimit(__rlimit_resource_t what, struct rlimit *told) { return getrlimit64(what, (struct rlimit64 *)told); }
