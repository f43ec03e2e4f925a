/* Moves the wall clock that a program sees by the seconds in /etc/clock-shift; the file is read at each call, so that
 * the clock can jump while the program runs. As when somebody sets the clock, only the wall clock moves: the monotonic
 * one, sleeps and timeouts do not. Loaded by /etc/ld.so.preload. Calls nothing newer than glibc 2.17. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
  char text[24];
  long n = 0, i, got = 0, sign = 1;
  int kept = errno, f;
  if (getpid() == 1) return 0;
  if ((f = open("/etc/clock-shift", O_RDONLY | O_CLOEXEC)) >= 0) {
    got = read(f, text, sizeof text);
    close(f);
  }
  for (i = 0; i < got; i++) {
    if (text[i] == '-') sign = -1;
    if (text[i] >= '0' && text[i] <= '9') n = n * 10 + text[i] - '0';
  }
  errno = kept;
  return sign * n;
}

static int wall(clockid_t c) { return c == CLOCK_REALTIME || c == CLOCK_REALTIME_COARSE || c == CLOCK_TAI; }

int clock_gettime(clockid_t c, struct timespec *t) {
  int r = (int)syscall(SYS_clock_gettime, c, t);
  if (r == 0 && wall(c)) t->tv_sec += shift();
  return r;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
  int r = (int)syscall(SYS_gettimeofday, t, zone);
  if (r == 0) t->tv_sec += shift();
  return r;
}

time_t time(time_t *out) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (out) *out = t.tv_sec;
  return t.tv_sec;
}

int timespec_get(struct timespec *t, int base) {
  return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0;
}

int clock_nanosleep(clockid_t c, int flags, const struct timespec *want, struct timespec *left) {
  struct timespec t = *want;
  if ((flags & TIMER_ABSTIME) && wall(c)) t.tv_sec -= shift();
  return syscall(SYS_clock_nanosleep, c, flags, &t, left) == 0 ? 0 : errno;
}
