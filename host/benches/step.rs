//! Steps of the life cycle a second; being written.

fn main() {}
