/* contrast.h - what the files of bench/contrast share.
 *
 * The tool runs the same work in several modes and shows arithmetic, measurement and picture beside each
 * other. Its nouns:
 *
 *     work    what is done: io (requests), cpu (computing), mixed (a request, then computing), ping, stall
 *     mode    how it is run: one blocking thread, one worker, all workers, with an offload pool
 *     cell    one work in one mode; measured once per round
 *     round   every cell once, in an order that turns, so that drift of the machine hits all alike
 *     run     one measurement of one cell, with the notes its tasks took
 *     plan    the sizes of everything, and with them the ideal time of each cell
 *
 * All times are nanoseconds of CLOCK_MONOTONIC in int64_t, unless a name says ms. Helper processes (the
 * peer, the pinger) share that clock, so their stamps can be compared with ours. */
#ifndef CONTRAST_H
#define CONTRAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CT_MSEC INT64_C(1000000)
#define CT_SEC  INT64_C(1000000000)

#define CT_ROUNDS_MAX  64
#define CT_TASKS_MAX   512
#define CT_LANES_MAX   512
#define CT_SPANS_MAX   16 /* notes of one task: spawn, two per request, three to compute */
#define CT_WORKERS_MAX 256

enum ct_work {
    CT_IO,
    CT_CPU,
    CT_MIXED,
    CT_WORKS
};

enum ct_mode {
    CT_SEQ,
    CT_CONC,
    CT_PAR,
    CT_OFFLOAD,
    CT_PAR_OFFLOAD,
    CT_LIMIT, /* plain threads and no runtime, cpu only: what the machine has to give */
    CT_MODES
};

enum ct_ping {
    CT_PING_IDLE,
    CT_PING_INLINE,
    CT_PING_PAR,
    CT_PING_OFFLOAD,
    CT_PING_PAR_OFFLOAD,
    CT_PINGS
};

/* The modes of a server in which some requests compute. */
enum ct_stall {
    CT_STALL_SEQ,
    CT_STALL_CONC,
    CT_STALL_PAR,
    CT_STALL_OFFLOAD,
    CT_STALLS
};

/* What a task was doing between two moments. */
enum ct_kind {
    CT_READY,   /* it could go on, but nobody ran it */
    CT_WAIT,    /* the peer had not answered yet */
    CT_COMPUTE
};

struct ct_span {
    int64_t from, to;
    enum ct_kind kind;
    int lane; /* the thread that computed: a worker's number; below zero a pool thread's id, negated */
};

/* The message of io, mixed, ping and stall; the same bytes both ways. */
struct ct_message {
    uint32_t id;
    uint32_t delay_us;   /* how long the peer shall wait before it answers; stall: not 0 asks for a job's computing */
    int64_t answered_ns; /* written by the peer as it answers */
};

struct ct_style;

/* One task of one run: what it has to do, and what it noted while it did. Preallocated, so that noting
 * costs two clock readings. Written by the task, and by its pool thread while the task waits for it. */
struct ct_task {
    const struct ct_style *style;
    int fd;              /* its connection to the peer */
    uint32_t id;
    uint32_t delay_us;
    unsigned requests;
    uint64_t turns;      /* of the compute loop; 0: nothing to compute */
    uint64_t sink;       /* the loop's result, so that it cannot be optimised away */
    int64_t spawned_ns;
    int64_t asked_ns;    /* when it asked for the pool */
    unsigned span_count;
    struct ct_span spans[CT_SPANS_MAX];
};

struct ct_run {
    int64_t began_ns, wall_ns;
    int64_t cpu_ns;      /* of this process, all threads */
    long switches;       /* context switches of this process */
    unsigned task_count;
    struct ct_task *tasks;
};

struct ct_cell {
    unsigned count;
    struct ct_run runs[CT_ROUNDS_MAX];
};

/* One ping run: latency of every answered ping from its intended send time, in order of sending. */
struct ct_ping_run {
    unsigned sent, lost;
    int64_t late_p99_ns; /* how late the generator itself was, 99th percentile */
    int64_t *latency_ns; /* sent - lost of them, sorted */
};

struct ct_ping_cell {
    unsigned count;
    struct ct_ping_run runs[CT_ROUNDS_MAX];
};

struct ct_plan {
    const char *size;    /* quick, check, full */
    unsigned cores;      /* this process may use, by affinity and quota */
    unsigned workers;    /* of par; also the threads of the pool */
    unsigned tasks;
    unsigned rounds;
    unsigned extra_rounds; /* of cpu, at most, until its ratios are known well enough */
    unsigned requests[CT_WORKS];
    bool computes[CT_WORKS];
    int64_t wait_ns;     /* the peer's delay */
    int64_t compute_ns;  /* of one task, on an undisturbed core */
    uint64_t compute_turns;
    double turn_ns;      /* one turn of the compute loop, as calibrated */
    unsigned ping_rate;  /* per second */
    unsigned ping_count; /* per run */
    unsigned ping_conns;
    unsigned stall_count; /* of pings per run while some requests compute */
    int64_t job_ns;      /* one CPU job beside the pings */
    int64_t job_every_ns;
    uint64_t job_turns;
};

struct ct_machine {
    char cpu[128];
    char kernel[128];
    char os[128];
    char affinity[256];
    char quota[64];
    char governor[64];
    char compiler[160];
    char flags[512];
    char ring[32];
    char weft[32];
    char when[40];
    unsigned online;
    int nice;          /* the priority all this ran at: 0 unless somebody chose another */
    double other_load; /* cores that other programs kept busy during the measurement, on average */
    double steal;      /* cores that the hypervisor took */
};

struct ct_results {
    struct ct_plan plan;
    struct ct_machine machine;
    struct ct_cell cells[CT_WORKS][CT_MODES];
    struct ct_ping_cell pings[CT_PINGS];
    struct ct_ping_cell stalls[CT_STALLS];
    double seconds; /* the whole run */
};

/* A helper process and our end of the line to it. */
struct ct_child {
    int pid;
    int line;
};

/* plan.c */
extern const char *const ct_work_names[CT_WORKS];
extern const char *const ct_mode_names[CT_MODES];
extern const char *const ct_ping_names[CT_PINGS];
extern const char *const ct_stall_names[CT_STALLS];
void ct_plan_quick(struct ct_plan *p, unsigned cores, unsigned workers);
void ct_plan_check(struct ct_plan *p, unsigned cores, unsigned workers);
void ct_plan_full(struct ct_plan *p, unsigned cores, unsigned workers);
void ct_plan_calibrated(struct ct_plan *p, double turn_ns);
bool ct_plan_has(enum ct_work w, enum ct_mode m);
unsigned ct_plan_degree(const struct ct_plan *p, enum ct_mode m);
int64_t ct_plan_ideal(const struct ct_plan *p, enum ct_work w, enum ct_mode m);
int64_t ct_plan_ping_ideal(const struct ct_plan *p, enum ct_ping mode, double percentile);
int64_t ct_plan_stall_ideal(const struct ct_plan *p, enum ct_stall mode, double percentile);

/* base.c */
int64_t ct_now(void);
void ct_die(const char *what, int err) __attribute__((noreturn));
int ct_read_full(int fd, void *buf, size_t n);
int ct_write_all(int fd, const void *buf, size_t n);
void ct_child_start(struct ct_child *c, void (*body)(int line));
void ct_child_stop(struct ct_child *c);

/* stats.c */
struct ct_spread {
    double median, min, max;
};
struct ct_spread ct_spread_of(const double *values, unsigned n);
double ct_median_doubt(const double *values, unsigned n);
double ct_ms(int64_t ns);
struct ct_spread ct_cell_wall(const struct ct_cell *c);
struct ct_spread ct_cell_cpu(const struct ct_cell *c);
struct ct_spread ct_cell_switches(const struct ct_cell *c);
unsigned ct_cell_ratios(const struct ct_cell *above, const struct ct_cell *below, double *ret);
struct ct_spread ct_cell_ratio(const struct ct_cell *above, const struct ct_cell *below);
const struct ct_run *ct_cell_typical(const struct ct_cell *c);
int64_t ct_percentile(const int64_t *sorted, unsigned n, double percentile);
struct ct_spread ct_ping_percentile(const struct ct_ping_cell *c, double percentile);
struct ct_spread ct_ping_ratio(const struct ct_ping_cell *above, const struct ct_ping_cell *below,
                               double percentile);
int64_t *ct_ping_merged(const struct ct_ping_cell *c, unsigned *count);

/* peer.c, pinger.c: bodies of the helper processes */
void ct_peer_body(int line);
int ct_peer_port(struct ct_child *peer);
void ct_pinger_body(int line);
int ct_pinger_start(struct ct_child *pinger, int port, const struct ct_plan *p, bool asks_for_jobs);
int ct_pinger_result(struct ct_child *pinger, struct ct_ping_run *ret);

/* workload.c */
uint64_t ct_burn(uint64_t seed, uint64_t turns);
double ct_calibrate(void);
int ct_task_run(void *task);
extern const struct ct_style ct_style_plain, ct_style_inline, ct_style_offload;
void ct_style_compute(const struct ct_style *style, struct ct_task *t);

/* modes.c, ping.c, stall.c: one run */
int ct_connect(int port, int *fds, unsigned n);
int ct_run_cell(const struct ct_plan *p, enum ct_work w, enum ct_mode m, const int *fds, struct ct_run *ret);
int ct_run_ping(const struct ct_plan *p, enum ct_ping mode, struct ct_child *pinger, struct ct_ping_run *ret);
int ct_run_stall(const struct ct_plan *p, enum ct_stall mode, struct ct_child *pinger, struct ct_ping_run *ret);
unsigned ct_default_workers(void);

/* machine.c */
void ct_machine_read(struct ct_machine *m);
void ct_machine_watch_begin(void);
void ct_machine_watch_end(struct ct_machine *m);

/* table.c, json.c, check.c, picture.c */
void ct_table(FILE *out, const struct ct_results *r);
void ct_json(FILE *out, const struct ct_results *r);
void ct_picture(FILE *out, const struct ct_results *r);
bool ct_check_is_steady(const struct ct_results *r);
int ct_check(FILE *out, const struct ct_results *r);

#endif
