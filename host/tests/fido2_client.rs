//! The example of `docs/fido2-client.md` does what it says.

#[path = "../examples/fido2_client.rs"]
mod example;

#[test]
fn the_example_registers_and_signs_in() {
    example::main().unwrap();
}
