//! Each fault of the catalogue does what its sentence says.
