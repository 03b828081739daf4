/* A load generator for any Gearman job server: one process, one epoll, no library.

   It is C so that it costs little beside what is measured, and it trusts nobody: each workload begins with a stamp, the
   number of its client connection and of its job, by which it finds jobs that are lost, that come twice, that come in
   another order than they were submitted in, and results that belong to another job.

   usage: generator MODE HOST PORT [key=value ...]

   run      clients keep `depth` foreground jobs each in flight; workers, if any, answer with the workload
   spread   the same with background jobs
   enqueue  background jobs, nobody works
   drain    nobody submits; ends after `jobs` jobs
   serve    workers only, until it is killed; jobs need no stamp

   One line of JSON goes to standard output.  Exit status: 0, or 1 where something was wrong with a job, or 2. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum packet_type {
    CAN_DO = 1, PRE_SLEEP = 4, NOOP = 6, SUBMIT_JOB = 7, JOB_CREATED = 8, NO_JOB = 10, JOB_ASSIGN = 11,
    WORK_COMPLETE = 13, WORK_FAIL = 14, ECHO_REQ = 16, ECHO_RES = 17, SUBMIT_JOB_BG = 18, ERROR = 19,
    WORK_EXCEPTION = 25, GRAB_JOB_UNIQ = 30, JOB_ASSIGN_UNIQ = 31,
};
enum mode { RUN, SPREAD, ENQUEUE, DRAIN, SERVE, MODES };
enum role { CLIENT, WORKER, SLEEPER, IDLER };
enum fate { UNKNOWN = 0, ASSIGNED = 1, COMPLETED = 2 };

#define HEADER 12
#define STAMP 16
#define NOBODY UINT64_MAX

static const char *const mode_names[MODES] = {"run", "spread", "enqueue", "drain", "serve"};

/* ---- options ---- */

static struct {
    const char *function;
    long jobs, clients, depth, workers, size, unique, sleepers, idlers, pid, stall;
} option = {"benchmark", 100000, 1, 100, 1, 32, 0, 0, 0, 0, 60};

static enum mode mode;

/* ---- state ---- */

struct buffer { char *bytes; size_t used, room; };

struct connection {
    int fd, echoed;
    enum role role;
    uint32_t number;                  /* among those of its role */
    int blocked;                      /* epoll watches it for writing */
    long in_flight;
    struct buffer in, out;
    size_t sent;                      /* of `out` */
    uint64_t *unanswered;             /* ring: jobs without JOB_CREATED, in order */
    uint64_t asked, answered;
    uint64_t *last;                   /* of a worker, by client: the last job that came */
};

static int poller;
static char *filler;
static uint64_t *begun_at, *handle_of, *latency;   /* by job; the hash of its handle */
static uint8_t *fate;
static long submitted, created, assigned, completed, measured, echoes;
static long lost, doubled, disordered, wrong, failed, noops, empty_grabs;

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

static void complain(long *count, const char *format, ...) {
    if (++*count > 3) return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) die("out of memory");
    return memory;
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* FNV-1a: a handle takes eight bytes instead of sixty-four. */
static uint64_t hash(const char *bytes, size_t length) {
    uint64_t value = 14695981039346656037u;
    while (length--) value = (value ^ (uint8_t)*bytes++) * 1099511628211u;
    return value;
}

/* ---- sending ---- */

static void reserve(struct buffer *buffer, size_t more) {
    if (buffer->used + more <= buffer->room) return;
    buffer->room = 2 * (buffer->used + more);
    buffer->bytes = realloc(buffer->bytes, buffer->room);
    if (!buffer->bytes) die("out of memory");
}

static void append(struct buffer *buffer, const void *bytes, size_t length) {
    reserve(buffer, length);
    memcpy(buffer->bytes + buffer->used, bytes, length);
    buffer->used += length;
}

static void begin_packet(struct connection *to, enum packet_type type, size_t length) {
    uint32_t words[3] = {htonl(0x00524551), htonl(type), htonl((uint32_t)length)};
    append(&to->out, words, HEADER);
}

static void packet(struct connection *to, enum packet_type type) { begin_packet(to, type, 0); }

static void watch(struct connection *which, int operation) {
    struct epoll_event event = {EPOLLIN | (which->blocked ? (uint32_t)EPOLLOUT : 0), {.ptr = which}};
    if (epoll_ctl(poller, operation, which->fd, &event)) die("epoll: %s", strerror(errno));
}

static void flush(struct connection *to) {
    while (to->sent < to->out.used) {
        ssize_t count = send(to->fd, to->out.bytes + to->sent, to->out.used - to->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0) {
            if (errno != EAGAIN) die("send: %s", strerror(errno));
            if (!to->blocked) { to->blocked = 1; watch(to, EPOLL_CTL_MOD); }
            return;
        }
        to->sent += (size_t)count;
    }
    to->sent = to->out.used = 0;
    if (to->blocked) { to->blocked = 0; watch(to, EPOLL_CTL_MOD); }
}

static void submit(struct connection *client) {
    uint64_t job = (uint64_t)submitted++;
    char unique[32];
    size_t unique_length = option.unique ? (size_t)sprintf(unique, "u%llu", (unsigned long long)job) : 0;
    size_t name = strlen(option.function) + 1;
    uint64_t stamp[2] = {client->number, job};
    unique[unique_length] = 0;
    begin_packet(client, mode == RUN ? SUBMIT_JOB : SUBMIT_JOB_BG, name + unique_length + 1 + (size_t)option.size);
    append(&client->out, option.function, name);
    append(&client->out, unique, unique_length + 1);
    append(&client->out, stamp, STAMP);
    append(&client->out, filler, (size_t)option.size - STAMP);
    client->unanswered[client->asked++ % (uint64_t)option.depth] = job;
    client->in_flight++;
    begun_at[job] = now_ns();
}

static void fill(struct connection *client) {
    while (client->in_flight < option.depth && submitted < option.jobs) submit(client);
}

/* ---- receiving ---- */

/* Give the job that a workload or result belongs to, or NOBODY where it is none of ours. */
static uint64_t job_of(const char *workload, size_t length, uint64_t *client) {
    uint64_t stamp[2];
    if (length != (size_t)option.size) { complain(&wrong, "%zu bytes came instead of %ld", length, option.size); return NOBODY; }
    memcpy(stamp, workload, STAMP);
    if (stamp[1] >= (uint64_t)option.jobs || stamp[0] >= (uint64_t)option.clients
        || memcmp(workload + STAMP, filler, length - STAMP)) {
        complain(&wrong, "a workload came that was never sent");
        return NOBODY;
    }
    *client = stamp[0];
    return stamp[1];
}

static void finish(struct connection *client, uint64_t job) {
    latency[measured++] = now_ns() - begun_at[job];
    client->in_flight--;
}

static void on_created(struct connection *client, const char *handle, size_t length) {
    if (client->answered == client->asked) die("JOB_CREATED came without a submission");
    uint64_t job = client->unanswered[client->answered++ % (uint64_t)option.depth];
    created++;
    handle_of[job] = hash(handle, length);
    if (mode != RUN) finish(client, job);
}

static void on_completed(struct connection *client, const char *handle, size_t handle_length, const char *result, size_t length) {
    uint64_t owner = 0, job = job_of(result, length, &owner);
    if (job == NOBODY) { client->in_flight--; completed++; return; }
    if (owner != client->number || handle_of[job] != hash(handle, handle_length))
        complain(&wrong, "job %llu: the result of another job came", (unsigned long long)job);
    if (fate[job] & COMPLETED) { complain(&doubled, "job %llu ended twice", (unsigned long long)job); return; }
    fate[job] |= COMPLETED;
    completed++;
    finish(client, job);
}

static void on_assigned(struct connection *worker, const char *handle, size_t handle_length, const char *workload, size_t length) {
    /* The worker had asked for one more, which stays with the server. */
    if (mode == DRAIN && assigned >= option.jobs) return;
    assigned++;
    if (mode != SERVE) {
        uint64_t client = 0, job = job_of(workload, length, &client);
        if (job != NOBODY) {
            if (fate[job] & ASSIGNED) complain(&doubled, "job %llu was assigned twice", (unsigned long long)job);
            fate[job] |= ASSIGNED;
            /* Submitted one after the other, taken out of the queue in order, told to one worker in that order. */
            if (worker->last[client] > job + 1)
                complain(&disordered, "job %llu came after job %llu", (unsigned long long)job, (unsigned long long)worker->last[client] - 1);
            worker->last[client] = job + 1;
        }
    }
    begin_packet(worker, WORK_COMPLETE, handle_length + 1 + length);
    append(&worker->out, handle, handle_length + 1);
    append(&worker->out, workload, length);
    packet(worker, GRAB_JOB_UNIQ);
}

static void on_packet(struct connection *from, uint32_t type, char *body, size_t length) {
    size_t first = strnlen(body, length);
    switch (type) {
    case JOB_CREATED: on_created(from, body, first); return;
    case WORK_COMPLETE:
        if (first == length) die("WORK_COMPLETE came without a result");
        on_completed(from, body, first, body + first + 1, length - first - 1);
        return;
    case WORK_FAIL: case WORK_EXCEPTION: complain(&failed, "a job failed"); from->in_flight--; return;
    case ERROR: complain(&failed, "ERROR %s", body); from->in_flight--; return;
    case NOOP: noops++; packet(from, GRAB_JOB_UNIQ); return;
    case NO_JOB: empty_grabs++; packet(from, PRE_SLEEP); return;
    case ECHO_RES: from->echoed = 1; echoes++; return;
    case JOB_ASSIGN: case JOB_ASSIGN_UNIQ: {
        char *workload = body + first + 1;
        for (int fields = type == JOB_ASSIGN ? 1 : 2; fields; fields--) workload += strlen(workload) + 1;
        on_assigned(from, body, first, workload, (size_t)(body + length - workload));
        return; }
    default: die("a packet of type %u came", type);
    }
}

static void receive(struct connection *from) {
    for (;;) {
        reserve(&from->in, 262144);
        ssize_t count = recv(from->fd, from->in.bytes + from->in.used, from->in.room - from->in.used - 1, MSG_DONTWAIT);
        if (count == 0) die("the server closed a connection");
        if (count < 0) { if (errno == EAGAIN) return; die("recv: %s", strerror(errno)); }
        from->in.used += (size_t)count;
        size_t position = 0;
        while (from->in.used - position >= HEADER) {
            uint32_t words[3];
            memcpy(words, from->in.bytes + position, HEADER);
            size_t length = ntohl(words[2]);
            if (from->in.used - position < HEADER + length) { reserve(&from->in, HEADER + length); break; }
            /* Whatever is read as a string ends here, at the latest. */
            char *end = from->in.bytes + position + HEADER + length, kept = *end;
            *end = 0;
            on_packet(from, ntohl(words[1]), from->in.bytes + position + HEADER, length);
            *end = kept;
            position += HEADER + length;
        }
        memmove(from->in.bytes, from->in.bytes + position, from->in.used - position);
        from->in.used -= position;
        if (count < 65536) return;
    }
}

/* ---- phases ---- */

static struct connection *all;
static long connections;

static void open_connection(const char *host, int port, enum role role, long number) {
    struct connection *new = &all[connections++];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) die("expected an IPv4 address, got %s", host);
    new->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (new->fd < 0) die("socket: %s", strerror(errno));
    if (connect(new->fd, (struct sockaddr *)&address, sizeof address)) die("connect: %s", strerror(errno));
    setsockopt(new->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    new->role = role;
    new->number = (uint32_t)number;
    new->unanswered = allocate(role == CLIENT ? (size_t)option.depth : 0, sizeof *new->unanswered);
    new->last = allocate(role == CLIENT || role == IDLER ? 0 : (size_t)option.clients, sizeof *new->last);
    watch(new, EPOLL_CTL_ADD);
    if (role == WORKER || role == SLEEPER) {
        begin_packet(new, CAN_DO, strlen(option.function));
        append(&new->out, option.function, strlen(option.function));
        /* Where jobs are queued already, asking for one begins the measurement. */
        if (role == SLEEPER || mode == RUN || mode == SPREAD) packet(new, PRE_SLEEP);
    }
    packet(new, ECHO_REQ);
    flush(new);
}

static void turn(void) {
    struct epoll_event events[256];
    int count = epoll_wait(poller, events, 256, mode == SERVE ? -1 : (int)(1000 * option.stall));
    if (count < 0 && errno != EINTR) die("epoll: %s", strerror(errno));
    if (count == 0)
        die("nothing came for %ld s: %ld submitted, %ld created, %ld assigned, %ld completed", option.stall, submitted,
            created, assigned, completed);
    for (int index = 0; index < count; index++) {
        struct connection *ready = events[index].data.ptr;
        if (events[index].events & ~(uint32_t)EPOLLOUT) receive(ready);
        if (ready->role == CLIENT && echoes >= connections) fill(ready);
        flush(ready);
    }
}

/* Every server works through a connection in order: the answer to an echo proves that all before it was taken. */
static void wait_for_echoes(void) {
    while (echoes < connections) turn();
}

static int done(void) {
    switch (mode) {
    case RUN: return completed + failed >= option.jobs;
    case SPREAD: return assigned >= option.jobs && created >= option.jobs;
    case ENQUEUE: return created + failed >= option.jobs;
    case DRAIN: return assigned >= option.jobs;
    default: return 0;
    }
}

static void count_lost(void) {
    uint8_t expected = mode == RUN ? COMPLETED : mode == ENQUEUE ? 0 : ASSIGNED;
    if (!expected) { lost = option.jobs - created; return; }
    for (long job = 0; job < option.jobs; job++)
        if (!(fate[job] & expected)) complain(&lost, "job %ld was lost", job);
}

/* ---- the server's process ---- */

static double cpu_us(void) {
    char path[64], line[1024];
    unsigned long user, system;
    snprintf(path, sizeof path, "/proc/%ld/stat", option.pid);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file)) die("cannot read %s", path);
    fclose(file);
    /* The name of the process, in brackets, may hold anything. */
    char *rest = strrchr(line, ')');
    if (!rest || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        die("cannot read %s", path);
    return 1e6 * (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static long resident_kib(void) {
    char path[64];
    long total, resident;
    snprintf(path, sizeof path, "/proc/%ld/statm", option.pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%ld %ld", &total, &resident) != 2) die("cannot read %s", path);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- the whole ---- */

static int ascending(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static double percentile(double share) {
    return measured ? (double)latency[(long)(share * (double)(measured - 1))] / 1e3 : 0.0;
}

static void read_option(char *text) {
    struct { const char *name; long *value; } numbers[] = {
        {"jobs", &option.jobs}, {"clients", &option.clients}, {"depth", &option.depth}, {"workers", &option.workers},
        {"size", &option.size}, {"unique", &option.unique}, {"sleepers", &option.sleepers}, {"idlers", &option.idlers},
        {"pid", &option.pid}, {"stall", &option.stall}};
    char *value = strchr(text, '=');
    if (!value) die("expected key=value, got %s", text);
    *value++ = 0;
    if (!strcmp(text, "function")) { option.function = value; return; }
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        if (strcmp(text, numbers[index].name)) continue;
        char *end;
        *numbers[index].value = strtol(value, &end, 10);
        if (*end || end == value || *numbers[index].value < 0) die("%s: expected a number, got %s", text, value);
        return;
    }
    die("unknown option %s", text);
}

static void print_report(double seconds, double cpu) {
    long done_jobs = mode == RUN ? completed : mode == ENQUEUE ? created : assigned;
    qsort(latency, (size_t)measured, sizeof *latency, ascending);
    printf("{\"jobs\": %ld, \"seconds\": %.6f, \"jobs_per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, "
           "\"lost\": %ld, \"doubled\": %ld, \"disordered\": %ld, \"wrong\": %ld, \"failed\": %ld, \"noops\": %ld, \"empty_grabs\": %ld",
           done_jobs, seconds, (double)done_jobs / seconds, percentile(0.5), percentile(0.99), percentile(1.0), lost, doubled,
           disordered, wrong, failed, noops, empty_grabs);
    if (option.pid)
        printf(", \"cpu_us_per_job\": %.3f, \"resident_kib\": %ld", cpu / (double)(done_jobs ? done_jobs : 1), resident_kib());
    printf("}\n");
}

static void prepare(int count, char **arguments) {
    if (count < 4) die("usage: generator run|spread|enqueue|drain|serve HOST PORT [key=value ...]");
    for (mode = RUN; mode < MODES && strcmp(arguments[1], mode_names[mode]); mode++) {}
    if (mode == MODES) die("unknown mode %s", arguments[1]);
    for (int index = 4; index < count; index++) read_option(arguments[index]);
    if (option.size < STAMP) die("size: expected at least %d, got %ld", STAMP, option.size);
    if (option.clients < 1 || option.depth < 1) die("clients and depth: expected at least 1");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (mode == SERVE) option.jobs = 0;
    filler = allocate((size_t)option.size, 1);
    memset(filler, 'x', (size_t)option.size);
    size_t jobs = (size_t)option.jobs;
    begun_at = allocate(jobs, sizeof *begun_at);
    handle_of = allocate(jobs, sizeof *handle_of);
    latency = allocate(jobs, sizeof *latency);
    fate = allocate(jobs, sizeof *fate);
}

int main(int count, char **arguments) {
    prepare(count, arguments);
    const char *host = arguments[2];
    int port = atoi(arguments[3]);
    long workers = mode == ENQUEUE ? 0 : option.workers, clients = mode == DRAIN || mode == SERVE ? 0 : option.clients;
    all = allocate((size_t)(option.idlers + option.sleepers + workers + clients), sizeof *all);
    poller = epoll_create1(0);
    for (long number = 0; number < option.idlers; number++) open_connection(host, port, IDLER, number);
    for (long number = 0; number < option.sleepers; number++) open_connection(host, port, SLEEPER, number);
    for (long number = 0; number < workers; number++) open_connection(host, port, WORKER, number);
    for (long number = 0; number < clients; number++) open_connection(host, port, CLIENT, number);
    wait_for_echoes();

    double cpu = option.pid ? cpu_us() : 0.0;
    uint64_t begun = now_ns();
    for (long index = 0; index < connections; index++) {
        struct connection *each = &all[index];
        if (each->role == CLIENT) fill(each);
        if (each->role == WORKER && (mode == DRAIN || mode == SERVE)) packet(each, GRAB_JOB_UNIQ);
        flush(each);
    }
    while (!done()) turn();
    double seconds = (double)(now_ns() - begun) / 1e9;
    if (option.pid) cpu = cpu_us() - cpu;

    /* The last results must have been taken before the connections close, or the server would give the jobs back. */
    echoes = 0;
    for (long index = 0; index < connections; index++) { packet(&all[index], ECHO_REQ); flush(&all[index]); }
    wait_for_echoes();
    count_lost();
    print_report(seconds, cpu);
    return lost || doubled || disordered || wrong || failed ? 1 : 0;
}
