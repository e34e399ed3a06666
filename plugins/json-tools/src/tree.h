/* Whole JSON values: equality, copies, and their text. */
#ifndef TREE_H
#define TREE_H

#include "json.h"

typedef struct {
    size_t indent; /* blanks for each level; 0 for one line without blanks */
    bool sort;     /* whether members are written in the order of their names */
} Layout;

/* Equal as JSON: 1.0 equals 1, and the order of members does not count. */
bool values_equal(const JsonValue *left, const JsonValue *right);
JsonValue *copy_value(const JsonValue *value);
void write_value(const JsonValue *value, const Layout *layout, Buffer *buffer);

#endif
