//! One function per subcommand; the only place that wires parts together.
