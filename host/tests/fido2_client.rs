//! The examples of `docs/fido2-client.md` do what it says.

#[path = "../examples/fido2_client.rs"]
mod example;
#[path = "../examples/management.rs"]
mod management;

#[test]
fn the_example_registers_and_signs_in() {
    example::main().unwrap();
}

#[test]
fn the_example_of_management_asks_for_the_pin_once() {
    management::main().unwrap();
}
