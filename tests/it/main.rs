//! All integration tests, one binary. They are begun in the order of their names: `e2e`, which waits for lab hosts most of
//! its time, early, and `torn`, which computes, beside it.

#[cfg(test)]
mod afterwards;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod asked;
#[cfg(test)]
mod books;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod copy;
#[cfg(test)]
mod dress;
#[cfg(test)]
mod e2e;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod escrow;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod healthy;
#[cfg(test)]
mod join_token;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod lab_canary;
#[cfg(test)]
mod lab_dress;
#[cfg(test)]
mod looks;
#[cfg(test)]
mod measured;
#[cfg(test)]
mod mend;
#[cfg(test)]
mod output;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod ssh_hosts;
#[cfg(test)]
mod ssh_lab;
#[cfg(test)]
mod ssh_rig;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod token;
#[cfg(test)]
mod torn;
#[cfg(test)]
mod unshown;
#[cfg(test)]
mod verify;
