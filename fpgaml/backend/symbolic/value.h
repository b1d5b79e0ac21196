// Symbolic values: what a number of the generated C++ is when that C++ is executed on variables instead of codes.
//
// A Value points to a node of an immutable graph that is never freed: a constant, a variable (one code of a layer's
// input), or an operation on nodes. Every node carries an interval that holds its value for all inputs, as integer codes
// with `frac` fraction bits, which is also a grid that holds it. An assignment that can neither round nor overflow on that
// interval leaves the node as it is; any other becomes a node of its own, with the place in the C++ where it was written.
//
// A comparison of two Values is a decision: `decide` answers it every way there is, one after the other, and the states
// that the answers lead to are merged where they differ in Values only (see merge.cpp).
#pragma once
#include <cstddef>
#include <cstdint>

namespace symbolic {

typedef __int128 Int;

enum Op { CONST, VAR, ADD, SUB, MUL, DIV, CAST, COMPARE, SWITCH, UNDEFINED };
enum Relation { GT, GE, LT, LE, EQ, NE };

struct Node {
    Op op;
    int frac;          // value = code * 2^-frac
    Int low, high;     // codes it can take; a constant's own code is both
    const Node *a, *b; // operands
    int64_t p[5];      // CAST: W, I, signed, rounding, overflow; DIV: fraction bits; COMPARE: relation; SWITCH: first code, count, fraction bits
    const Node *const *children; // of a SWITCH, one for each outcome
    int32_t id;        // of a VAR: which one; of another: its place in the output, once it has one
    int32_t site;      // where in the C++ it was made
};
typedef const Node *Value;

struct Kind { int width, integer, is_signed, rounding, overflow; };
template <int W, int I, bool S, int Q, int O> struct KindOf { static constexpr Kind kind{W, I, S, Q, O}; }; // never on the stack
#define SYMBOLIC_KIND(...) symbolic::KindOf<__VA_ARGS__>::kind

Value undefined();
Value constant(Int code, int frac);
Value of_double(double);
Value of_int(long long);
Value of_unsigned(unsigned long long);
Value add(Value, Value);
Value sub(Value, Value);
Value mul(Value, Value);
Value div(Value, Value, int frac);                // truncated towards zero to `frac` fraction bits
Value shift(Value, int up, const Kind &);         // within its own type, as ap_fixed does
Value cast(Value, const Kind &from, const Kind &to);
bool compare(Relation, Value, Value);             // a decision, unless the intervals answer it
uint64_t bits_of(Value, const Kind &);            // raw bits: a decision with as many outcomes as there are codes
Value of_bits(uint64_t, const Kind &);
double double_of(Value, const Kind &);
long long int_of(Value, const Kind &);            // truncated towards zero
void fail(const char *what);                      // this layer is not proved: why

// Layers, as the harness knows them.
struct Layer { const char *name; size_t size; int frac; int64_t low, high; };
void start(const Layer *layers, size_t count, const Layer &input, const char *folder);
void input(int image, Value *to, size_t stride, size_t count); // fresh variables for an image
uint64_t barrier();                                            // all paths meet here
void cut_begin(const char *layer, size_t size);
Value cut(size_t at, Value found);                             // record an output, return the variable that replaces it
void cut_end();
void output(size_t at, Value found);
void weight(const char *name, size_t at, Value txt, Value header); // the two copies of a weight
void run(void (*body)());                                      // execute it on a stack of its own, in every way it can go
void finish();                                                  // write the record
} // namespace symbolic
