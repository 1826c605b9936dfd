/* trace.c - what happened in an execution that failed, for people.
 *
 * A failing execution is repeated with every operation noted down. Places in the code and static variables get their
 * names from binutils, asked once at the end. */
#include "tests/model/core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EVENTS_MAX = 1 << 16, SYMBOLS_MAX = 1 << 14, CODES_MAX = 1024, SHOWN_MAX = 400 };

static struct event_line {
    uint8_t kind, thread, size, order;
    uint16_t back;
    uint32_t op, from;
    uintptr_t pc, at;
    uint64_t value, before;
    char *note;
} events[EVENTS_MAX];
static unsigned event_count;

static void trace(enum event kind, uintptr_t pc, uintptr_t at, unsigned size, unsigned order, uint64_t value,
                  uint64_t before, unsigned back, uint32_t from)
{
    if (event_count == EVENTS_MAX)
        return;
    events[event_count++] = (struct event_line){
        .kind = (uint8_t)kind, .thread = (uint8_t)run.self, .size = (uint8_t)size, .order = (uint8_t)order,
        .back = (uint16_t)back, .op = run.ops, .from = from, .pc = pc, .at = at, .value = value, .before = before};
}

void model_note(const char *format, ...)
{
    char line[200];
    va_list args;
    if (!run.tracing)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    trace(EVENT_NOTE, 0, 0, 0, 0, 0, 0, 0, 0);
    if (event_count < EVENTS_MAX)
        events[event_count - 1].note = strdup(line);
}

/* ---- names ---- */

static struct { uintptr_t at; size_t size; char *name; } symbols[SYMBOLS_MAX];
static unsigned symbol_count;
static struct { uintptr_t pc; char *text; } codes[CODES_MAX];
static unsigned code_count;

static FILE *ask(const char *tool, const char *args)
{
    char self_path[512], command[1024];
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
    self_path[n > 0 ? n : 0] = 0;
    snprintf(command, sizeof command, "%s %s '%s' 2>/dev/null", tool, args, self_path);
    return popen(command, "r");
}

static void read_symbols(void)
{
    char line[512], type, name[400];
    unsigned long at, size;
    FILE *f = ask("nm", "-nS --defined-only");
    while (f && fgets(line, sizeof line, f) && symbol_count < SYMBOLS_MAX)
        if (sscanf(line, "%lx %lx %c %399s", &at, &size, &type, name) == 4 && strchr("bBdDrR", type)) {
            symbols[symbol_count].at = at;
            symbols[symbol_count].size = size;
            symbols[symbol_count++].name = strdup(name);
        }
    if (f)
        pclose(f);
}

static char *line_of_names(void)
{
    static char lines[8][160];
    static unsigned next;
    return lines[next++ % 8];
}

static const char *describe(uintptr_t at)
{
    char *line = line_of_names();
    uintptr_t stack = at - (uintptr_t)stacks;
    struct block *b = block_at(at);
    if (b)
        snprintf(line, 160, "%s%d+%zu", b->local ? "local" : "heap", (int)(b - memory.block) + 1,
                 (size_t)(at - b->at));
    else if (stack < (size_t)MODEL_THREADS_MAX * 2 * STACK_BYTES)
        snprintf(line, 160, "stack of T%zu-%zu", (size_t)stack / (2 * STACK_BYTES),
                 2 * STACK_BYTES - (size_t)stack % (2 * STACK_BYTES));
    else
        snprintf(line, 160, "%#lx", (unsigned long)at);
    if (!symbol_count)
        read_symbols();
    for (unsigned i = 0; i < symbol_count; i++)
        if (at - symbols[i].at < symbols[i].size)
            snprintf(line, 160, "%s+%zu", symbols[i].name, (size_t)(at - symbols[i].at));
    return line;
}

/* "function at file:line", the innermost of what was inlined there. */
static const char *describe_code(uintptr_t pc)
{
    char args[64], function[256] = "?", place[400] = "?";
    for (unsigned i = 0; i < code_count; i++)
        if (codes[i].pc == pc)
            return codes[i].text;
    snprintf(args, sizeof args, "-fi -a 0x%lx -e", (unsigned long)pc);
    FILE *f = ask("addr2line", args);
    if (f && fgets(function, sizeof function, f) && fgets(function, sizeof function, f))
        (void)!fgets(place, sizeof place, f);
    if (f)
        pclose(f);
    function[strcspn(function, "\n")] = 0;
    place[strcspn(place, "\n(")] = 0;
    for (const char *folder = "/runtime/\0/sync/\0/io/\0/tests/\0"; *folder; folder += strlen(folder) + 1) {
        char *at = strstr(place, folder);
        if (at)
            memmove(place, at + 1, strlen(at));
    }
    char text[700];
    snprintf(text, sizeof text, "%s, %s", place, function);
    if (code_count == CODES_MAX)
        return strdup(text);
    codes[code_count].pc = pc;
    return codes[code_count++].text = strdup(text);
}

/* ---- printing ---- */

static void print_value(uint64_t value)
{
    if (value < 100000)
        printf("%lu", (unsigned long)value);
    else
        printf("%#lx", (unsigned long)value);
}

static void print_access(const struct event_line *e)
{
    static const char *verbs[] = {"load", "store", "exchange", "exchange fails:"};
    printf("%-8s %s, %s", verbs[e->kind], describe(e->at), order_names[e->order]);
    printf(e->kind == EVENT_LOAD ? " = " : e->kind == EVENT_CAS_FAILED ? " finds " : " := ");
    print_value(e->kind == EVENT_CAS_FAILED ? e->before : e->value);
    if (e->kind == EVENT_STORE || e->kind == EVENT_RMW) {
        printf(" (was ");
        print_value(e->before);
        printf(")");
    }
    if (e->back)
        printf("   OUTDATED by %u: stored at %u", e->back, e->from);
}

static void print_event(const struct event_line *e)
{
    if (e->kind == EVENT_SWITCH) {
        printf("    -- T%u\n", e->thread);
        return;
    }
    printf("%5u %*sT%u ", e->op, 2 * e->thread, "", e->thread);
    switch (e->kind) {
    case EVENT_FENCE:
        printf("fence %s", order_names[e->order]);
        break;
    case EVENT_READ:
    case EVENT_WRITE:
        printf("%s %s, %u bytes", e->kind == EVENT_READ ? "reads" : "writes", describe(e->at), e->size);
        break;
    case EVENT_NOTE:
        printf("%s", e->note);
        break;
    default:
        print_access(e);
    }
    printf("%s%s\n", e->pc ? "      " : "", e->pc ? describe_code(e->pc) : "");
}

static void print_trace(void)
{
    unsigned first = event_count > SHOWN_MAX ? event_count - SHOWN_MAX : 0;
    if (first)
        printf("    ... %u earlier events\n", first);
    for (unsigned i = first; i < event_count; i++)
        print_event(&events[i]);
}
