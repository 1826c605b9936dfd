/* main.cpp - one program of models: options, schedulers, what is printed.
 *
 *     PROGRAM [OPTION...] [MODEL...]          default: of every model, --random 10000 and --bound 2,60000
 *
 *     --list             names only
 *     --random N         N iterations of Relacy's random scheduler
 *     --bound B,MAX      its search of all iterations with no preemption, one, ... up to B, while that is not above MAX
 *     --places           print every atomic operation met
 *     --weaken PLACE     FILE:LINE:WHAT=ORDER, this one shall be weaker
 *     --quiet            print failures only, without their history
 *     --first            end with the first failure
 *
 * What is printed last: N passed, N failed. */

enum { MODELS_MAX = 64, LEARN = 200, RANDOM_DEFAULT = 10000, BOUND_DEFAULT = 2, BOUND_MAX_DEFAULT = 60000,
       DEPTH_MAX = 4000 };

static const struct model *models[MODELS_MAX];
static unsigned model_count;

static struct {
    uint64_t random, bound_max;
    unsigned bound;
    bool any_given, places, quiet, list, first;
} options;

static uint64_t executions; /* of this model, in all searches */
static uint64_t left;       /* of this search; Relacy's own searches know no limit */
static uint64_t seen;       /* by it */
static bool is_cut;         /* it was used up */

extern "C" void model_add(const struct model *m)
{
    if (model_count == MODELS_MAX)
        abort();
    models[model_count++] = m;
}

/* ---- a test as Relacy has it ---- */

template<int threads> struct suite : rl::test_suite<suite<threads>, threads> {
    suite()
    {
        now.alone_runs = true;
        begin_allocations();
        begin_threads();
        begin_words();
        begin_cells();
    }

    void before()
    {
        if (left-- == 0) {
            is_cut = true;
            rl::ctx().rl_until("enough", NOWHERE);
        }
        executions++;
        seen++;
        if (now.model->setup)
            now.model->setup();
        now.alone_runs = false;
    }

    void thread(unsigned i)
    {
        if (now.model->threads[i]) /* a model of one thread is one of two here */
            now.model->threads[i]();
        thread_ends();
    }

    void after()
    {
        now.alone_runs = true;
        if (now.model->finish)
            now.model->finish();
        check_leaks();
    }

    ~suite()
    {
        end_cells();
        end_words();
    }
};

template<typename test> static rl::test_result_e run_test(rl::test_params &params, std::ostream &state, bool again)
{
    constexpr int threads = test::params::thread_count;
    if (params.search_type == rl::sched_random)
        return rl::run_test<test, rl::random_scheduler<threads>>(params, state, again);
    return rl::run_test<test, rl::context_bound_scheduler<threads>>(params, state, again);
}

static rl::test_result_e run_model(rl::test_params &params, std::ostream &state, bool again)
{
    int threads = 0;
    stacks_given = 0;
    while (threads < MODEL_THREADS_MAX - 1 && now.model->threads[threads])
        threads++;
    switch (threads) {
    case 1:
    case 2: return run_test<suite<2>>(params, state, again);
    case 3: return run_test<suite<3>>(params, state, again);
    case 4: return run_test<suite<4>>(params, state, again);
    }
    printf("%s: a model of %d threads is not for this engine\n", now.model->name, threads);
    exit(2);
}

/* ---- failures ---- */

static std::string failure;

/* The iteration once more, with its history: all operations in order. */
static void show_again(rl::test_params params, const rl::string &state, const rl::ostringstream &said)
{
    rl::ostringstream ignored;
    params.initial_state = state;
    params.collect_history = true;
    left = 1;
    run_model(params, ignored, true);
    rl::string text = said.str();
    size_t begin = text.find("[CTOR END]"), end = text.find("\nthread 0:");
    printf("%s\n%s\n", text.substr(0, text.find("\n\n")).c_str(),
           begin == rl::string::npos ? "" : text.substr(begin, end - begin).c_str());
}

static void report(void)
{
    printf("FAILED  %s after %lu executions: %s\n", now.model->name, (unsigned long)executions, failure.c_str());
}

static void on_fault(int sig)
{
    printf("FAILED  %s after %lu executions: signal %d\n", now.model->name, (unsigned long)executions, sig);
    fflush(stdout);
    _exit(1);
}

/* ---- exploring ---- */

/* One search, from its beginning again whenever it has met one more shared variable. */
static bool search(rl::scheduler_type_e kind, unsigned bound, uint64_t max)
{
    for (;;) {
        rl::test_params params;
        rl::ostringstream said, state; /* with malloc: other memory is the iteration's */
        params.search_type = kind;
        params.context_bound = bound;
        params.iteration_count = max;
        params.execution_depth_limit = DEPTH_MAX;
        params.output_stream = params.progress_stream = &said;
        left = max;
        seen = 0;
        learned = is_cut = false;
        rl::test_result_e result = run_model(params, state, false);
        if (learned)
            continue;
        if (result == rl::test_result_success || is_cut)
            return true;
        failure = now.failure[0] ? now.failure : rl::test_result_str(result);
        if (!options.quiet)
            show_again(params, state.str(), said);
        return false;
    }
}

static bool check(const struct model *m)
{
    now.model = m;
    forget_cells();
    forget_words();
    executions = 0;
    std::string done;
    bool good = search(rl::sched_random, 0, LEARN);
    if (good && options.random) {
        good = search(rl::sched_random, 0, options.random);
        done += std::to_string(options.random) + " at random";
    }
    is_cut = false;
    for (unsigned b = 0; good && !is_cut && options.bound_max && b <= options.bound; b++) {
        good = search(rl::sched_bound, b, options.bound_max);
        done += ", " + std::to_string(seen) + (is_cut ? " (cut)" : "") + " at bound " + std::to_string(b);
    }
    if (!good)
        report();
    else if (!options.quiet)
        printf("ok      %s: %s\n", m->name, done.c_str());
    fflush(stdout);
    return good;
}

/* ---- options ---- */

static bool parse_option(int *i, int argc, char **argv)
{
    const char *name = argv[*i];
    if (!strcmp(name, "--list"))
        return options.list = true;
    if (!strcmp(name, "--places"))
        return options.places = places_wanted = true;
    if (!strcmp(name, "--quiet"))
        return options.quiet = true;
    if (!strcmp(name, "--first"))
        return options.first = true;
    if (*i + 1 == argc)
        return false;
    char *value = argv[++*i];
    if (!strcmp(name, "--weaken"))
        return weaken(value);
    options.any_given = true;
    if (!strcmp(name, "--random"))
        return (options.random = strtoull(value, nullptr, 10)) != 0;
    return !strcmp(name, "--bound") && sscanf(value, "%u,%lu", &options.bound, &options.bound_max) == 2;
}

static bool is_wanted(const struct model *m, char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], m->name))
            return true;
    return count == 0;
}

int main(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++)
        if (!parse_option(&i, argc, argv)) {
            printf("%s: what is %s? See tests/relacy/main.cpp\n", argv[0], argv[i]);
            return 2;
        }
    if (!options.any_given) {
        options.random = RANDOM_DEFAULT;
        options.bound = BOUND_DEFAULT;
        options.bound_max = BOUND_MAX_DEFAULT;
    }
    map_memory();
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    unsigned passed = 0, failed = 0;
    for (unsigned m = 0; m < model_count && !(options.first && failed); m++) {
        if (!is_wanted(models[m], argv + i, argc - i))
            continue;
        if (options.list)
            puts(models[m]->name);
        else
            check(models[m]) ? passed++ : failed++;
    }
    if (options.places)
        print_places();
    if (!options.list)
        printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
