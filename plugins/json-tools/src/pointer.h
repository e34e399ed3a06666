/* JSON Pointer: RFC 6901. */
#ifndef POINTER_H
#define POINTER_H

#include "json.h"

/* Where a pointer leads: the container and the place in it. */
typedef struct {
    JsonValue *parent; /* NULL for the whole document */
    JsonValue **link;  /* the link in the parent's list that holds the value, or where it would be inserted */
    Text token;        /* the last part of the pointer, unescaped */
} Place;

/* Finds the value that a pointer names. Records a failure that says which part is missing. */
bool find_value(JsonValue **root, Text pointer, Place *place);
/* Finds where a value may be added: the member need not be there, an index may be one behind the last. */
bool find_place(JsonValue **root, Text pointer, Place *place);

/* Appends one part of a pointer, escaped, with its slash. */
void append_token(Buffer *pointer, Text token);

#endif
