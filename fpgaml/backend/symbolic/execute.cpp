// Execution on a stack of its own, in every way it can go, and the record of what came out.
//
// A decision stops the executed program. It is continued once for each answer, up to its next decision or the end of the
// layer. Memory is then compared, word by word: stack, static variables and the streams' storage. Where the states that
// the answers led to stand at the same instruction of the same calls, and differ only in words that are Values, they are
// merged: each such word becomes a SWITCH on the decision. That is exact for any program whatever, and it is what lets
// 2^n paths through n decisions be followed one decision at a time. (A word that is a Value in one state and not in the
// other is dead there or was never written, for at one instruction a place in memory has one type: it becomes undefined.)
// States that differ in anything else are followed on, each by itself, until they agree; or the layer is not proved.
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <unordered_map>

#include "runtime.h"

extern "C" char __data_start, _end;

namespace symbolic {

static const size_t ARENA = size_t(1) << 36, STACK = size_t(1) << 30, STORAGE = size_t(1) << 34; // address space, not memory
static const size_t PAGE = 4096, BELOW = 1 << 16, MOST_PAGES = 1 << 16, SLACK = size_t(1) << 26;
static const long MOST_RUNS = 1 << 18; // for one decision and those before it is merged
static const int MOST_STEPS = 64, MOST_DEPTH = 24;
static const size_t SAVED = 6, FRAME = 5; // registers that symbolic_switch saves; which of them is the frame pointer

static char *space(size_t bytes) {
    void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        std::perror("mmap");
        std::exit(3);
    }
    return static_cast<char *>(p);
}

enum Event { RELATION, BITS, BARRIER, END };

// What the executed program waits for.
struct Question {
    Event event = END;
    Relation relation = GT;
    Value a = nullptr, b = nullptr;
    const Kind *kind = nullptr;

    int frac() const { return event == RELATION ? 0 : kind->width - kind->integer; }
    int64_t low() const { return event == RELATION ? 0 : int64_t(a->low) << (frac() - a->frac); }
    int64_t outcomes() const {
        return event == RELATION ? 2 : (int64_t(a->high) << (frac() - a->frac)) - low() + 1;
    }
    uint64_t answer(int64_t outcome) const {
        if (event == RELATION)
            return uint64_t(outcome);
        return uint64_t(low() + outcome) & (kind->width >= 64 ? ~uint64_t(0) : (uint64_t(1) << kind->width) - 1);
    }
};

typedef std::vector<std::pair<uint64_t *, uint64_t>> Words; // address and content, where they differ from the shadow
struct State {
    char *sp = nullptr; // the stack pointer: what lies below is dead; registers and the return address lie at it
    Question question;
    Words words;
};

struct Region { char *begin, *end, *shadow; };

struct Record { std::string layer; int image; int64_t first_form; size_t size; int64_t first_variable; };
struct Finding { std::string layer, text; int site; };

struct Machine {
    // nodes
    char *arena = space(ARENA), *next = arena;
    long assignments = 0, runs = 0, last_run = 0, decisions = 0;
    int32_t ids = 0; // of variables and of recorded operations
    // places in the C++
    std::map<std::array<void *, 8>, int> site_of;
    // execution
    char *stack = space(STACK), *stack_shadow = space(STACK), *static_shadow = nullptr, *storage_shadow = nullptr;
    char *storage = nullptr;
    char *controller = nullptr, *program = nullptr; // stack pointers of the one that does not run
    Question question;
    bool inside = false; // executing the program
    void (*body)() = nullptr;
    std::vector<Region> regions;
    char *dirty[MOST_PAGES]; // pages written since the decision
    size_t dirty_count = 0;
    Words applied; // words of memory that differ from the shadow
    // record
    const Layer *layers = nullptr;
    size_t layer_count = 0;
    Layer input_layer{};
    std::string folder, layer = "";
    int image = 0;
    std::vector<Record> records;
    std::vector<Finding> findings;
    size_t flushed = 0; // findings before this one have their layer
    std::vector<int64_t> form_start{0}, form_const, coefs;
    std::vector<int32_t> form_frac, columns;
    std::vector<Node *> atoms;
    std::vector<int64_t> scratch_order;
};

// The only static variable; what it points to is no part of the executed state.
static Machine &machine() {
    static Machine *only = new Machine;
    return *only;
}

Node *new_node() {
    Machine &m = machine();
    Node *n = reinterpret_cast<Node *>(m.next);
    m.next += (sizeof(Node) + 15) / 16 * 16;
    return n;
}

void *keep(size_t bytes) {
    Machine &m = machine();
    m.next += (bytes + 15) / 16 * 16; // whole nodes' steps are not needed: a handle is any address in the arena
    return m.next - (bytes + 15) / 16 * 16;
}

static bool is_value(uint64_t word) {
    Machine &m = machine();
    return word >= uint64_t(m.arena) && word < uint64_t(m.next) && word % 16 == 0;
}

void count_assignment() { machine().assignments++; }

// The calls that led somewhere: return addresses, by the chain of frame pointers from `frame` on.
static int place_of(void **frame, void *first) {
    Machine &m = machine();
    std::array<void *, 8> found{first};
    for (size_t i = first != nullptr; i < found.size() && frame; i++) {
        found[i] = frame[1];
        void **up = static_cast<void **>(frame[0]);
        bool on_stack = reinterpret_cast<char *>(up) > m.stack && reinterpret_cast<char *>(up) < m.stack + STACK;
        frame = up > frame && on_stack ? up : nullptr;
    }
    return m.site_of.emplace(found, int(m.site_of.size())).first->second;
}

int place() { return place_of(static_cast<void **>(__builtin_frame_address(0)), nullptr); }

static void add_finding(const char *what, int site) {
    Machine &m = machine();
    for (size_t i = m.flushed; i < m.findings.size(); i++)
        if (m.findings[i].site == site && m.findings[i].text == what)
            return;
    m.findings.push_back({"", what, site});
}

void fail(const char *what) { add_finding(what, place()); }

// The waiting program cannot be followed further: say where it stands.
static void stuck() {
    void **saved = reinterpret_cast<void **>(machine().program); // registers, the frame pointer last, and the return address
    add_finding("a branch on a symbolic value that no rule covers", place_of(static_cast<void **>(saved[FRAME]), saved[FRAME + 1]));
}

// --- streams' storage: its first word says how much is in use ---

void *storage(size_t bytes) {
    Machine &m = machine();
    if (!m.storage) {
        m.storage = space(STORAGE);
        *reinterpret_cast<uint64_t *>(m.storage) = 64;
    }
    uint64_t &used = *reinterpret_cast<uint64_t *>(m.storage);
    void *p = m.storage + used;
    used += (bytes + 63) / 64 * 64;
    return p;
}

// --- decisions, merged ---

// Save the registers that a call keeps on the stack and the stack pointer in *save; go on at `load`, where the same was
// done. Returns what the other side passes as its third argument. Written out, so that nothing else lies on the stack.
extern "C" uint64_t symbolic_switch(char **save, char *load, uint64_t pass);
extern "C" bool symbolic_switch_bool(char **save, char *load, uint64_t pass); // the same code
#if defined(__x86_64__)
asm(R"(
    .text
symbolic_switch:
symbolic_switch_bool:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    movq %rdx, %rax
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
#else
#error "symbolic execution knows the registers of x86-64 only"
#endif

bool decide_relation(Relation r, Value a, Value b) {
    Machine &m = machine();
    if (!m.inside) {
        fail("a symbolic value is compared outside the network");
        return false;
    }
    m.question.event = RELATION;
    m.question.relation = r;
    m.question.a = a;
    m.question.b = b;
    return symbolic_switch_bool(&m.program, m.controller, 0);
}

uint64_t decide_bits(Value a, const Kind *kind) {
    Machine &m = machine();
    if (!m.inside) {
        fail("a symbolic value is read outside the network");
        return 0;
    }
    m.question.event = BITS;
    m.question.a = m.question.b = a;
    m.question.kind = kind;
    return symbolic_switch(&m.program, m.controller, 0);
}

uint64_t barrier() {
    Machine &m = machine();
    m.question.event = BARRIER;
    return symbolic_switch(&m.program, m.controller, 0);
}

// The executed program's memory has a shadow: what it was at the decision that is looked at. Its pages are write-protected
// meanwhile, so that those that are written are known, and nothing else need be compared.

static void allow(char *begin, char *end, bool writing) {
    if (mprotect(begin, size_t(end - begin), writing ? PROT_READ | PROT_WRITE : PROT_READ)) {
        std::perror("mprotect");
        std::_Exit(3);
    }
}

static char *page_of(const void *p) { return reinterpret_cast<char *>(uint64_t(p) / PAGE * PAGE); }

static const Region *region_of(const char *at) {
    for (const Region &r : machine().regions)
        if (at >= r.begin && at < r.end)
            return &r;
    return nullptr;
}

static void unwatch() {
    Machine &m = machine();
    for (const Region &r : m.regions)
        allow(r.begin, r.end, true);
    m.regions.clear();
}

// The C++ itself has stopped: an assertion, or memory that is not its own. What came before is kept.
static void stopped(int number) {
    Machine &m = machine();
    signal(number, SIG_DFL);
    unwatch();
    m.findings.push_back({"+", number == SIGABRT ? "the C++ stops: an assertion fails" : "the C++ stops: it reads or writes where nothing is", -1});
    m.flushed = m.findings.size();
    finish();
    std::_Exit(0);
}

static void written(int, siginfo_t *info, void *) {
    Machine &m = machine();
    char *page = page_of(info->si_addr);
    const Region *r = region_of(page);
    if (!r || m.dirty_count == MOST_PAGES)
        stopped(SIGSEGV); // a fault of another kind
    m.dirty[m.dirty_count++] = page;
    allow(page, page + PAGE, true);
}

static void watch() {
    Machine &m = machine();
    char *stack_begin = page_of(m.program - 4 * BELOW);
    char *data = page_of(&__data_start), *end = page_of(&_end) + PAGE;
    if (!m.static_shadow)
        m.static_shadow = space(end - data);
    m.regions = {{stack_begin, m.stack + STACK, m.stack_shadow + (stack_begin - m.stack)}, {data, end, m.static_shadow}};
    if (m.storage) {
        if (!m.storage_shadow)
            m.storage_shadow = space(STORAGE);
        size_t used = *reinterpret_cast<uint64_t *>(m.storage);
        m.regions.push_back({m.storage, page_of(m.storage + used) + SLACK, m.storage_shadow});
    }
    for (const Region &r : m.regions) {
        for (char *p = r.begin; p < r.end && !(p > m.storage + PAGE && r.begin == m.storage && p >= r.end - SLACK + PAGE); p += PAGE)
            if (std::memcmp(p, r.shadow + (p - r.begin), PAGE))
                std::memcpy(r.shadow + (p - r.begin), p, PAGE);
    }
    for (const Region &r : m.regions)
        allow(r.begin, r.end, false);
    m.dirty_count = 0;
}

template <class Do> static void each_written_page(Do act) {
    Machine &m = machine();
    std::sort(m.dirty, m.dirty + m.dirty_count); // words are listed by address
    for (size_t i = 0; i < m.dirty_count; i++) {
        const Region *r = region_of(m.dirty[i]);
        char *shadow = r->shadow + (m.dirty[i] - r->begin);
        if (std::memcmp(m.dirty[i], shadow, PAGE))
            act(m.dirty[i], shadow);
    }
}

static void sync_shadow() {
    Machine &m = machine();
    m.applied.clear();
    if (m.regions.empty() || m.program - 2 * BELOW < m.regions[0].begin) {
        unwatch();
        watch();
        return;
    }
    each_written_page([](char *p, char *shadow) { std::memcpy(shadow, p, PAGE); });
    for (size_t i = 0; i < m.dirty_count; i++)
        allow(m.dirty[i], m.dirty[i] + PAGE, false);
    m.dirty_count = 0;
}

static uint64_t shadow_word(uint64_t *at) {
    const Region *r = region_of(reinterpret_cast<char *>(at));
    return *reinterpret_cast<uint64_t *>(r->shadow + (reinterpret_cast<char *>(at) - r->begin));
}

static Words differing_words() {
    Words found;
    each_written_page([&](char *p, char *shadow) {
        for (size_t i = 0; i < PAGE; i += 8)
            if (std::memcmp(p + i, shadow + i, 8)) {
                uint64_t word;
                std::memcpy(&word, p + i, 8);
                found.push_back({reinterpret_cast<uint64_t *>(p + i), word});
            }
    });
    return found;
}

static void apply(const Words &words) {
    Machine &m = machine();
    for (const auto &w : m.applied)
        *w.first = shadow_word(w.first);
    for (const auto &w : words)
        *w.first = w.second;
    m.applied = words;
}

// Continue a state with an outcome of its question, up to its next question.
static bool continued(const State &from, int64_t outcome, State &to) {
    Machine &m = machine();
    if (++m.runs > m.last_run)
        return false;
    apply(from.words);
    m.program = from.sp;
    symbolic_switch(&m.controller, from.sp, from.question.answer(outcome));
    to.sp = m.program;
    to.question = m.question;
    to.words = differing_words();
    m.applied = to.words;
    return m.program - BELOW > m.regions[0].begin && // else memory was written that is not watched
           (!m.storage || m.storage + *reinterpret_cast<uint64_t *>(m.storage) < m.regions.back().end);
}

typedef std::vector<const State *> States;

typedef std::map<std::vector<Value>, Value> Choices; // made for one decision: equal choices are one node

static Value one_of(const Selector &on, const std::vector<Value> &values, Choices &made) {
    for (Value v : values)
        if (v != values[0]) {
            auto known = made.find(values);
            return known != made.end() ? known->second : made[values] = switched(on, values);
        }
    return values[0];
}

// Merge states that differ in Values only: true and the state, or false.
static bool merged(const States &states, const Selector &on, State &to) {
    const Question &q = states[0]->question;
    std::vector<Value> as, bs;
    for (const State *s : states) {
        const Question &o = s->question;
        bool decides = q.event <= BITS;
        if (s->sp != states[0]->sp || o.event != q.event || (decides && (o.relation != q.relation || o.kind != q.kind)))
            return false;
        as.push_back(o.a);
        bs.push_back(o.b);
    }
    char *dead_below = states[0]->sp;
    char *stack = machine().stack;
    std::vector<size_t> at(states.size(), 0);
    Words words;
    std::vector<Value> values(states.size());
    Choices made;
    for (;;) {
        uint64_t *next = nullptr;
        for (size_t i = 0; i < states.size(); i++)
            if (at[i] < states[i]->words.size()) {
                uint64_t *a = states[i]->words[at[i]].first;
                next = !next || a < next ? a : next;
            }
        if (!next)
            break;
        bool same = true, all = true, any = false;
        uint64_t common = 0, base = shadow_word(next);
        for (size_t i = 0; i < states.size(); i++) {
            uint64_t w = base;
            if (at[i] < states[i]->words.size() && states[i]->words[at[i]].first == next)
                w = states[i]->words[at[i]++].second;
            values[i] = reinterpret_cast<Value>(w);
            same = same && (i == 0 || w == common);
            common = i == 0 ? w : common;
            all = all && is_value(w);
            any = any || is_value(w);
        }
        char *byte = reinterpret_cast<char *>(next);
        if (byte >= stack && byte < dead_below)
            continue;
        if (same)
            words.push_back({next, common});
        else if (all)
            words.push_back({next, uint64_t(one_of(on, values, made))});
        else if (any)
            words.push_back({next, uint64_t(undefined())});
        else {
            if (std::getenv("SYMBOLIC_DEBUG"))
                for (size_t i = 0; i < states.size(); i++)
                    std::fprintf(stderr, "%p sp+%ld state %zu: %lx\n", (void *)next, long(byte - dead_below), i, (unsigned long)values[i]);
            return false;
        }
    }
    to.sp = states[0]->sp;
    to.question = q;
    to.words = words;
    if (q.event <= BITS) { // it may ask of merged values
        to.question.a = one_of(on, as, made);
        to.question.b = one_of(on, bs, made);
    }
    return true;
}

static bool resolved(const State &from, State &to, int depth);

// The two states behind a comparison may need several steps each until they agree.
static bool met(State first, State second, const Selector &on, State &to, int depth) {
    std::vector<State> past[2];
    past[0].push_back(first);
    past[1].push_back(second);
    int turn = 1, newest = 1;
    for (int step = 0; step < MOST_STEPS; step++) {
        for (const State &other : past[1 - newest])
            if (newest ? merged({&other, &past[1].back()}, on, to) : merged({&past[0].back(), &other}, on, to))
                return true;
        bool can[2];
        for (int i = 0; i < 2; i++)
            can[i] = past[i].back().question.event <= BITS;
        if (!can[0] && !can[1])
            return false;
        newest = can[turn] ? turn : 1 - turn;
        State next;
        if (!resolved(past[newest].back(), next, depth + 1))
            return false;
        past[newest].push_back(next);
        turn = 1 - newest;
    }
    return false;
}

static bool resolved(const State &from, State &to, int depth) {
    if (depth > MOST_DEPTH)
        return false;
    machine().decisions++;
    const Question &q = from.question;
    if (q.event == RELATION) {
        State no, yes;
        if (!continued(from, 0, no) || !continued(from, 1, yes))
            return false;
        return met(no, yes, {compared(q.relation, q.a, q.b), 0, 0}, to, depth);
    }
    Selector on{q.a, q.low(), q.frac()};
    std::vector<State> states(q.outcomes());
    States all;
    for (size_t i = 0; i < states.size(); i++) {
        if (!continued(from, i, states[i]))
            return false;
        all.push_back(&states[i]);
        if (i && !merged({all[0], all[i]}, on, to)) // give up early
            return false;
    }
    return merged(all, on, to);
}

static void program_main() {
    Machine &m = machine();
    m.body();
    m.question.event = END;
    symbolic_switch(&m.program, m.controller, 0);
}

void run(void (*body)()) {
    Machine &m = machine();
    m.body = body;
    uint64_t *top = reinterpret_cast<uint64_t *>(m.stack + STACK - 64);
    *--top = 0;
    *--top = uint64_t(program_main); // where the first switch returns to
    m.program = reinterpret_cast<char *>(top - SAVED);
    m.inside = true;
    stack_t own{}; // the signal handler's
    own.ss_sp = space(1 << 22);
    own.ss_size = 1 << 22;
    sigaltstack(&own, nullptr);
    struct sigaction act{};
    act.sa_sigaction = written;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &act, nullptr);
    act.sa_flags = SA_ONSTACK;
    act.sa_handler = stopped;
    sigaction(SIGABRT, &act, nullptr);
    sigaction(SIGFPE, &act, nullptr);
    uint64_t answer = 0;
    do {
        symbolic_switch(&m.controller, m.program, answer);
        answer = 0;
        while (m.question.event <= BITS) {
            sync_shadow();
            State root{m.program, m.question, {}}, after;
            m.last_run = m.runs + MOST_RUNS;
            if (!resolved(root, after, 0)) {
                apply({});
                m.program = root.sp;
                m.question = root.question;
                answer = root.question.answer(0); // go on one way: this layer is not proved
                stuck();
                break;
            }
            apply(after.words);
            m.program = after.sp;
            m.question = after.question;
        }
        unwatch();
    } while (m.question.event != END);
    m.inside = false;
}

// --- forms: an affine combination of variables and of operations that are not affine ---

typedef std::vector<std::pair<int32_t, Int>> Terms;

// Whether a node is a sum or a multiple, and not an unknown of its own.
static bool is_linear(Value n) { return n->op == ADD || n->op == SUB || (n->op == MUL && (n->a->op == CONST || n->b->op == CONST)); }

static bool too_big(Int x) { return x > (Int(1) << 120) || x < -(Int(1) << 120); }

static int32_t id_of(Value n) {
    Machine &m = machine();
    Node *own = const_cast<Node *>(n);
    if (own->id < 0) {
        own->id = m.ids++;
        m.atoms.push_back(own);
    }
    return own->id;
}

template <class Atom> static bool flatten(Value root, Int &offset, Atom act) {
    std::vector<std::pair<Value, Int>> todo{{root, 1}};
    offset = 0;
    while (!todo.empty()) {
        auto [n, by] = todo.back();
        todo.pop_back();
        if (n->op == CONST) {
            offset += by * n->low;
        } else if (n->op == ADD || n->op == SUB) {
            for (Value part : {n->a, n->b}) {
                if (part->op == CONST && part->low == 0)
                    continue;
                int up = n->frac - part->frac;
                if (up > 100)
                    return false;
                Int factor = by * (Int(1) << up);
                todo.push_back({part, part == n->b && n->op == SUB ? -factor : factor});
            }
        } else if (n->op == MUL && (n->a->op == CONST || n->b->op == CONST)) {
            Value k = n->a->op == CONST ? n->a : n->b, x = n->a->op == CONST ? n->b : n->a;
            todo.push_back({x, by * k->low});
        } else {
            act(n, by);
        }
        if (too_big(by) || too_big(offset))
            return false;
    }
    return true;
}

bool tighten(Value n) {
    if (!is_linear(n))
        return false;
    std::unordered_map<Value, Int> terms;
    Int offset;
    if (!flatten(n, offset, [&](Value atom, Int by) { terms[atom] += by; }))
        return false;
    Int low = offset, high = offset, grid = offset;
    for (const auto &t : terms) {
        low += t.second * (t.second > 0 ? t.first->low : t.first->high);
        high += t.second * (t.second > 0 ? t.first->high : t.first->low);
        grid |= t.second;
    }
    Node *own = const_cast<Node *>(n);
    int trailing = 0;
    while (grid && !(grid & 1) && trailing < 100) {
        grid >>= 1;
        trailing++;
    }
    if (low == own->low && high == own->high && trailing == 0)
        return false;
    own->low = low; // the coarser grid stays unused: others count on this node's fraction bits
    own->high = high;
    return true;
}

static int64_t small(Int x) {
    if (x > INT64_MAX || x < INT64_MIN) {
        fail("a coefficient needs more than 64 bits");
        return 0;
    }
    return int64_t(x);
}

static int64_t record_form(Value n) {
    Machine &m = machine();
    Int offset = 0;
    Terms terms;
    if (n->op == UNDEFINED)
        fail("a value comes out that was never written");
    else if (!flatten(n, offset, [&](Value atom, Int by) { terms.push_back({id_of(atom), by}); }))
        fail("a coefficient needs more than 64 bits");
    std::sort(terms.begin(), terms.end());
    for (size_t i = 0; i < terms.size();) {
        Int sum = 0;
        int32_t id = terms[i].first;
        for (; i < terms.size() && terms[i].first == id; i++)
            sum += terms[i].second;
        if (sum) {
            m.columns.push_back(id);
            m.coefs.push_back(small(sum));
        }
    }
    m.form_const.push_back(small(offset));
    m.form_frac.push_back(n->frac);
    m.form_start.push_back(int64_t(m.columns.size()));
    return int64_t(m.form_const.size()) - 1;
}

// --- what the harness calls ---

void start(const Layer *layers, size_t count, const Layer &input, const char *folder) {
    Machine &m = machine();
    m.layers = layers;
    m.layer_count = count;
    m.input_layer = input;
    m.folder = folder;
}

static Value variable(int32_t id, const Layer &layer) {
    Node *n = new_node();
    *n = Node{VAR, layer.frac, layer.low, layer.high, nullptr, nullptr, {0, 0, 0, 0, 0}, nullptr, id, -1};
    return n;
}

void input(int image, Value *to, size_t stride, size_t count) {
    Machine &m = machine();
    m.image = image;
    m.records.push_back({m.input_layer.name, image, -1, count, m.ids});
    for (size_t i = 0; i < count; i++)
        to[i * stride] = variable(m.ids++, m.input_layer);
}

static const Layer &layer_called(const char *name) {
    Machine &m = machine();
    for (size_t i = 0; i < m.layer_count; i++)
        if (!std::strcmp(m.layers[i].name, name))
            return m.layers[i];
    std::fprintf(stderr, "no layer %s\n", name);
    std::exit(3);
}

static void meet(const char *layer) {
    Machine &m = machine();
    for (; m.flushed < m.findings.size(); m.flushed++)
        m.findings[m.flushed].layer = layer;
    m.layer = layer;
}

void cut_begin(const char *name, size_t size) {
    Machine &m = machine();
    meet(name);
    if (layer_called(name).size != size)
        fail("a layer has another number of outputs");
    m.records.push_back({name, m.image, int64_t(m.form_const.size()), size, m.ids});
    m.ids += int32_t(size);
}

Value cut(size_t at, Value found) {
    Machine &m = machine();
    record_form(found);
    return variable(int32_t(m.records.back().first_variable + at), layer_called(m.layer.c_str()));
}

void cut_end() {
    Machine &m = machine();
    for (; m.flushed < m.findings.size(); m.flushed++)
        m.findings[m.flushed].layer = m.layer;
}

void output(size_t at, Value found) {
    Machine &m = machine();
    if (at == 0) {
        meet("");
        m.records.push_back({"", m.image, int64_t(m.form_const.size()), 0, -1});
    }
    m.records.back().size++;
    record_form(found);
}

void weight(const char *name, size_t at, Value txt, Value header) {
    if (txt->op == CONST && header->op == CONST && txt->low == header->low && txt->frac == header->frac)
        return;
    machine().findings.push_back({std::string("*") + name, "value " + std::to_string(at) + " differs between .txt and .h", -1});
    machine().flushed = machine().findings.size();
}

// --- writing it down ---

template <class T> static void write_array(const char *name, const std::vector<T> &array) {
    std::string path = machine().folder + "/" + name;
    std::FILE *file = std::fopen(path.c_str(), "wb");
    if (!file || std::fwrite(array.data(), sizeof(T), array.size(), file) != array.size() || std::fclose(file)) {
        std::perror(path.c_str());
        std::exit(3);
    }
}

static std::vector<Value> operands(Value n) {
    if (n->op == SWITCH)
        return {n->a};
    return n->b ? std::vector<Value>{n->a, n->b} : std::vector<Value>{n->a};
}

void finish() {
    Machine &m = machine();
    if (m.folder.empty())
        return;
    std::vector<int64_t> rows; // id, op, site, p[0..4], fraction bits, first operand's form, first outcome's form
    std::map<std::vector<Value>, int64_t> tables;
    for (size_t i = 0; i < m.atoms.size(); i++) { // more are found on the way
        Node *n = m.atoms[i];
        int64_t first = -1, outcomes = -1;
        for (Value v : operands(n)) {
            int64_t form = record_form(v);
            first = first < 0 ? form : first;
        }
        if (n->op == SWITCH) {
            std::vector<Value> children(n->children, n->children + n->p[1]);
            auto known = tables.find(children);
            if (known == tables.end()) {
                outcomes = int64_t(m.form_const.size());
                for (Value v : children)
                    record_form(v);
                tables[children] = outcomes;
            } else {
                outcomes = known->second;
            }
        }
        for (int64_t x : {int64_t(n->id), int64_t(n->op), int64_t(n->site), n->p[0], n->p[1], n->p[2], n->p[3], n->p[4],
                          int64_t(n->frac), first, outcomes})
            rows.push_back(x);
    }
    cut_end();
    write_array("atoms.i64", rows);
    write_array("starts.i64", m.form_start);
    write_array("offsets.i64", m.form_const);
    write_array("fractions.i32", m.form_frac);
    write_array("columns.i32", m.columns);
    write_array("coefficients.i64", m.coefs);
    std::string path = m.folder + "/record.txt";
    std::FILE *file = std::fopen(path.c_str(), "w");
    for (const Record &r : m.records)
        std::fprintf(file, "record\t%s\t%d\t%lld\t%zu\t%lld\n", r.layer.c_str(), r.image, (long long)r.first_form, r.size,
                     (long long)r.first_variable);
    for (const Finding &f : m.findings)
        std::fprintf(file, "finding\t%s\t%d\t%s\n", f.layer.c_str(), f.site, f.text.c_str());
    for (const auto &s : m.site_of) {
        std::fprintf(file, "site\t%d", s.second);
        for (void *address : s.first)
            if (address)
                std::fprintf(file, "\t%p", address);
        std::fprintf(file, "\n");
    }
    std::fprintf(file, "count\tassignments\t%ld\ncount\tdecisions\t%ld\ncount\truns\t%ld\n", m.assignments, m.decisions, m.runs);
    if (std::fclose(file)) {
        std::perror(path.c_str());
        std::exit(3);
    }
}


} // namespace symbolic
