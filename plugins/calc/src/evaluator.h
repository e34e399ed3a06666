/* Evaluates an arithmetic expression exactly. */
#ifndef EVALUATOR_H
#define EVALUATOR_H

#include "rational.h"

/* Grammar, with the usual precedence; powers bind to the right and tighter than a sign before them:
 *   sum = product {("+" | "-") product};  product = signed {("*" | "/" | "//" | "%") signed};
 *   signed = {"-" | "+"} power;  power = postfix [("^" | "**") signed];  postfix = primary {"!"};
 *   primary = number | "(" sum ")" | name "(" [sum {"," sum}] ")"
 * On an error records a failure with the position. */
bool evaluate(Text expression, Rational *result);

#endif
