// The graph of Values: arithmetic with exact intervals, and what each assignment may lose.
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "runtime.h"

namespace symbolic {

typedef unsigned __int128 Word;
static const int NO_GRID = -1000000;
static const int LIMIT = 120; // bits of an interval; beyond it a layer is not proved

static int bits(Int x) {
    Word size = x < 0 ? Word(~x) : Word(x);
    int n = 0;
    for (; size; size >>= 1)
        n++;
    return n;
}

static Value too_wide() {
    fail("a value needs more than 120 bits");
    return undefined();
}

static Node *made(Op op, int frac, Int low, Int high, Value a = nullptr, Value b = nullptr) {
    Node *n = new_node();
    *n = Node{op, frac, low, high, a, b, {0, 0, 0, 0, 0}, nullptr, -1, -1};
    return n;
}

Value undefined() {
    static Value only = made(UNDEFINED, 0, 0, 0);
    return only;
}

static bool unknown(Value a) {
    if (a->op != UNDEFINED)
        return false;
    fail("a value is used that was never written");
    return true;
}

Value constant(Int code, int frac) {
    if (code == 0)
        frac = 0;
    while (code && !(code & 1)) {
        code >>= 1;
        frac--;
    }
    return made(CONST, frac, code, code);
}

Value of_int(long long x) { return constant(x, 0); }
Value of_unsigned(unsigned long long x) { return constant(Int(x), 0); }

Value of_double(double x) {
    if (!std::isfinite(x)) {
        fail("a number is infinite or none");
        return undefined();
    }
    int exponent;
    double mantissa = std::frexp(x, &exponent);
    return constant(Int(std::ldexp(mantissa, 53)), 53 - exponent);
}

// Bring an interval to a finer grid.
static bool aligned(Value a, int frac, Int &low, Int &high) {
    int up = frac - a->frac;
    if (up > LIMIT || bits(a->low) + up > LIMIT || bits(a->high) + up > LIMIT)
        return (a->low == 0 && a->high == 0) ? (low = high = 0, true) : false;
    low = a->low * (Int(1) << up);
    high = a->high * (Int(1) << up);
    return true;
}

static int common(Value a, Value b) { // zero is on every grid
    if (a->op == CONST && a->low == 0)
        return b->frac;
    if (b->op == CONST && b->low == 0)
        return a->frac;
    return a->frac > b->frac ? a->frac : b->frac;
}

static Value sum(Value a, Value b, int sign) {
    if (unknown(a) || unknown(b))
        return undefined();
    if (b->op == CONST && b->low == 0)
        return a;
    if (sign > 0 && a->op == CONST && a->low == 0)
        return b;
    Int al, ah, bl, bh;
    int frac = common(a, b);
    if (!aligned(a, frac, al, ah) || !aligned(b, frac, bl, bh))
        return too_wide();
    Int low = sign > 0 ? al + bl : al - bh, high = sign > 0 ? ah + bh : ah - bl;
    if (a->op == CONST && b->op == CONST)
        return constant(low, frac);
    return made(sign > 0 ? ADD : SUB, frac, low, high, a, b);
}

Value add(Value a, Value b) { return sum(a, b, 1); }
Value sub(Value a, Value b) { return sum(a, b, -1); }

Value mul(Value a, Value b) {
    if (unknown(a) || unknown(b))
        return undefined();
    if (a->op == CONST)
        std::swap(a, b);
    if (b->op == CONST && b->low == 0)
        return b;
    if (b->op == CONST && b->low == 1 && b->frac == 0)
        return a;
    if (bits(a->low) + bits(b->low) > LIMIT || bits(a->low) + bits(b->high) > LIMIT || bits(a->high) + bits(b->low) > LIMIT ||
        bits(a->high) + bits(b->high) > LIMIT)
        return too_wide();
    Int ends[4] = {a->low * b->low, a->low * b->high, a->high * b->low, a->high * b->high};
    Int low = ends[0], high = ends[0];
    for (Int e : ends) {
        low = e < low ? e : low;
        high = e > high ? e : high;
    }
    if (a->op == CONST)
        return constant(low, a->frac + b->frac);
    return made(MUL, a->frac + b->frac, low, high, a, b);
}

// Quotient of two codes, truncated towards zero to `frac` bits: what / is for integers.
static bool quotient(Int a, int a_frac, Int b, int b_frac, int frac, Int &found) {
    int up = frac - a_frac + b_frac;
    if (up >= 0) {
        if (bits(a) + up > LIMIT)
            return false;
        found = a * (Int(1) << up) / b;
    } else {
        if (bits(b) - up > LIMIT)
            return false;
        found = a / (b * (Int(1) << -up));
    }
    return true;
}

Value div(Value a, Value b, int frac) {
    if (unknown(a) || unknown(b))
        return undefined();
    if (b->op != CONST || b->low == 0) {
        fail(b->op == CONST ? "a division by zero" : "a division by something that is not constant");
        return undefined();
    }
    Int low, high;
    if (!quotient(a->low, a->frac, b->low, b->frac, frac, low) || !quotient(a->high, a->frac, b->low, b->frac, frac, high))
        return too_wide();
    if (a->op == CONST)
        return constant(low, frac);
    if (low > high)
        std::swap(low, high);
    Node *n = made(DIV, frac, low, high, a, b);
    n->p[0] = frac;
    n->site = place();
    return n;
}

static Int low_of(const Kind &k) { return k.is_signed ? -(Int(1) << (k.width - 1)) + (k.overflow == 2) : Int(0); }
static Int high_of(const Kind &k) { return (Int(1) << (k.width - k.is_signed)) - 1; }

// A code divided by 2^drop and rounded, by ap_q_mode.
static Int rounded(Int code, int drop, int mode) {
    if (drop > LIMIT + 4)
        return (mode == 5 && code < 0) ? -1 : 0;
    Int floor = code >> drop, rest = code - (floor << drop), half = Int(1) << (drop - 1);
    switch (mode) {
    case 0: // AP_RND
        return floor + (rest >= half);
    case 1: // AP_RND_ZERO
        return floor + (code >= 0 ? rest > half : rest >= half);
    case 2: // AP_RND_MIN_INF
        return floor + (rest > half);
    case 3: // AP_RND_INF
        return floor + (code >= 0 ? rest >= half : rest > half);
    case 4: // AP_RND_CONV
        return floor + (rest > half || (rest == half && (floor & 1)));
    case 5: // AP_TRN
        return floor;
    default: // AP_TRN_ZERO
        return floor + (code < 0 && rest != 0);
    }
}

static Int fitted(Int code, const Kind &k) {
    Int low = low_of(k), high = high_of(k);
    switch (k.overflow) {
    case 0: // AP_SAT
    case 2: // AP_SAT_SYM
        return code < low ? low : code > high ? high : code;
    case 1: // AP_SAT_ZERO
        return code < low || code > high ? 0 : code;
    case 3: { // AP_WRAP
        Word mask = (Word(1) << k.width) - 1;
        Int x = Int(Word(code) & mask);
        return k.is_signed && (x >> (k.width - 1)) ? x - (Int(1) << k.width) : x;
    }
    default:
        fail("an assignment wraps with its sign kept");
        return code;
    }
}

// One code cast to a type: the meaning of an assignment.
static Int cast_code(Int code, int frac, const Kind &to) {
    int drop = frac - (to.width - to.integer);
    if (drop > 0)
        return fitted(rounded(code, drop, to.rounding), to);
    if (code == 0 || drop == 0)
        return fitted(code, to);
    if (bits(code) - drop > LIMIT) { // far outside
        if (to.overflow == 3)
            return -drop >= to.width ? 0 : fitted(Int(Word(code) << -drop), to);
        Int far = code < 0 ? -(Int(1) << LIMIT) : Int(1) << LIMIT;
        return fitted(far, to);
    }
    return fitted(code * (Int(1) << -drop), to);
}

// Whether a node's values are codes of a type already.
static bool holds(Value a, const Kind &to) {
    Int low, high;
    int frac = to.width - to.integer;
    return a->frac <= frac && aligned(a, frac, low, high) && low >= low_of(to) && high <= high_of(to);
}

Value cast(Value a, const Kind &from, const Kind &to) {
    if (a->op == UNDEFINED)
        return a;
    if (a->op == CONST) {
        if (to.width > 126) {
            fail("a type of more than 126 bits");
            return a;
        }
        return holds(a, to) ? a : constant(cast_code(a->low, a->frac, to), to.width - to.integer);
    }
    count_assignment();
    if (to.width > 126)
        return too_wide();
    if (holds(a, to) || (tighten(a) && holds(a, to)))
        return a;
    int frac = to.width - to.integer;
    if (from.width < from.width - from.integer - frac + 2)
        fail("a cast drops more bits than its source has: ap_fixed is not defined there");
    Int low = cast_code(a->low, a->frac, to), high = cast_code(a->high, a->frac, to);
    if (to.overflow == 1 || to.overflow >= 3) { // these are not monotone: all codes, unless none overflows
        Kind wide = {126, 126 - frac, true, to.rounding, 0};
        if (cast_code(a->low, a->frac, wide) != low || cast_code(a->high, a->frac, wide) != high)
            low = low_of(to), high = high_of(to);
    }
    Node *n = made(CAST, frac, low, high, a);
    n->p[0] = to.width;
    n->p[1] = to.integer;
    n->p[2] = to.is_signed;
    n->p[3] = to.rounding;
    n->p[4] = to.overflow;
    n->site = place();
    return n;
}

Value shift(Value a, int up, const Kind &kind) {
    if (unknown(a))
        return undefined();
    Value by = constant(1, -up);
    Kind plain = {kind.width, kind.integer, kind.is_signed, 5, 3};
    return cast(mul(a, by), {kind.width + (up < 0 ? -up : up), kind.integer + (up > 0 ? up : 0), kind.is_signed, 5, 3}, plain);
}

bool related(Relation r, Int a, Int b) {
    switch (r) {
    case GT:
        return a > b;
    case GE:
        return a >= b;
    case LT:
        return a < b;
    case LE:
        return a <= b;
    case EQ:
        return a == b;
    default:
        return a != b;
    }
}

// What the intervals say of a comparison: 0, 1, or -1 for nothing.
static __attribute__((noinline)) int known(Relation r, Value a, Value b) {
    if (unknown(a) || unknown(b))
        return 0;
    Int al, ah, bl, bh;
    int frac = common(a, b);
    if (!aligned(a, frac, al, ah) || !aligned(b, frac, bl, bh)) {
        fail("a comparison of values of more than 120 bits");
        return 0;
    }
    if (al == ah && bl == bh)
        return related(r, al, bl);
    if (ah < bl || al > bh)
        return related(r, ah < bl ? 0 : 1, ah < bl ? 1 : 0);
    if ((r == GE || r == LT) && al >= bh)
        return r == GE;
    if ((r == LE || r == GT) && ah <= bl)
        return r == LE;
    return -1;
}

bool compare(Relation r, Value a, Value b) {
    int found = known(r, a, b);
    return found >= 0 ? found : decide_relation(r, a, b); // a tail call: nothing of ours stays on the stack
}

Value compared(Relation r, Value a, Value b) {
    Node *n = made(COMPARE, 0, 0, 1, a, b);
    n->p[0] = r;
    return n;
}

Value switched(const Selector &on, const std::vector<Value> &outcomes) {
    int frac = NO_GRID;
    bool same = true; // a constant that each path made for itself
    for (Value v : outcomes)
        same = same && v->op == CONST && outcomes[0]->op == CONST && v->low == outcomes[0]->low && v->frac == outcomes[0]->frac;
    if (same)
        return outcomes[0];
    for (Value v : outcomes) {
        if (v->op == UNDEFINED)
            return undefined();
        if (!(v->op == CONST && v->low == 0))
            frac = v->frac > frac ? v->frac : frac;
    }
    if (frac == NO_GRID)
        frac = 0;
    Int low = 0, high = 0;
    for (size_t i = 0; i < outcomes.size(); i++) {
        Int l, h;
        if (!aligned(outcomes[i], frac, l, h))
            return undefined(); // dead values of different places may meet here: of no concern unless used
        low = i == 0 || l < low ? l : low;
        high = i == 0 || h > high ? h : high;
    }
    Node *n = made(SWITCH, frac, low, high, on.value);
    Value *kept = static_cast<Value *>(keep(outcomes.size() * sizeof(Value)));
    std::memcpy(kept, outcomes.data(), outcomes.size() * sizeof(Value));
    n->children = kept;
    n->p[0] = on.first;
    n->p[1] = int64_t(outcomes.size());
    n->p[2] = on.frac;
    return n;
}

static uint64_t masked(Int code, const Kind &kind) {
    return uint64_t(code) & (kind.width >= 64 ? ~uint64_t(0) : (uint64_t(1) << kind.width) - 1);
}

// Raw bits where there is nothing to decide; else the range of codes.
static __attribute__((noinline)) bool plain_bits(Value a, const Kind &kind, uint64_t &found) {
    found = 0;
    if (unknown(a))
        return true;
    Int low, high;
    if (!aligned(a, kind.width - kind.integer, low, high)) {
        fail("the bits of a value are taken that its type does not hold");
        return true;
    }
    if (a->op == CONST)
        return found = masked(low, kind), true;
    if (high - low < (Int(1) << 16))
        return false;
    fail("the bits of a value are taken that has more than 65,536 codes");
    return true;
}

uint64_t bits_of(Value a, const Kind &kind) {
    {
        uint64_t found;
        if (plain_bits(a, kind, found))
            return found;
    }
    return decide_bits(a, &kind);
}

Value of_bits(uint64_t x, const Kind &kind) {
    Int code = kind.width >= 64 ? Int(x) : Int(x & ((uint64_t(1) << kind.width) - 1));
    if (kind.is_signed && (code >> (kind.width - 1)))
        code -= Int(1) << kind.width;
    return constant(code, kind.width - kind.integer);
}

double double_of(Value a, const Kind &kind) {
    if (a->op == CONST)
        return std::ldexp(double(a->low), -a->frac);
    uint64_t x = bits_of(a, kind);
    Value v = of_bits(x, kind);
    return std::ldexp(double(v->low), -v->frac);
}

long long int_of(Value a, const Kind &kind) {
    if (a->op != CONST)
        a = of_bits(bits_of(a, kind), kind);
    if (a->frac <= 0)
        return (long long)(a->low * (Int(1) << -a->frac));
    return (long long)(a->low / (Int(1) << a->frac));
}

} // namespace symbolic
