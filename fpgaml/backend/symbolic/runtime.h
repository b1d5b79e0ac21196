// Between value.cpp (arithmetic) and execute.cpp (execution and recording).
#pragma once
#include <vector>

#include "value.h"

namespace symbolic {
Node *new_node();
void *keep(size_t bytes);
int place();             // where in the C++ we are
void count_assignment();
bool tighten(Value);     // replace an affine node's interval by its exact one; whether that was possible
bool decide_relation(Relation, Value, Value);
uint64_t decide_bits(Value, const Kind *);
Value compared(Relation, Value, Value);
struct Selector { Value value; int64_t first; int frac; }; // an outcome for each code of a value, from `first` on
Value switched(const Selector &on, const std::vector<Value> &outcomes);
} // namespace symbolic
