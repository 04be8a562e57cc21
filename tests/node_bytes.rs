//! Holds the promise that a device costs at most 160 bytes of heap, measured as the benchmark does.

// The benchmark's `main` is not needed here.
#[allow(dead_code)]
#[path = "../contrib/bench/node_bytes.rs"]
mod bench;

#[test]
fn a_node_costs_at_most_160_bytes() {
    let cost = bench::measure();
    assert!(cost.asked <= bench::BUDGET, "{cost:?}");
    // The tree's own count is what `status` shows: it has to be the truth, give or take the tables of the harness.
    assert!(cost.reported.abs_diff(cost.asked) <= 2, "{cost:?}");
    assert!(cost.leaked < 4096, "{cost:?}");
}
