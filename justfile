# Lists the recipes.
default:
    @just --list

# What CI runs.
check:
    .ci/run

# Everything that needs no root.
test:
    cargo test

# Format, lints.
lint:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings

# A million cases of any bytes to each parser of what stands on hosts.
fuzz cases="1000000":
    PROPTEST_CASES={{cases}} cargo test --release --lib fuzz_

# Review changed snapshots.
snap:
    cargo insta review

# Raise lab hosts (root): just lab 8
lab hosts="8":
    tests/lab/lab.sh up {{hosts}}

# End-to-end scenarios, all or those with a part of their name (root, for lab hosts); K3S_BIN=DIR adds a real k3s
e2e part="":
    KEYROLL_E2E="{{part}}" cargo test --features standin --test it e2e::

# The scenario table: every kind of cluster × everything that can come between, at every change of a rotation; 15 min.
table part="all":
    KEYROLL_TABLE="{{part}}" cargo test --release --test it torn:: -- --nocapture

# Licences, advisories, duplicates.
deny:
    cargo deny check

# API documentation.
docs:
    cargo doc --no-deps --open

# Figures: planning, `where` and a simulated rotation.
bench:
    cargo bench
