//! The shard against a model, on operations drawn from a seed. Under miri (CONTRIBUTING.md) fewer of them.

#[path = "shard_model/ops.rs"]
mod ops;

fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn agrees_with_the_model() {
    let (seeds, steps) = if cfg!(miri) { (6, 400) } else { (400, 3000) };
    for seed in 0..seeds {
        ops::run(&bytes(seed, 3 + steps * 3));
    }
}
