/* http.c - a small HTTP/1.1 server: GET and HEAD, keep-alive, pipelining.
 *
 *     http [ENDPOINT]    default 127.0.0.1:8080, port 0 means any free port; until SIGINT or SIGTERM
 *
 *     /        a line of text, at once
 *     /wait    after a tenth of a second of waiting, as for a database
 *     /work    after some computing, which is offloaded
 *     /late    never in time: 503
 *
 * One task per connection reads its requests one after the other. There is no state machine of events: where a
 * connection is, is where its task is. The parser takes lines as they become complete, and looks at each byte once.
 *
 * Whatever a peer decides has a limit, and every wait has a deadline that some scope carries:
 *
 *     connections             CONNECTIONS_MAX   the others wait in the kernel's backlog
 *     size of a request head  HEAD_MAX          431
 *     its body                none              413; transfer codings 501
 *     time between requests   IDLE_NS           the connection is closed
 *     time to send a head     HEAD_NS           408
 *     time to answer          ANSWER_NS         503
 *     time to take a reply    REPLY_NS          the connection is closed
 *     time to end, at stop    DRAIN_NS          connections that are still open are closed
 *
 * Left out: targets that are not paths, bodies, and TLS. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <time.h>

#include <weft.h>

enum { CONNECTIONS_MAX = 10000, HEAD_MAX = 8192, REPLY_MAX = 512, LINGER_MAX = 1 << 20 };

static const int64_t IDLE_NS = 60 * WEFT_SEC, HEAD_NS = 2 * WEFT_SEC, ANSWER_NS = WEFT_SEC, REPLY_NS = 5 * WEFT_SEC,
                     LINGER_NS = WEFT_SEC, DRAIN_NS = WEFT_SEC;

struct server {
    const char *endpoint;
    int listener, signals;
    weft_sem places;       /* one per connection that may still come */
    weft_event stopping;   /* set: every reply is the last of its connection */
    weft_scope *accepting; /* cancel it to take no more connections */
};

struct client {
    struct server *server;
    int fd;
};

/* What has arrived and not been answered yet: line <= seen <= used <= HEAD_MAX. */
struct input {
    int fd;
    size_t line; /* where the first incomplete line begins */
    size_t seen; /* up to here there is no end of it */
    size_t used;
    char bytes[HEAD_MAX];
};

struct request {
    bool begun;       /* has its first line */
    bool head_only;   /* HEAD: the reply has no body */
    bool old;         /* HTTP/1.0: closes, unless asked to keep alive */
    bool keep, close; /* which of the two it asked for; close outranks */
    int hosts;        /* Host fields: there must be one */
    weft_fn answer;
};

struct answer {
    char text[128];
};

/* ---- What the pages say. Each runs under ANSWER_NS and returns a status. ---------------------------- */

static int hello(void *arg)
{
    struct answer *a = arg;
    snprintf(a->text, sizeof a->text, "hello, world\n");
    return 200;
}

static int waited(void *arg)
{
    struct answer *a = arg;
    int err = weft_sleep(100 * WEFT_MSEC);
    snprintf(a->text, sizeof a->text, "worth the wait\n");
    return err < 0 ? err : 200;
}

/* Runs on an offload thread: it may compute for as long as it likes. */
static int count_primes(void *arg)
{
    struct answer *a = arg;
    int found = 0;
    for (int n = 2; n < 1000000; n++) {
        int d = 2;
        while (d <= n / d && n % d != 0)
            d++;
        found += d > n / d;
    }
    snprintf(a->text, sizeof a->text, "%d primes\n", found);
    return 200;
}

static int work(void *arg)
{
    return weft_offload(count_primes, arg);
}

static int late(void *arg)
{
    (void)arg;
    int err = weft_sleep(3600 * WEFT_SEC);
    return err < 0 ? err : 200;
}

static int missing(void *arg)
{
    struct answer *a = arg;
    snprintf(a->text, sizeof a->text, "no such page\n");
    return 404;
}

static weft_fn find_page(const char *path, size_t length)
{
    static const struct {
        const char *path;
        weft_fn answer;
    } pages[] = {{"/", hello}, {"/wait", waited}, {"/work", work}, {"/late", late}};

    const char *query = memchr(path, '?', length);
    if (query)
        length = (size_t)(query - path);
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (strlen(pages[i].path) == length && memcmp(pages[i].path, path, length) == 0)
            return pages[i].answer;
    return missing;
}

/* ---- Parsing. These return 0 to go on, or the status that ends the connection. ---------------------- */

static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && (text[i] == 0 || !strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    return length > 0;
}

static bool is_text(const char *text, size_t length, bool blanks)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == 127 || c < ' ' ? c != '\t' || !blanks : c == ' ' && !blanks)
            return false;
    }
    return length > 0;
}

static bool is(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

/* GET /path HTTP/1.1 */
static int parse_first_line(struct request *r, const char *line, size_t length)
{
    const char *end = line + length;
    const char *target = memchr(line, ' ', length);
    const char *version = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;
    if (!version)
        return 400;
    size_t method_length = (size_t)(target - line);
    size_t target_length = (size_t)(version - ++target);
    size_t version_length = (size_t)(end - ++version);

    if (!is_token(line, method_length) || !is_text(target, target_length, false) || *target != '/')
        return 400;
    if (version_length != 8 || memcmp(version, "HTTP/", 5) != 0 || version[6] != '.' ||
        !isdigit((unsigned char)version[5]) || !isdigit((unsigned char)version[7]))
        return 400;
    if (version[5] != '1')
        return 505;
    r->old = version[7] == '0';
    r->head_only = method_length == 4 && memcmp(line, "HEAD", 4) == 0;
    r->answer = find_page(target, target_length);
    r->begun = true;
    return r->head_only || (method_length == 3 && memcmp(line, "GET", 3) == 0) ? 0 : 501;
}

/* Connection: a list of words, of which we know two. */
static void parse_connection(struct request *r, const char *value, size_t length)
{
    while (length > 0) {
        size_t word = 0;
        while (word < length && value[word] != ',' && value[word] != ' ' && value[word] != '\t')
            word++;
        r->close |= is(value, word, "close");
        r->keep |= is(value, word, "keep-alive");
        word += word < length;
        value += word;
        length -= word;
    }
}

/* Name: value. A line that begins with a blank would continue the one before; nobody may send that now. */
static int parse_field(struct request *r, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    if (!colon || !is_token(line, (size_t)(colon - line)))
        return 400;
    const char *value = colon + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t name_length = (size_t)(colon - line), value_length = (size_t)(end - value);
    if (value_length > 0 && !is_text(value, value_length, true))
        return 400;

    if (is(line, name_length, "host"))
        r->hosts++;
    else if (is(line, name_length, "connection"))
        parse_connection(r, value, value_length);
    else if (is(line, name_length, "transfer-encoding"))
        return 501;
    else if (is(line, name_length, "content-length")) {
        /* strspn() stops at the line's end, which every line has. */
        if (value_length == 0 || strspn(value, "0123456789") != value_length)
            return 400;
        return strspn(value, "0") == value_length ? 0 : 413;
    }
    return 0;
}

/* Take the lines that are complete. 1: that was a whole head. 0: more bytes are needed. Else a status. */
static int parse_lines(struct input *in, struct request *r)
{
    char *end;
    while ((end = memchr(in->bytes + in->seen, '\n', in->used - in->seen))) {
        const char *line = in->bytes + in->line;
        size_t length = (size_t)(end - line);
        if (length == 0 || end[-1] != '\r')
            return 400;
        length--;
        in->line = in->seen = (size_t)(end + 1 - in->bytes);
        if (length == 0 && r->begun)
            return r->hosts == 1 || (r->old && r->hosts == 0) ? 1 : 400;
        if (length == 0)
            continue; /* some clients send an empty line before a request */
        int status = r->begun ? parse_field(r, line, length) : parse_first_line(r, line, length);
        if (status != 0)
            return status;
    }
    in->seen = in->used;
    return in->used == HEAD_MAX ? 431 : 0;
}

/* ---- Replying --------------------------------------------------------------------------------------- */

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
    }
}

static int reply(int fd, int status, const char *text, bool head_only, bool keep)
{
    char bytes[REPLY_MAX], date[40];
    time_t now = time(NULL);
    struct tm calendar;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &calendar));
    int n = snprintf(bytes, sizeof bytes,
                     "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: text/plain\r\n"
                     "Content-Length: %zu\r\n%s\r\n%s",
                     status, reason(status), date, strlen(text), keep ? "" : "Connection: close\r\n",
                     head_only ? "" : text);
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(REPLY_NS));
    return weft_write_all(fd, bytes, (size_t)n);
}

/* Closing a socket that still holds unread bytes resets the connection, and the peer may lose the reply. So:
 * no more sending, and read what is under way, within limits. */
static void linger(int fd)
{
    char bytes[1024];
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(LINGER_NS));
    weft_shutdown_write(fd);
    for (ssize_t total = 0, n = 1; n > 0 && total < LINGER_MAX; total += n)
        n = weft_read(fd, bytes, sizeof bytes);
}

/* ---- One connection --------------------------------------------------------------------------------- */

/* Wait for the first byte of a request. Above 0 there is one, else the connection is over. */
static int await_request(struct input *in)
{
    if (in->used > 0)
        return 1;
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(IDLE_NS));
    ssize_t n = weft_read(in->fd, in->bytes, sizeof in->bytes);
    in->used = n > 0 ? (size_t)n : 0;
    return n > 0 ? 1 : (int)n;
}

/* Read until the head is complete: 1. Else a status to reply with, or the end: 0, below 0. */
static int read_head(struct input *in, struct request *r)
{
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(HEAD_NS));
    for (;;) {
        int status = parse_lines(in, r);
        if (status != 0)
            return status;
        ssize_t n = weft_read(in->fd, in->bytes + in->used, sizeof in->bytes - in->used);
        if (n <= 0)
            return n < 0 && weft_scope_expired(&s) ? 408 : (int)n;
        in->used += (size_t)n;
    }
}

/* Bytes of the next request may be here already: they move to the front. */
static void forget_request(struct input *in)
{
    in->used -= in->line;
    memmove(in->bytes, in->bytes + in->line, in->used);
    in->line = in->seen = 0;
}

/* One request, one reply. True: there may be another. */
static bool exchange(struct server *server, struct input *in)
{
    if (await_request(in) <= 0)
        return false;
    struct request r = {0};
    int status = read_head(in, &r);
    if (status <= 0)
        return false;
    if (status > 1) {
        reply(in->fd, status, "", false, false);
        linger(in->fd);
        return false;
    }
    forget_request(in);

    struct answer a = {0};
    status = weft_within(ANSWER_NS, r.answer, &a);
    if (status == -ECANCELED)
        return false;
    bool keep = !r.close && (r.keep || !r.old) && !weft_event_is_set(&server->stopping);
    if (status < 0)
        status = status == -ETIMEDOUT ? 503 : 500;
    int err = reply(in->fd, status, a.text, r.head_only, keep);
    return err == 0 && keep;
}

static int converse(void *arg)
{
    struct client *client = arg;
    struct input in;
    in.fd = client->fd;
    in.line = in.seen = in.used = 0;
    while (exchange(client->server, &in))
        continue;
    weft_close(client->fd);
    weft_sem_release(&client->server->places, 1);
    return 0; /* a client's trouble is not the server's */
}

/* ---- The server ------------------------------------------------------------------------------------- */

static int stop_on_signal(void *arg)
{
    struct server *server = arg;
    struct signalfd_siginfo info;
    int err = weft_read_full(server->signals, &info, sizeof info);
    weft_event_set(&server->stopping);
    weft_scope_cancel(server->accepting);
    return err;
}

/* Accept until stopped. The connections are not in this scope: they may finish what they have begun. */
static int accept_clients(struct server *server, weft_scope *connections)
{
    WEFT_SCOPE(s);
    server->accepting = &s;
    weft_go(&s, stop_on_signal, server);
    int fd = 0;
    while (fd >= 0 && weft_sem_acquire(&server->places, 1) == 0) {
        fd = weft_accept(server->listener, NULL);
        if (fd >= 0 && weft_go_with(connections, converse, struct client, server, fd) < 0)
            weft_close(fd);
    }
    return weft_scope_close(&s);
}

static int serve(struct server *server)
{
    WEFT_SCOPE(connections);
    int err = accept_clients(server, &connections);
    weft_scope_set_deadline(&connections, weft_after(DRAIN_NS));
    int end = weft_scope_close(&connections);
    return err < 0 ? err : end == -ETIMEDOUT ? 0 : end;
}

static int app(void *arg)
{
    struct server *server = arg;
    server->listener = weft_tcp_listen(server->endpoint, 0);
    if (server->listener < 0) {
        fprintf(stderr, "%s: %s\n", server->endpoint, weft_strerror(server->listener));
        return server->listener;
    }
    weft_addr addr = {0};
    weft_addr_local(server->listener, &addr);
    printf("listening on port %d\n", weft_addr_port(&addr));
    fflush(stdout); /* whoever started us waits for this line */
    weft_sem_release(&server->places, CONNECTIONS_MAX);
    int err = serve(server);
    weft_close(server->listener);
    puts(err == 0 ? "stopped" : weft_strerror(err));
    return err;
}

int main(int argc, char **argv)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* before any thread starts: they all inherit it */
    struct server server = {.endpoint = argc > 1 ? argv[1] : "127.0.0.1:8080",
                            .signals = signalfd(-1, &stop, SFD_CLOEXEC)};
    return server.signals < 0 || weft_run(NULL, app, &server) < 0;
}
