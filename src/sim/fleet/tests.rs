//! The fleet against what was measured on real K3s; each test names its transcript.

mod agents;
mod faults;
mod looks;
mod rotate;
mod scene;
mod servers;
mod shapes;
