/* Tells a program that it may open 65536 files, whatever its true limit is: for software that refuses to start below
 * that number, on a machine that may not raise it. Loaded by /etc/ld.so.preload. The true limit stays. */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int getrlimit64(__rlimit_resource_t what, struct rlimit64 *told) {
  int r = (int)syscall(SYS_prlimit64, 0, what, 0, told);
  if (r == 0 && what == RLIMIT_NOFILE && getpid() != 1) told->rlim_cur = told->rlim_max = 65536;
  return r;
}

int getrlimit(__rlimit_resource_t what, struct rlimit *told) { return getrlimit64(what, (struct rlimit64 *)told); }
