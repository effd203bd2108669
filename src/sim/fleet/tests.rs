//! The fleet against what was measured on real K3s; each test names its transcript.

mod agent_token;
mod agents;
mod answers;
mod befalls;
mod cli;
mod faults;
mod looks;
mod restore;
mod rotate;
mod scene;
mod servers;
mod shapes;
