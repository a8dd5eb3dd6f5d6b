//! Times of every operation: `cargo bench -p keyfob-benches`.
#![allow(clippy::disallowed_methods)]

use criterion::{Criterion, criterion_group, criterion_main};
use keyfob_benches::OPERATIONS;

fn all(criterion: &mut Criterion) {
    for operation in OPERATIONS {
        let mut run = (operation.prepare)();
        criterion.bench_function(operation.name, |bencher| bencher.iter(&mut run));
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
