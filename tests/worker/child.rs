//! The other side of `bench::workers`: the test binary as a worker.

use crate::bench::workers::{VARIABLE, be};
use slipway::config::layers;

#[test]
fn is_a_worker_if_it_is_told_to_be() {
    let environment = layers::environment();
    if let Some(described) = environment.value(VARIABLE) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(be(described));
    }
}
