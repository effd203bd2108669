//! Clusters half way, and the ways out: what is in danger is named, and what is well is not.

mod unsaved;
