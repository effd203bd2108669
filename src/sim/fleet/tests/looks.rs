//! Commands and files as the product asks for them.
