/* where_text.c - what a program counter, and a system call, is called: see where.h.
 *
 * Names of functions that are not exported, and lines, are in the debugging information, which elfutils' libdw reads.
 * It is used if it is there, and else only what the dynamic linker knows is said. Never by way of the network: debug
 * information that is not in the file itself is not looked for. */
#include "runtime/platform/where.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- libdw, as far as it is used ---- */

typedef struct Dwfl Dwfl;
typedef struct Dwfl_Module Dwfl_Module;
typedef struct Dwfl_Line Dwfl_Line;
typedef struct Dwarf_Die Dwarf_Die;
typedef struct Dwarf_Line Dwarf_Line;

struct dwfl_callbacks { /* Dwfl_Callbacks */
    void *find_elf;
    int (*find_debuginfo)(void);
    void *section_address;
    char **debuginfo_path;
};

struct libdw {
    Dwfl *(*begin)(const struct dwfl_callbacks *);
    int (*report)(Dwfl *, pid_t);
    int (*report_end)(Dwfl *, void *, void *);
    Dwfl_Module *(*module)(Dwfl *, uint64_t);
    const char *(*name)(Dwfl_Module *, uint64_t);
    Dwfl_Line *(*line)(Dwfl_Module *, uint64_t);
    const char *(*line_info)(Dwfl_Line *, uint64_t *, int *, int *, void *, void *);
    void (*end)(Dwfl *);
    Dwarf_Die *(*next_unit)(Dwfl_Module *, Dwarf_Die *, uint64_t *);
    int (*has_pc)(Dwarf_Die *, uint64_t);
    Dwarf_Line *(*line_of_unit)(Dwarf_Die *, uint64_t);
    int (*line_number)(Dwarf_Line *, int *);
    const char *(*line_source)(Dwarf_Line *, void *, void *);
    void *find_elf;
};

static int none_elsewhere(void)
{
    return -1;
}

static bool load(struct libdw *d, void *library)
{
    const struct {
        const char *name;
        void *to;
    } symbol[] = {
        {"dwfl_begin", &d->begin},           {"dwfl_linux_proc_report", &d->report},
        {"dwfl_report_end", &d->report_end}, {"dwfl_addrmodule", &d->module},
        {"dwfl_module_addrname", &d->name},  {"dwfl_module_getsrc", &d->line},
        {"dwfl_lineinfo", &d->line_info},    {"dwfl_end", &d->end},
        {"dwfl_module_nextcu", &d->next_unit}, {"dwarf_haspc", &d->has_pc},
        {"dwarf_getsrc_die", &d->line_of_unit}, {"dwarf_lineno", &d->line_number},
        {"dwarf_linesrc", &d->line_source},  {"dwfl_linux_proc_find_elf", &d->find_elf},
    };
    for (size_t i = 0; i < sizeof symbol / sizeof *symbol; i++) {
        void *at = dlsym(library, symbol[i].name);
        if (!at)
            return false;
        memcpy(symbol[i].to, &at, sizeof at);
    }
    return true;
}

/* Clang leaves out the index by which a line is found at once: then each unit is asked. */
static const char *find_line(const struct libdw *d, Dwfl_Module *m, uint64_t pc, int *line)
{
    Dwfl_Line *at = d->line(m, pc);
    if (at)
        return d->line_info(at, NULL, line, NULL, NULL, NULL);
    uint64_t bias = 0;
    for (Dwarf_Die *unit = NULL; (unit = d->next_unit(m, unit, &bias)) != NULL;) {
        if (d->has_pc(unit, pc - bias) <= 0)
            continue;
        Dwarf_Line *in_unit = d->line_of_unit(unit, pc - bias);
        if (in_unit && d->line_number(in_unit, line) == 0)
            return d->line_source(in_unit, NULL, NULL);
    }
    return NULL;
}

/* The function's name and "file:line"; either may be empty. */
static void ask_libdw(const struct libdw *d, uint64_t pc, char *name, char *place)
{
    struct dwfl_callbacks how = {.find_elf = d->find_elf, .find_debuginfo = none_elsewhere};
    Dwfl *dwfl = d->begin(&how);
    int line = 0;
    if (!dwfl)
        return;
    Dwfl_Module *m = NULL;
    if (d->report(dwfl, getpid()) == 0 && d->report_end(dwfl, NULL, NULL) == 0)
        m = d->module(dwfl, pc);
    const char *function = m ? d->name(m, pc) : NULL;
    const char *file = m ? find_line(d, m, pc, &line) : NULL;
    if (function)
        snprintf(name, WF_WHERE_TEXT / 2, "%s", function);
    if (file) {
        const char *base = strrchr(file, '/');
        snprintf(place, WF_WHERE_TEXT / 2, "%s:%d", base ? base + 1 : file, line);
    }
    d->end(dwfl);
}

static void look_up(uintptr_t pc, char *name, char *place)
{
    struct libdw d;
    Dl_info info;
    void *library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library && load(&d, library))
        ask_libdw(&d, pc, name, place);
    if (library)
        dlclose(library);
    if (!dladdr((void *)pc, &info))
        return;
    if (!*name && info.dli_sname)
        snprintf(name, WF_WHERE_TEXT / 2, "%s", info.dli_sname);
    if (!*place && info.dli_fname)
        snprintf(place, WF_WHERE_TEXT / 2, "%s+%#zx", info.dli_fname, pc - (uintptr_t)info.dli_fbase);
}

const char *wf_where_text(const void *pc, bool is_return, char text[WF_WHERE_TEXT])
{
    char name[WF_WHERE_TEXT / 2] = "", place[WF_WHERE_TEXT / 2] = "";
    look_up((uintptr_t)pc - is_return, name, place);
    if (*place)
        snprintf(text, WF_WHERE_TEXT, "%.100s (%.120s)", *name ? name : "?", place);
    else
        snprintf(text, WF_WHERE_TEXT, "%.100s %p", name, pc);
    return text;
}

const char *wf_where_syscall(long number, char text[WF_WHERE_TEXT])
{
    static const struct {
        long number;
        const char *name;
    } known[] = {
        {SYS_read, "read"},           {SYS_write, "write"},         {SYS_pread64, "pread"},
        {SYS_pwrite64, "pwrite"},     {SYS_readv, "readv"},         {SYS_writev, "writev"},
        {SYS_recvfrom, "recvfrom"},   {SYS_sendto, "sendto"},       {SYS_recvmsg, "recvmsg"},
        {SYS_sendmsg, "sendmsg"},     {SYS_accept, "accept"},       {SYS_accept4, "accept4"},
        {SYS_connect, "connect"},     {SYS_openat, "openat"},       {SYS_fsync, "fsync"},
        {SYS_fdatasync, "fdatasync"}, {SYS_flock, "flock"},         {SYS_fcntl, "fcntl"},
        {SYS_futex, "futex"},         {SYS_nanosleep, "nanosleep"}, {SYS_clock_nanosleep, "clock_nanosleep"},
        {SYS_ppoll, "ppoll"},         {SYS_pselect6, "pselect6"},   {SYS_epoll_pwait, "epoll_pwait"},
        {SYS_wait4, "wait4"},         {SYS_waitid, "waitid"},       {SYS_mmap, "mmap"},
        {SYS_munmap, "munmap"},       {SYS_madvise, "madvise"},
#if defined(__x86_64__)
        {SYS_poll, "poll"},           {SYS_select, "select"},       {SYS_epoll_wait, "epoll_wait"},
        {SYS_open, "open"},
#endif
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == number)
            return known[i].name;
    snprintf(text, WF_WHERE_TEXT, "%ld", number);
    return text;
}
