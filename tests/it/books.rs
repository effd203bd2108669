//! Playbooks and inventories, good and bad.
