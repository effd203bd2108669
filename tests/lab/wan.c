// wan RTT_MS [LOSS_PERCENT]: two TAP devices, wan0 and wan1, with a delay and a loss between them, until killed.
// For kernels without sch_netem. Runs in the controller's network namespace.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 32768, BURST = 64 };
static const long long SECOND = 1000000000LL;

struct frame {
  long long due;
  int size;
  char *bytes;
};

// Frames that came in at one device, in the order in which they leave at the other.
struct lane {
  struct frame frames[SLOTS];
  unsigned first, next;
};
static struct lane lanes[2];

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static int open_tap(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (tap < 0 || ioctl(tap, TUNSETIFF, &request) < 0) {
    perror(name);
    exit(1);
  }
  return tap;
}

// Sends what is due and returns how long the next frame has to wait.
static long long send_due(struct lane *lane, int to, long long at) {
  while (lane->first != lane->next) {
    struct frame *frame = &lane->frames[lane->first % SLOTS];
    if (frame->due > at) return frame->due - at;
    if (write(to, frame->bytes, frame->size) < 0) perror("wan: write");
    free(frame->bytes);
    lane->first++;
  }
  return SECOND;
}

static void take_in(struct lane *lane, int from, long long delay, double loss) {
  char bytes[65536];
  for (int taken = 0; taken < BURST; taken++) {
    int size = read(from, bytes, sizeof bytes);
    if (size <= 0) return;
    if (lane->next - lane->first >= SLOTS || drand48() < loss) continue;
    struct frame *frame = &lane->frames[lane->next++ % SLOTS];
    *frame = (struct frame){now() + delay, size, malloc(size)};
    memcpy(frame->bytes, bytes, size);
  }
}

int main(int count, char **words) {
  long long delay = atof(count > 1 ? words[1] : "20") * 1e6 / 2;
  double loss = count > 2 ? atof(words[2]) / 100 : 0;
  struct pollfd taps[2] = {{open_tap("wan0"), POLLIN, 0}, {open_tap("wan1"), POLLIN, 0}};
  srand48(7);
  for (;;) {
    long long at = now(), pause = SECOND;
    for (int side = 0; side < 2; side++) {
      long long wait = send_due(&lanes[side], taps[!side].fd, at);
      if (wait < pause) pause = wait;
    }
    struct timespec rest = {pause / SECOND, pause % SECOND};
    if (ppoll(taps, 2, &rest, 0) <= 0) continue;
    for (int side = 0; side < 2; side++)
      if (taps[side].revents & POLLIN) take_in(&lanes[side], taps[side].fd, delay, loss);
  }
}
