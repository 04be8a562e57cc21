//! Tests of the evaluator: tables of one-line cases over a recorded tree.
