// dial NETNS ADDRESS PORT: connects inside a network namespace and hands the socket to ssh (ProxyUseFdpass).
// So ssh and whoever started it may stay outside, and no relay stands between ssh and the host.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_MS = 10000 };

static int fail(const char *address, const char *port, int why) {
  fprintf(stderr, "dial: connect to host %s port %s: %s\n", address, port, strerror(why));
  return 1;
}

// Connects within LIMIT_MS; returns 0 or an errno.
static int reach(int wire, const char *address, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) return EINVAL;
  fcntl(wire, F_SETFL, O_NONBLOCK);
  if (connect(wire, (struct sockaddr *)&to, sizeof to) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  struct pollfd wait = {.fd = wire, .events = POLLOUT};
  if (poll(&wait, 1, LIMIT_MS) == 0) return ETIMEDOUT;
  int why = 0;
  socklen_t size = sizeof why;
  getsockopt(wire, SOL_SOCKET, SO_ERROR, &why, &size);
  return why;
}

// Sends the descriptor as ssh expects it: one byte with the descriptor beside it.
static int hand_over(int wire) {
  char byte = 0, room[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &wire, sizeof wire);
  return sendmsg(STDOUT_FILENO, &message, 0) == 1 ? 0 : 1;
}

int main(int count, char **words) {
  if (count != 4) return 2;
  int space = open(words[1], O_RDONLY);
  if (space < 0 || setns(space, CLONE_NEWNET) < 0) return fail(words[2], words[3], errno);
  int wire = socket(AF_INET, SOCK_STREAM, 0);
  int why = reach(wire, words[2], words[3]);
  if (why) return fail(words[2], words[3], why);
  fcntl(wire, F_SETFL, 0);
  return hand_over(wire);
}
